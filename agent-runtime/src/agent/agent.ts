// One agent: its instructions, its model and its tools, and what it makes of a request.
import type { AgentConfig, Citation, Compaction } from '@kadre/crds';
import { annotated } from './annotations.ts';
import { AgentFailure } from '../failure.ts';
import { tokenUsage, type ChatChunk, type ChatCompletion, type ChatMessage, type TokenUsage } from './chat.ts';
import { callersChunks } from './callers-chunks.ts';
import type { GatewayClient } from './gateway-client.ts';
import { compileSchema, type SchemaCheck } from './json-schema.ts';
import { Loop, messageOf, type Asked, type Manner, type Progress } from './loop.ts';
import type { Place } from './memory.ts';
import { createModelClient } from './model-client.ts';
import { timeLimit } from './time-limit.ts';
import { createToolClient } from './tool-client.ts';
import type { RoundProgress } from './tool-round.ts';

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
  /** Outside of steps: how many agents in a row have asked each other, and whether they have read words of strangers. */
  depth?: number | undefined;
  tainted?: boolean | undefined;
  /** In which conversation; absent: it is not remembered. */
  place?: Place | undefined;
}

export interface Answer {
  /** Whether words of strangers may be in it. */
  tainted?: boolean;
  /** Parsed JSON if the agent has an output schema and did not call a tool of the caller, else the text. */
  output: unknown;
  /** The last completion; `usage` sums all calls of the turn. */
  completion: ChatCompletion;
  usage: TokenUsage;
  /** What it rests on; absent if nothing was read of Knowledge. */
  citations?: Citation[];
  /** It is that of another agent, and looks as that one's answers do: text, or data. */
  handedOff?: true;
}

/**
 * Text as it is written, what the agent does meanwhile, then the whole answer. Agents with an output schema yield no text.
 * `restart`: the text so far is void; what follows starts anew. It stood beside calls of tools, or its connection broke.
 */
export type Piece =
  { delta: string } | { restart: true } | RoundProgress | { compaction: Compaction } | { answer: Answer };

export interface Agent {
  config: AgentConfig;
  /** Throws {@link AgentFailure}. */
  answer(turn: Turn): Promise<Answer>;
  /** Throws {@link AgentFailure}. `restarts`: whether answers that broke off may be asked for anew. */
  pieces(turn: Turn, options?: { restarts: boolean }): AsyncGenerator<Piece, void, undefined>;
  /** The chunks of the model as they come, unchecked. Throws {@link AgentFailure}. */
  chunks(turn: Turn): AsyncGenerator<ChatChunk, void, undefined>;
}

export interface AgentDeps {
  gateway: GatewayClient;
  onUsage?: (usage: TokenUsage) => void;
  onCompaction?: (compaction: Compaction) => void;
}

const MAX_RESTARTS = 3;
const WHOLE: Manner = { streamed: false, restarts: 0 };

/** @throws {Error} if the output schema is wrong. */
export async function createAgent(config: AgentConfig, deps: AgentDeps): Promise<Agent> {
  const check = config.output === undefined ? undefined : await compileSchema(config.output.schema);
  const parts = { config, model: createModelClient(deps.gateway), tools: createToolClient(deps.gateway) };
  const onUsage = (usage: ChatCompletion['usage']): void => deps.onUsage?.(tokenUsage(usage));
  const asked = ({ messages, params, signal, stepToken, traceparent, depth, tainted }: Turn): Asked => ({
    signal,
    stepToken,
    traceparent,
    depth,
    tainted,
    messages: [systemMessage(config), ...messages],
    params: { ...responseFormat(config), ...params },
  });

  async function* loopPieces(turn: Turn, manner: Manner): AsyncGenerator<Exclude<Piece, { answer: unknown }>, Answer> {
    const limit = timeLimit(turn.signal, config.limits.durationMs);
    try {
      const loop = new Loop(parts, asked({ ...turn, signal: limit.signal }), manner, onUsage);
      const running = loop.run();
      const others = new Others();
      let step = await running.next();
      for (; !step.done; step = await running.next()) {
        others.note(step.value);
        limit.hold(others.areAtIt);
        if ('compaction' in step.value) deps.onCompaction?.(step.value.compaction);
        if (!('chunk' in step.value)) yield step.value;
        else {
          const text = step.value.chunk.choices[0]?.delta?.content;
          if (text) yield { delta: text };
        }
      }
      return await finished(loop, step.value, check);
    } finally {
      limit.clear();
    }
  }

  const answer: Agent['answer'] = async (turn) => {
    const pieces = loopPieces(turn, WHOLE);
    let step = await pieces.next();
    while (!step.done) step = await pieces.next();
    return step.value;
  };
  const pieces: Agent['pieces'] = async function* (turn, options) {
    const streamed = { streamed: true, restarts: options?.restarts === true ? MAX_RESTARTS : 0 };
    const manner = check === undefined ? streamed : WHOLE;
    const answer = yield* loopPieces(turn, manner);
    if (answer.handedOff && typeof answer.output !== 'string') yield { restart: true };
    else if (answer.handedOff && !manner.streamed) yield { delta: answer.output as string };
    yield { answer };
  };
  const chunks: Agent['chunks'] = async function* (turn) {
    const limit = timeLimit(turn.signal, config.limits.durationMs);
    try {
      yield* callersChunks(parts, asked({ ...turn, signal: limit.signal }), onUsage);
    } finally {
      limit.clear();
    }
  };
  return { config, answer, pieces, chunks };
}

/** Whether any answer of the agent is data. */
export const isData = ({ output }: AgentConfig, answer: Answer): boolean =>
  answer.handedOff ? typeof answer.output !== 'string' : output !== undefined;

/** People and other agents that the agent waits for: their time is not its own. */
class Others {
  #people = false;
  #agents = 0;

  get areAtIt(): boolean {
    return this.#people || this.#agents > 0;
  }

  note(progress: Progress): void {
    if ('waiting' in progress) this.#people = progress.waiting.length > 0;
    if ('delegation' in progress) this.#agents += progress.delegation.phase === 'Running' ? 1 : -1;
  }
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

/** What the last completion comes to. A wrong one is asked for once more, with what was wrong. */
async function finished(loop: Loop, completion: ChatCompletion, check: SchemaCheck | undefined): Promise<Answer> {
  const { content, tool_calls: calls } = messageOf(completion);
  if (loop.handedOff) {
    const { text, structured = text } = loop.handedOff;
    return { ...summed(loop, structured, completion), handedOff: true };
  }
  if (!content && !calls?.length) rejectEmpty(completion);
  if (check === undefined || calls?.length) return summed(loop, content ?? '', completion);
  const verdict = judge(completion, check);
  if ('output' in verdict) return summed(loop, verdict.output, completion);
  const request = `This does not match the required JSON Schema: ${verdict.problem}. Answer again, with nothing but the corrected JSON.`;
  const second = await loop.askAgain([
    { role: 'assistant', content: content ?? '' },
    { role: 'user', content: request },
  ]);
  const repaired = judge(second, check);
  if ('output' in repaired) return summed(loop, repaired.output, second);
  throw new AgentFailure('InvalidOutput', `The answer does not match the output schema: ${repaired.problem}`, {
    shouldRetry: false,
  });
}

function summed({ usage, citations, tainted }: Loop, output: unknown, completion: ChatCompletion): Answer {
  const cited = citations.of(output);
  return {
    output,
    completion: { ...annotated(completion, cited), usage },
    usage: tokenUsage(usage),
    tainted,
    ...(cited.length > 0 && { citations: cited }),
  };
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

function rejectEmpty(completion: ChatCompletion): never {
  const { refusal } = messageOf(completion);
  throw new AgentFailure('ModelFailed', refusal ? `The model refused: ${refusal}` : 'The model gave an empty answer.');
}
