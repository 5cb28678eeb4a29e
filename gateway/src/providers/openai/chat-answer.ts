// What OpenAI's chat completions answer, and servers that merely claim to: those leave out what the protocol promises.
import { randomUUID } from 'node:crypto';
import type { Answer, AnswerPart, FinishReason, ModelEvent, Usage } from '../../conversation/answer.ts';
import { fromAnswer } from '../failures.ts';
import { ProviderError } from '../provider.ts';
import { errorOf } from '../wire.ts';

interface Completion {
  id?: string;
  model?: string;
  choices?: { message?: Message | null; finish_reason?: string | null }[] | null;
  usage?: Counts | null;
}

interface Message {
  content?: string | null;
  refusal?: string | null;
  /** DeepSeek and vLLM say `reasoning_content`, OpenRouter and newer vLLM `reasoning`. */
  reasoning_content?: string | null;
  reasoning?: string | null;
  tool_calls?: WireCall[] | null;
}

interface WireCall {
  index?: number | null;
  id?: string | null;
  type?: string | null;
  function?: { name?: string | null; arguments?: string | null } | null;
}

interface Counts {
  prompt_tokens: number;
  completion_tokens: number;
  prompt_tokens_details?: { cached_tokens?: number | null; cache_write_tokens?: number | null } | null;
  completion_tokens_details?: { reasoning_tokens?: number | null } | null;
}

interface Chunk {
  id?: string;
  model?: string;
  choices?: { delta?: Message | null; finish_reason?: string | null }[] | null;
  usage?: Counts | null;
  error?: unknown;
}

export function chatAnswer(value: unknown): Answer {
  const { id, model, choices, usage } = objectOf(value) as Completion;
  const choice = choices?.[0];
  const counted = usage ? usageOf(usage) : undefined;
  if (!choice?.message) throw new ProviderError('malformed', 'answered without a choice', { usage: counted });
  const parts = partsOf(choice.message);
  return {
    parts,
    finish:
      finishOf(
        choice.finish_reason,
        parts.some(({ type }) => type === 'toolCall'),
      ) ?? 'stop',
    ...(counted ? { usage: counted } : {}),
    ...(typeof id === 'string' ? { id } : {}),
    ...(typeof model === 'string' ? { model } : {}),
  };
}

function partsOf({ content, refusal, tool_calls: calls, reasoning_content, reasoning }: Message): AnswerPart[] {
  const thought = reasoning_content ?? reasoning;
  const parts: AnswerPart[] = [];
  if (thought) parts.push({ type: 'reasoning', text: thought });
  if (typeof content === 'string') parts.push({ type: 'text', text: content });
  if (refusal) parts.push({ type: 'refusal', text: refusal });
  for (const { id, function: called } of calls ?? []) {
    if (!called?.name) throw new ProviderError('malformed', 'called a tool without a name');
    parts.push({ type: 'toolCall', id: id ?? madeUpId(), name: called.name, arguments: called.arguments ?? '' });
  }
  return parts;
}

/** Ids are for the answer to find its call; some servers give none. */
export const madeUpId = (): string => `call_${randomUUID().replaceAll('-', '').slice(0, 24)}`;

/** Reads the chunks of one answer. */
export class ChatStream {
  #started = false;
  readonly #calls: OpenCall[] = [];

  /** Throws a {@link ProviderError} for an error that comes in place of a chunk. */
  *read(value: unknown): Generator<ModelEvent> {
    const { id, model, choices, usage, error } = objectOf(value) as Chunk;
    if (error !== undefined && error !== null) throw fromAnswer(errorOf({ error }));
    if (!this.#started) {
      this.#started = true;
      yield {
        type: 'start',
        ...(typeof id === 'string' ? { id } : {}),
        ...(typeof model === 'string' ? { model } : {}),
      };
    }
    if (usage) yield { type: 'usage', usage: usageOf(usage) };
    const choice = choices?.[0];
    if (!choice) return;
    if (choice.delta) yield* this.#delta(choice.delta);
    const reason = finishOf(choice.finish_reason, this.#calls.length > 0);
    if (reason) yield { type: 'finish', reason };
  }

  *#delta({ content, refusal, tool_calls: calls, reasoning_content, reasoning }: Message): Generator<ModelEvent> {
    const thought = reasoning_content ?? reasoning;
    if (thought) yield { type: 'reasoning', text: thought };
    if (content) yield { type: 'text', text: content };
    if (refusal) yield { type: 'refusal', text: refusal };
    if (calls) for (const call of calls) yield* this.#call(call);
  }

  *#call({ index, id, function: called }: WireCall): Generator<ModelEvent> {
    const call = this.#callAt(index ?? undefined, id ?? undefined);
    call.id ??= id ?? undefined;
    call.name ??= called?.name ?? undefined;
    const args = called?.arguments ?? '';
    if (call.begun) {
      if (args !== '') yield { type: 'toolArguments', index: call.place, arguments: args };
      return;
    }
    call.early += args;
    if (call.name === undefined || call.name === '') return;
    call.begun = true;
    yield { type: 'toolCall', index: call.place, id: call.id ?? madeUpId(), name: call.name };
    if (call.early !== '') yield { type: 'toolArguments', index: call.place, arguments: call.early };
  }

  /** Servers without indexes, or with 0 for all, tell calls apart by their ids. */
  #callAt(index: number | undefined, id: string | undefined): OpenCall {
    const known = index === undefined ? this.#calls.at(-1) : this.#calls.findLast((call) => call.index === index);
    const another = known?.id !== undefined && id !== undefined && id !== '' && known.id !== id;
    if (known && !another) return known;
    const call: OpenCall = { index, place: this.#calls.length, begun: false, early: '' };
    this.#calls.push(call);
    return call;
  }
}

interface OpenCall {
  /** What the server calls it. */
  index: number | undefined;
  /** Counted from 0 in the order of beginning. */
  place: number;
  id?: string | undefined;
  name?: string | undefined;
  begun: boolean;
  /** Arguments that came before the name. */
  early: string;
}

function finishOf(reason: string | null | undefined, called: boolean): FinishReason | undefined {
  if (reason === null || reason === undefined || reason === '') return undefined;
  if (reason === 'length') return 'length';
  if (reason === 'content_filter') return 'contentFilter';
  return called || reason === 'tool_calls' || reason === 'function_call' ? 'toolCalls' : 'stop';
}

function usageOf(counts: Counts): Usage {
  return {
    inputTokens: counts.prompt_tokens,
    cachedInputTokens: counts.prompt_tokens_details?.cached_tokens ?? 0,
    cacheWriteTokens: counts.prompt_tokens_details?.cache_write_tokens ?? 0,
    outputTokens: counts.completion_tokens,
    reasoningTokens: counts.completion_tokens_details?.reasoning_tokens ?? 0,
  };
}

export function objectOf(value: unknown): object {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value;
  throw new ProviderError('malformed', 'sent an answer that makes no sense');
}
