// One agent: its instructions and its model, one model turn per request.
import type { AgentConfig } from '@kadre/crds';
import { AgentFailure } from '../failure.ts';
import { tokenUsage, type ChatChunk, type ChatCompletion, type ChatMessage, type TokenUsage } from './chat.ts';
import { compileSchema, type SchemaCheck } from './json-schema.ts';
import type { ModelClient } from './model-client.ts';

/** What is asked of the agent once. */
export interface Turn {
  /** The conversation without the agent's instructions. */
  messages: ChatMessage[];
  /** Further fields of the chat request, such as temperature or tools. */
  params?: Record<string, unknown>;
  signal: AbortSignal;
  stepToken?: string | undefined;
  /** Of the trace that the turn is part of. */
  traceparent?: string | undefined;
}

export interface Answer {
  /** Parsed JSON if the agent has an output schema and did not call a tool, else the text. */
  output: unknown;
  /** The last completion; `usage` sums all calls of the turn. */
  completion: ChatCompletion;
  usage: TokenUsage;
}

/**
 * Text as it is written, then the whole answer. Agents with an output schema yield the answer alone. `restart`: the
 * connection broke, and the text so far is void; what follows starts anew.
 */
export type Piece = { delta: string } | { restart: true } | { answer: Omit<Answer, 'completion'> };

export interface Agent {
  config: AgentConfig;
  /** Throws {@link AgentFailure}. */
  answer(turn: Turn): Promise<Answer>;
  /** Throws {@link AgentFailure}. Restarts only where the caller can take back what it was given. */
  pieces(turn: Turn, options?: { restarts: boolean }): AsyncGenerator<Piece, void, undefined>;
  /** The chunks of the model as they come, unchecked. Throws {@link AgentFailure}. */
  chunks(turn: Turn): AsyncGenerator<ChatChunk, void, undefined>;
}

const MAX_TEXT = 8 * 1024 * 1024;
const MAX_RESTARTS = 3;

/** @throws {Error} if the output schema is wrong. */
export async function createAgent(
  config: AgentConfig,
  model: ModelClient,
  onUsage: (usage: TokenUsage) => void,
): Promise<Agent> {
  const check = config.output === undefined ? undefined : await compileSchema(config.output.schema);
  const call = (turn: Turn, number: number, messages = turn.messages) => ({
    signal: turn.signal,
    stepToken: turn.stepToken,
    traceparent: turn.traceparent,
    number,
    body: {
      ...responseFormat(config),
      ...turn.params,
      model: config.model,
      messages: [systemMessage(config), ...messages],
    },
  });
  const complete: Complete = async (turn, number, messages) => {
    const completion = await model.complete(call(turn, number, messages));
    onUsage(tokenUsage(completion.usage));
    return completion;
  };
  const chunks: Agent['chunks'] = async function* (turn) {
    for await (const chunk of model.stream(call(turn, 1))) {
      if (chunk.usage) onUsage(tokenUsage(chunk.usage));
      yield chunk;
    }
  };
  const answer: Agent['answer'] = (turn) =>
    check === undefined ? plainAnswer(turn, complete) : checkedAnswer(turn, complete, check);
  const pieces: Agent['pieces'] = async function* (turn, options) {
    if (check !== undefined) return yield { answer: await answer(turn) };
    const params = { ...turn.params, stream_options: { include_usage: true } };
    yield* restarting(() => streamedText(chunks({ ...turn, params })), options?.restarts ? MAX_RESTARTS : 0);
  };
  return { config, answer, pieces, chunks };
}

/** The user's side of a turn: the prompt, then the input as JSON. */
export function userMessage(prompt: string | undefined, input: unknown): ChatMessage {
  const parts = [prompt, input === undefined ? undefined : JSON.stringify(input)].filter(
    (part) => part !== undefined && part !== '',
  );
  if (parts.length === 0)
    throw new AgentFailure('InvalidInput', 'There is nothing to answer: give a prompt, an input, or both.');
  return { role: 'user', content: parts.join('\n\n') };
}

function systemMessage({ instructions }: AgentConfig): ChatMessage {
  return { role: 'system', content: instructions };
}

function responseFormat({ name, output }: AgentConfig): Record<string, unknown> {
  if (output === undefined) return {};
  return { response_format: { type: 'json_schema', json_schema: { name, schema: output.schema } } };
}

/** `number`: which call of the turn it is, from 1. */
type Complete = (turn: Turn, number: number, messages?: ChatMessage[]) => Promise<ChatCompletion>;

async function plainAnswer(turn: Turn, complete: Complete): Promise<Answer> {
  const completion = await complete(turn, 1);
  const { content, tool_calls: calls } = messageOf(completion);
  if (!content && !calls?.length) rejectEmpty(completion);
  return { output: content ?? '', completion, usage: tokenUsage(completion.usage) };
}

/** Asks once more, with what was wrong, before it gives up. */
async function checkedAnswer(turn: Turn, complete: Complete, check: SchemaCheck): Promise<Answer> {
  const first = await complete(turn, 1);
  const message = messageOf(first);
  if (message.tool_calls?.length)
    return { output: message.content ?? '', completion: first, usage: tokenUsage(first.usage) };
  const verdict = judge(first, check);
  if ('output' in verdict) return { ...verdict, completion: first, usage: tokenUsage(first.usage) };
  const request = `This does not match the required JSON Schema: ${verdict.problem}. Answer again, with nothing but the corrected JSON.`;
  const second = await complete(turn, 2, [
    ...turn.messages,
    { role: 'assistant', content: message.content ?? '' },
    { role: 'user', content: request },
  ]);
  const usage = sum(tokenUsage(first.usage), tokenUsage(second.usage));
  const repaired = judge(second, check);
  if ('problem' in repaired)
    throw new AgentFailure('InvalidOutput', `The answer does not match the output schema: ${repaired.problem}`, {
      shouldRetry: false,
    });
  const total = {
    prompt_tokens: usage.inputTokens,
    completion_tokens: usage.outputTokens,
    total_tokens: usage.inputTokens + usage.outputTokens,
  };
  return { ...repaired, completion: { ...second, usage: { ...second.usage, ...total } }, usage };
}

function judge(completion: ChatCompletion, check: SchemaCheck): { output: unknown } | { problem: string } {
  const { content } = messageOf(completion);
  if (!content) rejectEmpty(completion);
  // Models that don't know response_format like to wrap JSON into a Markdown fence.
  const text = /^\s*```(?:json)?\s*\n([\s\S]*?)\n?```\s*$/.exec(content)?.[1] ?? content;
  let output: unknown;
  try {
    output = JSON.parse(text);
  } catch {
    return { problem: 'it is not JSON' };
  }
  const problem = check(output);
  return problem === undefined ? { output } : { problem };
}

/** Asks anew when an answer broke off with the connection, which a restart of the gateway does to all of them. */
async function* restarting(
  ask: () => AsyncGenerator<Piece, void, undefined>,
  restarts: number,
): AsyncGenerator<Piece, void, undefined> {
  for (let left = restarts; ; left -= 1) {
    try {
      return yield* ask();
    } catch (error) {
      if (left === 0 || !(error instanceof AgentFailure) || error.details.brokeOff !== true) throw error;
      yield { restart: true };
    }
  }
}

async function* streamedText(chunks: AsyncIterable<ChatChunk>): AsyncGenerator<Piece, void, undefined> {
  const written: string[] = [];
  let size = 0;
  let refusal = '';
  let usage = tokenUsage(undefined);
  for await (const chunk of chunks) {
    const delta = chunk.choices[0]?.delta;
    refusal += delta?.refusal ?? '';
    if (chunk.usage) usage = tokenUsage(chunk.usage);
    if (!delta?.content) continue;
    size += delta.content.length;
    if (size > MAX_TEXT) throw new AgentFailure('ModelFailed', `The answer is longer than ${MAX_TEXT} characters.`);
    written.push(delta.content);
    yield { delta: delta.content };
  }
  if (size === 0) throw emptyAnswer(refusal);
  yield { answer: { output: written.join(''), usage } };
}

function messageOf(completion: ChatCompletion): NonNullable<ChatCompletion['choices'][0]>['message'] {
  const [choice] = completion.choices;
  if (choice === undefined) throw new AgentFailure('ModelFailed', 'The model gave no answer.');
  return choice.message;
}

function rejectEmpty(completion: ChatCompletion): never {
  throw emptyAnswer(messageOf(completion).refusal ?? '');
}

function emptyAnswer(refusal: string): AgentFailure {
  return new AgentFailure(
    'ModelFailed',
    refusal === '' ? 'The model gave an empty answer.' : `The model refused: ${refusal}`,
  );
}

function sum(a: TokenUsage, b: TokenUsage): TokenUsage {
  return { inputTokens: a.inputTokens + b.inputTokens, outputTokens: a.outputTokens + b.outputTokens };
}
