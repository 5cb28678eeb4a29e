// What a model says: as it comes, and as a whole.
import type { Opaque } from './opaque.ts';
import type { ReasoningPart, RefusalPart, TextPart, ToolCallPart } from './request.ts';

export interface Usage {
  /** All input, including what was read from or written to the provider's cache. */
  inputTokens: number;
  cachedInputTokens: number;
  cacheWriteTokens: number;
  /** Of `cacheWriteTokens`, those that are kept for an hour. Absent: none. */
  longCacheWriteTokens?: number;
  /** All output, including what the model thought and did not show. */
  outputTokens: number;
  reasoningTokens: number;
}

export const noUsage: Usage = {
  inputTokens: 0,
  cachedInputTokens: 0,
  cacheWriteTokens: 0,
  outputTokens: 0,
  reasoningTokens: 0,
};

export type FinishReason = 'stop' | 'length' | 'toolCalls' | 'contentFilter';

/**
 * An answer as it comes. Pieces of a text follow each other until something else comes. A reasoning event with `opaque`
 * ends its block. A `toolCall` begins a call (id and name are always there), `toolArguments` with the same index go on
 * with it; indexes count from 0 in the order of beginning, and calls may be interleaved.
 *
 * From a provider: `start`, `usage` and `finish` come whenever they are known, `usage` again if it is known better.
 * From the pipeline: exactly one `start` first; then content; then exactly one `usage`, and `finish` last. By then the
 * cost is written down.
 */
export type ModelEvent = StartEvent | ContentEvent | UsageEvent | FinishEvent;

export interface StartEvent {
  type: 'start';
  /** The provider's id of the answer. */
  id?: string;
  /** The provider's name for the model that answers. */
  model?: string;
  /** What is known of the input by now. */
  usage?: Usage;
}

export type ContentEvent =
  | { type: 'text'; text: string; opaque?: Opaque }
  | { type: 'refusal'; text: string }
  | { type: 'reasoning'; text?: string; opaque?: Opaque }
  | { type: 'toolCall'; index: number; id: string; name: string; opaque?: Opaque }
  | { type: 'toolArguments'; index: number; arguments: string };

export interface UsageEvent {
  type: 'usage';
  usage: Usage;
}

export interface FinishEvent {
  type: 'finish';
  reason: FinishReason;
  /** The sequence that stopped the model, if the provider says so. */
  stopSequence?: string;
}

export type AnswerPart = TextPart | ReasoningPart | ToolCallPart | RefusalPart;

export interface Answer {
  parts: AnswerPart[];
  finish: FinishReason;
  stopSequence?: string;
  /** From a provider: absent if it did not say. From the pipeline: always there. */
  usage?: Usage;
  id?: string;
  model?: string;
}

export const isContent = (event: ModelEvent): event is ContentEvent =>
  event.type !== 'start' && event.type !== 'usage' && event.type !== 'finish';

/** Puts an answer together from its events. */
export class AnswerBuilder {
  readonly #parts: AnswerPart[] = [];
  readonly #calls = new Map<number, ToolCallPart>();
  #ended = true;
  #finish: FinishEvent | undefined;
  #usage: Usage | undefined;
  #start: StartEvent | undefined;

  add(event: ModelEvent): void {
    switch (event.type) {
      case 'start':
        this.#start = event;
        return;
      case 'usage':
        this.#usage = event.usage;
        return;
      case 'finish':
        this.#finish = event;
        return;
      case 'toolCall': {
        const { id, name, opaque } = event;
        const call: ToolCallPart = { type: 'toolCall', id, name, arguments: '', ...(opaque && { opaque }) };
        this.#calls.set(event.index, call);
        this.#parts.push(call);
        return;
      }
      case 'toolArguments': {
        const call = this.#calls.get(event.index);
        if (call) call.arguments += event.arguments;
        return;
      }
      default:
        this.#addText(event);
    }
  }

  #addText(event: Exclude<ContentEvent, { type: 'toolCall' | 'toolArguments' }>): void {
    const last = this.#parts.at(-1);
    const opaque = event.type === 'refusal' ? undefined : event.opaque;
    if (last?.type === event.type && !this.#ended) last.text = (last.text ?? '') + (event.text ?? '');
    else this.#parts.push({ ...event });
    const current = this.#parts.at(-1);
    if (opaque && current && current.type !== 'refusal') (current as ReasoningPart).opaque = opaque;
    this.#ended = opaque !== undefined;
  }

  /** `undefined` before the answer is complete. */
  get answer(): Answer | undefined {
    if (!this.#finish) return undefined;
    return {
      parts: this.#parts,
      finish: this.#finish.reason,
      ...(this.#finish.stopSequence === undefined ? {} : { stopSequence: this.#finish.stopSequence }),
      ...(this.#usage ? { usage: this.#usage } : {}),
      ...(this.#start?.id === undefined ? {} : { id: this.#start.id }),
      ...(this.#start?.model === undefined ? {} : { model: this.#start.model }),
    };
  }
}

/** The answer told as a stream: what a journal plays back. */
export function* eventsOf(answer: Answer): Generator<ModelEvent> {
  const { id, model, usage, stopSequence } = answer;
  yield { type: 'start', ...(id === undefined ? {} : { id }), ...(model === undefined ? {} : { model }) };
  let index = 0;
  for (const part of answer.parts) {
    if (part.type !== 'toolCall') {
      yield withoutCache(part);
      continue;
    }
    const { id: callId, name, opaque } = part;
    yield { type: 'toolCall', index, id: callId, name, ...(opaque && { opaque }) };
    if (part.arguments !== '') yield { type: 'toolArguments', index, arguments: part.arguments };
    index += 1;
  }
  if (usage) yield { type: 'usage', usage };
  yield { type: 'finish', reason: answer.finish, ...(stopSequence === undefined ? {} : { stopSequence }) };
}

function withoutCache(part: Exclude<AnswerPart, ToolCallPart>): ContentEvent {
  if (part.type !== 'text') return part;
  const { text, opaque } = part;
  return { type: 'text', text, ...(opaque && { opaque }) };
}

// eslint-disable-next-line @typescript-eslint/require-await -- what is read as a stream elsewhere is here at once
export async function* replayed(answer: Answer): AsyncGenerator<ModelEvent, void> {
  yield* eventsOf(answer);
}

/** The text of an answer; null if there is none. */
export function textOfAnswer({ parts }: Answer): string | null {
  const texts = parts.flatMap((part) => (part.type === 'text' ? [part.text] : []));
  return texts.length === 0 ? null : texts.join('');
}

/** Characters that the model said or thought aloud. */
export const lengthOfContent = (part: ContentEvent | AnswerPart): number => {
  if (part.type === 'toolCall') return part.name.length + ('arguments' in part ? part.arguments.length : 0);
  if (part.type === 'toolArguments') return part.arguments.length;
  return part.text?.length ?? 0;
};

export function addUsage(left: Usage, right: Usage): Usage {
  const long = (left.longCacheWriteTokens ?? 0) + (right.longCacheWriteTokens ?? 0);
  return {
    inputTokens: left.inputTokens + right.inputTokens,
    cachedInputTokens: left.cachedInputTokens + right.cachedInputTokens,
    cacheWriteTokens: left.cacheWriteTokens + right.cacheWriteTokens,
    ...(long === 0 ? {} : { longCacheWriteTokens: long }),
    outputTokens: left.outputTokens + right.outputTokens,
    reasoningTokens: left.reasoningTokens + right.reasoningTokens,
  };
}
