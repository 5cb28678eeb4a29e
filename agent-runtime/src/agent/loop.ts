// Model, tools, model … until an answer calls no more tools. Whatever decides here is the same each time that a task is
// begun anew, so that the gateway's journal knows each of its calls again.
import type { AgentConfig, Compaction, ToolResult } from '@kadre/crds';
import { AgentFailure } from '../failure.ts';
import { AnswerBuilder } from './answer-builder.ts';
import { Citations } from './citations.ts';
import { addUsage, type ChatChunk, type ChatCompletion, type ChatMessage, type ModelToolCall } from './chat.ts';
import { makeRoom } from './compaction.ts';
import { delegatesOf } from './delegate.ts';
import type { Errand } from './gateway-client.ts';
import { conversationOf } from './hand-off.ts';
import type { ModelCall, ModelClient } from './model-client.ts';
import { MAX_REPETITIONS, Repetition } from './repetition.ts';
import type { ToolClient, ToolDefinition } from './tool-client.ts';
import { resultMessage } from './tool-results.ts';
import { playRound, type RoundProgress } from './tool-round.ts';

export interface LoopParts {
  config: AgentConfig;
  model: ModelClient;
  tools: ToolClient;
}

export interface Asked extends Errand {
  /** The conversation, the agent's instructions first. */
  messages: ChatMessage[];
  /** Further fields of the chat request; tools among them are the caller's. */
  params: Record<string, unknown>;
  /** Whoever asks has read words of strangers. */
  tainted?: boolean | undefined;
}

export interface Manner {
  /** Whether the model's answers are asked for as streams, and passed on as they come. */
  streamed: boolean;
  /** How often an answer is asked for anew whose connection broke in the middle. */
  restarts: number;
}

/**
 * `chunk`: what the model writes, without calls of tools. `restart`: what it has written so far is void, because it is no
 * answer: it stood beside calls of tools, or its connection broke.
 */
export type Progress = { chunk: ChatChunk } | { restart: true } | { compaction: Compaction } | RoundProgress;

type Usage = ChatCompletion['usage'];

/** What the agent has answered that took the task over. */
export interface HandedOff {
  text: string;
  /** Absent: it is text alone. */
  structured?: unknown;
}

const TOLD =
  'Note: you made the same call before. If you make it once more in a row, the task ends without an answer: do something else, or answer with what you have.\n';

/** One task. */
export class Loop {
  readonly #parts: LoopParts;
  readonly #asked: Asked;
  readonly #manner: Manner;
  readonly #onUsage: (usage: Usage) => void;
  readonly #errand: Errand;
  readonly #messages: ChatMessage[];
  /** Names of tools that the caller brought along, and calls itself. */
  readonly #callers: ReadonlySet<string>;
  readonly #repetition = new Repetition();
  /** What was read of Knowledge. */
  readonly citations = new Citations();
  #offered: ToolDefinition[] = [];
  /** Of the last call that was made. */
  #number = 0;
  #tainted: boolean;
  #handedOff: HandedOff | undefined;
  #usage: Usage;

  constructor(parts: LoopParts, asked: Asked, manner: Manner, onUsage: (usage: Usage) => void) {
    const { signal, stepToken, traceparent, depth, messages, params } = asked;
    this.#parts = parts;
    this.#asked = asked;
    this.#manner = manner;
    this.#onUsage = onUsage;
    this.#errand = { signal, stepToken, traceparent, depth };
    this.#tainted = asked.tainted === true;
    this.#messages = [...messages];
    this.#callers = namesOf(params['tools']);
  }

  /** Whether the task has met words of strangers. */
  get tainted(): boolean {
    return this.#tainted;
  }

  /** Of all calls together. */
  get usage(): Usage {
    return this.#usage;
  }

  /** The answer is that of another agent. */
  get handedOff(): HandedOff | undefined {
    return this.#handedOff;
  }

  /** Until an answer calls no tools of the agent. Calls of tools of the caller are such an answer. */
  async *run(): AsyncGenerator<Progress, ChatCompletion, undefined> {
    const { config, tools } = this.#parts;
    const { turns, contextCharacters } = config.limits;
    if (config.tools) this.#offered = await tools.list(this.#errand);
    refuseClash(this.#offered, this.#callers);
    const begin = this.#messages.length;
    for (let turn = 1; ; turn += 1) {
      const compaction = makeRoom(this.#messages, begin, contextCharacters);
      if (compaction) yield { compaction };
      const completion = yield* this.#ask(turn);
      const calls = this.#ownCalls(completion);
      if (calls.length === 0) return completion;
      // Nobody would read the results.
      if (turn >= turns) throw outOfTurns(turns);
      const repeated = this.#repetition.count(calls);
      if (repeated >= MAX_REPETITIONS) throw goingInCircles(calls);
      const content = messageOf(completion).content || null;
      if (this.#manner.streamed && content !== null) yield { restart: true };
      // The calls as they came: their ids may hold thoughts that the provider wants back.
      this.#messages.push({ role: 'assistant', content, tool_calls: calls });
      yield* this.#callTools(calls, repeated);
      if (this.#handedOff) return yield* this.#passOn(this.#handedOff, completion);
    }
  }

  /** Asks once more, without tools. */
  askAgain(more: ChatMessage[]): Promise<ChatCompletion> {
    this.#messages.push(...more);
    return this.#complete(this.#offered.length > 0 ? { tool_choice: 'none' } : {});
  }

  async *#ask(turn: number): AsyncGenerator<Progress, ChatCompletion, undefined> {
    // A caller's choice of a tool is for the first answer: held to it, the model would never come to an end.
    const isOpen = turn > 1 && this.#asked.params['tool_choice'] !== 'none';
    const params = isOpen ? { tool_choice: undefined } : {};
    if (!this.#manner.streamed) return this.#complete(params);
    const call = this.#nextCall({ ...params, stream_options: { include_usage: true } });
    return this.#counted(yield* streamedAnswer(this.#parts.model, call, this.#manner.restarts));
  }

  async #complete(params: Record<string, unknown>): Promise<ChatCompletion> {
    return this.#counted(await this.#parts.model.complete(this.#nextCall(params)));
  }

  #nextCall(params: Record<string, unknown>): ModelCall {
    this.#number += 1;
    const tools = [...listOf(this.#asked.params['tools']), ...this.#offered.map(shown)];
    const body = {
      ...this.#asked.params,
      ...(this.#offered.length > 0 ? { tools } : {}),
      ...params,
      model: this.#parts.config.model,
      messages: this.#messages,
    };
    return { ...this.#errand, number: this.#number, body };
  }

  #counted(completion: ChatCompletion): ChatCompletion {
    this.#onUsage(completion.usage);
    this.#usage = addUsage(this.#usage, completion.usage);
    return completion;
  }

  /** All calls of the answer, if any of them is one that the agent has to make. */
  #ownCalls(completion: ChatCompletion): ModelToolCall[] {
    const calls = messageOf(completion).tool_calls ?? [];
    const isOwn = ({ function: { name } }: ModelToolCall): boolean => !this.#callers.has(name);
    return this.#parts.config.tools && calls.some(isOwn) ? calls : [];
  }

  *#passOn({ text }: HandedOff, { id, created }: ChatCompletion): Generator<Progress, ChatCompletion, undefined> {
    const head = { id, created };
    if (this.#manner.streamed)
      yield { chunk: { ...head, choices: [{ index: 0, delta: { content: text }, finish_reason: null }] } };
    return { ...head, choices: [{ finish_reason: 'stop', message: { role: 'assistant', content: text } }] };
  }

  async *#callTools(calls: ModelToolCall[], repeated: number): AsyncGenerator<Progress, void, undefined> {
    const { tools, config } = this.#parts;
    const delegates = delegatesOf(this.#offered);
    const round = {
      ...{ calls, callers: this.#callers, delegates, number: this.#number + 1, tainted: this.#tainted },
      conversation: () => conversationOf(this.#messages, config.name),
    };
    const { results: given, numbers } = yield* playRound(tools, this.#errand, round);
    this.#number += numbers;
    const results = given.map((result) => this.citations.numbered(result));
    this.#tainted ||= results.some(({ trust }) => trust === 'untrusted');
    if (repeated === MAX_REPETITIONS - 1) results.at(-1)?.content.unshift({ type: 'text', text: TOLD });
    const [only] = results;
    const takesOver = calls.length === 1 && delegates.get(calls[0]?.function.name ?? '')?.handOff === true;
    if (takesOver && only && !only.isError) this.#handedOff = handedOff(only);
    for (const [index, result] of results.entries()) {
      const call = calls[index];
      if (call) this.#messages.push(resultMessage(call, result, config.limits.contextCharacters));
    }
  }
}

const handedOff = ({ content, structured }: ToolResult): HandedOff => ({
  text: content.map((part) => (part.type === 'text' ? part.text : '')).join('\n'),
  ...(structured !== undefined && { structured }),
});

/** Asks anew when an answer broke off with the connection, which a restart of the gateway does to all of them. */
async function* streamedAnswer(
  model: ModelClient,
  call: ModelCall,
  restarts: number,
): AsyncGenerator<Progress, ChatCompletion, undefined> {
  for (let left = restarts; ; left -= 1) {
    const builder = new AnswerBuilder();
    try {
      for await (const chunk of model.stream(call)) {
        builder.add(chunk);
        const written = withoutCalls(chunk);
        if (written) yield { chunk: written };
      }
      return builder.completion;
    } catch (error) {
      if (left === 0 || !(error instanceof AgentFailure) || error.details.brokeOff !== true) throw error;
      yield { restart: true };
    }
  }
}

/** Only what the model writes: calls, the end and usage are told when it is known what becomes of the answer. */
function withoutCalls(chunk: ChatChunk): ChatChunk | undefined {
  const [choice] = chunk.choices;
  const delta = { ...choice?.delta, tool_calls: undefined };
  if (choice === undefined || Object.values(delta).every((value) => value == null || value === '')) return undefined;
  return { ...chunk, usage: undefined, choices: [{ ...choice, delta, finish_reason: null }] };
}

export function messageOf(completion: ChatCompletion): NonNullable<ChatCompletion['choices'][0]>['message'] {
  const [choice] = completion.choices;
  if (choice === undefined) throw new AgentFailure('ModelFailed', 'The model gave no answer.');
  return choice.message;
}

const shown = ({ name, description, inputSchema }: ToolDefinition): object => ({
  type: 'function',
  function: { name, description, parameters: inputSchema },
});

const listOf = (tools: unknown): unknown[] => (Array.isArray(tools) ? (tools as unknown[]) : []);

function namesOf(tools: unknown): ReadonlySet<string> {
  const names = listOf(tools).map((tool) => (tool as { function?: { name?: unknown } } | null)?.function?.name);
  return new Set(names.filter((name) => typeof name === 'string'));
}

function refuseClash(offered: readonly ToolDefinition[], callers: ReadonlySet<string>): void {
  const clash = offered.find(({ name }) => callers.has(name));
  if (clash)
    throw new AgentFailure(
      'InvalidInput',
      `This agent has a tool ${clash.name} of its own: give yours another name, or leave it out.`,
    );
}

function outOfTurns(turns: number): AgentFailure {
  const message = `The agent had no answer after it had asked its model ${turns} times, which is its limit: ask for less at once, or raise limits.turns of the Agent.`;
  return new AgentFailure('LimitExceeded', message, { shouldRetry: false });
}

function goingInCircles(calls: readonly ModelToolCall[]): AgentFailure {
  const names = [...new Set(calls.map(({ function: { name } }) => name.slice(0, 128)))].join(', ');
  const message = `The agent wanted to call ${names} with the same arguments for the third time in a row, so it was stopped: its instructions or the tool's results do not tell it what else to do.`;
  return new AgentFailure('LimitExceeded', message, { shouldRetry: false });
}
