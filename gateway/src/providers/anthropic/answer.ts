// What Anthropic's Messages answer.
import type { Answer, AnswerPart, FinishReason, ModelEvent, Usage } from '../../conversation/answer.ts';
import { fromAnswer } from '../failures.ts';
import { ProviderError } from '../provider.ts';
import { errorOf } from '../wire.ts';

interface WireMessage {
  id?: string;
  model?: string;
  content?: Block[];
  stop_reason?: string | null;
  stop_sequence?: string | null;
  usage?: Counts | null;
}

interface Block {
  type?: string;
  text?: string;
  thinking?: string;
  signature?: string;
  data?: string;
  id?: string;
  name?: string;
  input?: unknown;
}

interface Counts {
  input_tokens?: number | null;
  cache_read_input_tokens?: number | null;
  cache_creation_input_tokens?: number | null;
  cache_creation?: { ephemeral_1h_input_tokens?: number | null } | null;
  output_tokens?: number | null;
  output_tokens_details?: { thinking_tokens?: number | null } | null;
}

interface WireEvent {
  type?: string;
  message?: WireMessage;
  index?: number;
  content_block?: Block;
  delta?: {
    type?: string;
    text?: string;
    thinking?: string;
    signature?: string;
    partial_json?: string;
    stop_reason?: string | null;
    stop_sequence?: string | null;
  };
  usage?: Counts | null;
  error?: unknown;
}

export function messagesAnswer(value: unknown): Answer {
  const { id, model, content, usage, stop_reason: reason, stop_sequence: sequence } = (value ?? {}) as WireMessage;
  const counted = usage ? usageOf(usage) : undefined;
  if (!Array.isArray(content)) throw new ProviderError('malformed', 'answered without content', { usage: counted });
  return {
    parts: content.flatMap(partOf),
    finish: finishOf(reason ?? 'end_turn'),
    ...(typeof sequence === 'string' ? { stopSequence: sequence } : {}),
    ...(counted ? { usage: counted } : {}),
    ...(typeof id === 'string' ? { id } : {}),
    ...(typeof model === 'string' ? { model } : {}),
  };
}

function partOf({ type, text = '', thinking = '', signature, data = '', id, name, input }: Block): AnswerPart[] {
  if (type === 'text') return [{ type: 'text', text }];
  if (type === 'tool_use') return [{ type: 'toolCall', ...calledOf(id, name), arguments: JSON.stringify(input ?? {}) }];
  if (type === 'redacted_thinking') {
    return [{ type: 'reasoning', opaque: { family: 'anthropic', data, kind: 'redacted' } }];
  }
  if (type !== 'thinking') return [];
  const opaque = signature ? { opaque: { family: 'anthropic' as const, data: signature } } : {};
  return [{ type: 'reasoning', text: thinking, ...opaque }];
}

function calledOf(id: string | undefined, name: string | undefined): { id: string; name: string } {
  if (id && name) return { id, name };
  throw new ProviderError('malformed', 'called a tool without a name');
}

/** What is known of a block until it ends. */
interface OpenBlock {
  type: 'toolCall' | 'thinking' | 'other';
  index: number;
  signature: string;
  empty: boolean;
}

/** Reads the events of one answer; those that it does not know, pings among them, are none of its business. */
export class MessagesStream {
  readonly #blocks = new Map<number, OpenBlock>();
  #calls = 0;
  #usage: Usage | undefined;

  /** Throws a {@link ProviderError} for an error event. */
  *read(value: unknown): Generator<ModelEvent> {
    const event = (value ?? {}) as WireEvent;
    switch (event.type) {
      case 'message_start':
        yield this.#start(event.message ?? {});
        return;
      case 'content_block_start':
        yield* this.#begin(event.index ?? 0, event.content_block ?? {});
        return;
      case 'content_block_delta':
        yield* this.#delta(event.index ?? 0, event.delta ?? {});
        return;
      case 'content_block_stop':
        yield* this.#stop(event.index ?? 0);
        return;
      case 'message_delta':
        yield* this.#end(event);
        return;
      case 'error':
        throw fromAnswer(errorOf(event));
      default:
    }
  }

  #start({ id, model, usage }: WireMessage): ModelEvent {
    if (usage) this.#usage = usageOf(usage);
    return {
      type: 'start',
      ...(typeof id === 'string' ? { id } : {}),
      ...(typeof model === 'string' ? { model } : {}),
      ...(this.#usage ? { usage: this.#usage } : {}),
    };
  }

  *#begin(place: number, block: Block): Generator<ModelEvent> {
    const open: OpenBlock = { type: 'other', index: this.#calls, signature: '', empty: true };
    this.#blocks.set(place, open);
    if (block.type === 'tool_use') {
      open.type = 'toolCall';
      this.#calls += 1;
      yield { type: 'toolCall', index: open.index, ...calledOf(block.id, block.name) };
    } else if (block.type === 'thinking') {
      open.type = 'thinking';
      open.signature = block.signature ?? '';
      if (block.thinking) yield { type: 'reasoning', text: block.thinking };
    } else if (block.type === 'redacted_thinking') {
      yield { type: 'reasoning', opaque: { family: 'anthropic', data: block.data ?? '', kind: 'redacted' } };
    } else if (block.type === 'text' && block.text) {
      yield { type: 'text', text: block.text };
    }
  }

  *#delta(place: number, delta: NonNullable<WireEvent['delta']>): Generator<ModelEvent> {
    const open = this.#blocks.get(place);
    if (delta.type === 'text_delta' && delta.text) yield { type: 'text', text: delta.text };
    if (delta.type === 'thinking_delta' && delta.thinking) yield { type: 'reasoning', text: delta.thinking };
    if (delta.type === 'signature_delta' && open) open.signature += delta.signature ?? '';
    if (delta.type === 'input_json_delta' && delta.partial_json && open?.type === 'toolCall') {
      open.empty = false;
      yield { type: 'toolArguments', index: open.index, arguments: delta.partial_json };
    }
  }

  *#stop(place: number): Generator<ModelEvent> {
    const open = this.#blocks.get(place);
    this.#blocks.delete(place);
    if (open?.type === 'thinking' && open.signature !== '') {
      yield { type: 'reasoning', opaque: { family: 'anthropic', data: open.signature } };
    }
    // A call without arguments comes without a word.
    if (open?.type === 'toolCall' && open.empty) yield { type: 'toolArguments', index: open.index, arguments: '{}' };
  }

  *#end({ usage, delta }: WireEvent): Generator<ModelEvent> {
    // Its counts are totals so far; what it leaves out stands as it was.
    if (usage) yield { type: 'usage', usage: (this.#usage = usageOf(usage, this.#usage)) };
    if (!delta?.stop_reason) return;
    const sequence = delta.stop_sequence;
    yield {
      type: 'finish',
      reason: finishOf(delta.stop_reason),
      ...(typeof sequence === 'string' ? { stopSequence: sequence } : {}),
    };
  }
}

function finishOf(reason: string): FinishReason {
  if (reason === 'max_tokens' || reason === 'model_context_window_exceeded') return 'length';
  if (reason === 'tool_use') return 'toolCalls';
  return reason === 'refusal' ? 'contentFilter' : 'stop';
}

/** Anthropic counts cached input apart from `input_tokens`; Kadre counts it in. */
function usageOf(counts: Counts, before?: Usage): Usage {
  const cached = counts.cache_read_input_tokens ?? before?.cachedInputTokens ?? 0;
  const written = counts.cache_creation_input_tokens ?? before?.cacheWriteTokens ?? 0;
  const long = counts.cache_creation?.ephemeral_1h_input_tokens ?? before?.longCacheWriteTokens ?? 0;
  const plainBefore = before ? before.inputTokens - before.cachedInputTokens - before.cacheWriteTokens : 0;
  return {
    inputTokens: (counts.input_tokens ?? plainBefore) + cached + written,
    cachedInputTokens: cached,
    cacheWriteTokens: written,
    ...(long > 0 ? { longCacheWriteTokens: long } : {}),
    outputTokens: counts.output_tokens ?? before?.outputTokens ?? 0,
    reasoningTokens: counts.output_tokens_details?.thinking_tokens ?? before?.reasoningTokens ?? 0,
  };
}
