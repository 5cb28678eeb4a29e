// What OpenAI's Responses answer.
import type { Answer, AnswerPart, FinishReason, ModelEvent, Usage } from '../../conversation/answer.ts';
import type { Opaque } from '../../conversation/opaque.ts';
import { fromAnswer } from '../failures.ts';
import { ProviderError } from '../provider.ts';
import { errorOf } from '../wire.ts';
import { madeUpId, objectOf } from './chat-answer.ts';

interface Response {
  id?: string;
  model?: string;
  status?: string;
  output?: Item[] | null;
  usage?: Counts | null;
  incomplete_details?: { reason?: string | null } | null;
  error?: unknown;
}

interface Item {
  id?: string;
  type?: string;
  content?: { type?: string; text?: string; refusal?: string }[] | null;
  call_id?: string;
  name?: string;
  arguments?: string | null;
  summary?: { text?: string }[] | null;
  encrypted_content?: string | null;
}

interface Counts {
  input_tokens: number;
  output_tokens: number;
  input_tokens_details?: { cached_tokens?: number | null; cache_write_tokens?: number | null } | null;
  output_tokens_details?: { reasoning_tokens?: number | null } | null;
}

interface WireEvent {
  type?: string;
  response?: Response | null;
  item?: Item | null;
  output_index?: number;
  delta?: string;
  message?: string;
  code?: string | null;
  error?: unknown;
}

export function responsesAnswer(value: unknown): Answer {
  const response = objectOf(value) as Response;
  const { id, model, output, usage } = response;
  const counted = usage ? usageOf(usage) : undefined;
  refuseFailed(response);
  if (!Array.isArray(output)) throw new ProviderError('malformed', 'answered without output', { usage: counted });
  const parts = output.flatMap(partsOf);
  return {
    parts,
    finish: finishOf(
      response,
      parts.some(({ type }) => type === 'toolCall'),
    ),
    ...(counted ? { usage: counted } : {}),
    ...(typeof id === 'string' ? { id } : {}),
    ...(typeof model === 'string' ? { model } : {}),
  };
}

function partsOf(item: Item): AnswerPart[] {
  if (item.type === 'message') {
    return (item.content ?? []).flatMap(({ type, text, refusal }): AnswerPart[] => {
      if (type === 'refusal') return [{ type: 'refusal', text: refusal ?? '' }];
      return type === 'output_text' ? [{ type: 'text', text: text ?? '' }] : [];
    });
  }
  if (item.type === 'function_call') {
    if (!item.name) throw new ProviderError('malformed', 'called a tool without a name');
    return [{ type: 'toolCall', id: item.call_id ?? madeUpId(), name: item.name, arguments: item.arguments ?? '' }];
  }
  if (item.type !== 'reasoning') return [];
  const text = (item.summary ?? []).map((one) => one.text ?? '').join('\n\n');
  const opaque = opaqueOf(item);
  return text === '' && !opaque
    ? []
    : [{ type: 'reasoning', ...(text === '' ? {} : { text }), ...(opaque && { opaque }) }];
}

const opaqueOf = ({ id, encrypted_content: data }: Item): Opaque | undefined =>
  typeof data === 'string' && data !== ''
    ? { family: 'openai', data, ...(typeof id === 'string' ? { id } : {}) }
    : undefined;

/** Reads the events of one answer; those that it does not know are none of its business. */
export class ResponsesStream {
  /** The place of each call, by the index of its item. */
  readonly #calls = new Map<number, number>();
  #thought = false;

  *read(value: unknown): Generator<ModelEvent> {
    const event = objectOf(value) as WireEvent;
    const { delta = '', response } = event;
    switch (event.type) {
      case 'response.created':
        yield {
          type: 'start',
          ...(typeof response?.id === 'string' ? { id: response.id } : {}),
          ...(typeof response?.model === 'string' ? { model: response.model } : {}),
        };
        return;
      case 'response.output_text.delta':
        if (delta !== '') yield { type: 'text', text: delta };
        return;
      case 'response.refusal.delta':
        yield { type: 'refusal', text: delta };
        return;
      case 'response.reasoning_summary_part.added':
        // Parts of a summary are paragraphs.
        if (this.#thought) yield { type: 'reasoning', text: '\n\n' };
        return;
      case 'response.reasoning_summary_text.delta':
      case 'response.reasoning_text.delta':
        this.#thought = true;
        yield { type: 'reasoning', text: delta };
        return;
      case 'response.function_call_arguments.delta':
        yield* this.#arguments(event.output_index, delta);
        return;
      case 'response.output_item.added':
        if (event.item?.type === 'function_call') yield this.#begin(event.item, event.output_index);
        return;
      case 'response.output_item.done':
        yield* this.#done(event.item);
        return;
      case 'response.completed':
      case 'response.incomplete':
      case 'response.failed':
        yield* this.#end(response ?? {});
        return;
      case 'error':
        throw fromAnswer(
          event.error === undefined
            ? { message: event.message ?? 'no reason given', ...(event.code ? { code: event.code } : {}) }
            : errorOf(event),
        );
      default:
        if (event.type === undefined && event.error !== undefined) throw fromAnswer(errorOf(event));
    }
  }

  #begin({ call_id: id, name }: Item, outputIndex = 0): ModelEvent {
    if (!name) throw new ProviderError('malformed', 'called a tool without a name');
    const index = this.#calls.size;
    this.#calls.set(outputIndex, index);
    return { type: 'toolCall', index, id: id ?? madeUpId(), name };
  }

  *#arguments(outputIndex = 0, delta: string): Generator<ModelEvent> {
    const index = this.#calls.get(outputIndex);
    if (index !== undefined && delta !== '') yield { type: 'toolArguments', index, arguments: delta };
  }

  *#done(item: Item | null | undefined): Generator<ModelEvent> {
    if (item?.type !== 'reasoning') return;
    this.#thought = false;
    const opaque = opaqueOf(item);
    if (opaque) yield { type: 'reasoning', opaque };
  }

  *#end(response: Response): Generator<ModelEvent> {
    if (response.usage) yield { type: 'usage', usage: usageOf(response.usage) };
    refuseFailed(response);
    yield { type: 'finish', reason: finishOf(response, this.#calls.size > 0) };
  }
}

function refuseFailed({ status, error, usage }: Response): void {
  if (status === 'failed') throw fromAnswer(errorOf({ error }), usage ? usageOf(usage) : undefined);
}

function finishOf({ status, incomplete_details: details }: Response, called: boolean): FinishReason {
  if (status === 'incomplete') return details?.reason === 'content_filter' ? 'contentFilter' : 'length';
  return called ? 'toolCalls' : 'stop';
}

function usageOf(counts: Counts): Usage {
  return {
    inputTokens: counts.input_tokens,
    cachedInputTokens: counts.input_tokens_details?.cached_tokens ?? 0,
    cacheWriteTokens: counts.input_tokens_details?.cache_write_tokens ?? 0,
    outputTokens: counts.output_tokens,
    reasoningTokens: counts.output_tokens_details?.reasoning_tokens ?? 0,
  };
}
