// What a client of Anthropic's Messages expects to read.
import { noUsage, type AnswerPart, type FinishReason, type ModelEvent, type Usage } from '../../conversation/answer.ts';
import { argumentsOf } from '../../conversation/arguments.ts';
import { packSignature, packToolCallId, type Opaque } from '../../conversation/opaque.ts';
import type { GatewayError } from '../../errors.ts';
import type { AnswerEncoder, CompleteAnswer, Envelope } from '../door.ts';
import { OpenCalls } from '../open-calls.ts';
import { serverSentEvent } from '../response-writer.ts';

export function message({ parts, finish, stopSequence, usage }: CompleteAnswer, envelope: Envelope): object {
  const refused = parts.some(({ type }) => type === 'refusal');
  return {
    ...headOf(envelope),
    content: parts.flatMap(blockOf),
    ...endOf(finish, stopSequence, refused),
    usage: usageShape(usage),
  };
}

const headOf = ({ requestId, model }: Envelope): object => ({
  id: `msg_${requestId.replace(/^req_/, '')}`,
  type: 'message',
  role: 'assistant',
  model,
});

function blockOf(part: AnswerPart): object[] {
  if (part.type === 'toolCall') return [{ ...callBlock(part), input: argumentsOf(part.arguments) }];
  if (part.type === 'reasoning') return thoughtOf(part.text ?? '', part.opaque);
  return part.text === '' ? [] : [{ type: 'text', text: part.text, citations: null }];
}

const callBlock = ({ id, name, opaque }: { id: string; name: string; opaque?: Opaque }): object => ({
  type: 'tool_use',
  id: packToolCallId({ id, thoughts: [], ...(opaque && { opaque }) }),
  name,
});

type Redacted = Opaque & { kind: 'redacted' };

const isRedacted = (opaque: Opaque | undefined): opaque is Redacted =>
  opaque?.family === 'anthropic' && opaque.kind === 'redacted';

function thoughtOf(text: string, opaque: Opaque | undefined): object[] {
  if (isRedacted(opaque)) return [...thoughtOf(text, undefined), { type: 'redacted_thinking', data: opaque.data }];
  if (text === '' && !opaque) return [];
  return [{ type: 'thinking', thinking: text, signature: opaque ? packSignature(opaque, 'anthropic') : '' }];
}

function endOf(finish: FinishReason, stopSequence: string | undefined, refused: boolean): object {
  const stopped = finish === 'stop' && stopSequence !== undefined ? 'stop_sequence' : stopReasons[finish];
  return {
    stop_reason: refused && finish === 'stop' ? 'refusal' : stopped,
    stop_sequence: stopped === 'stop_sequence' ? stopSequence : null,
    stop_details: null,
  };
}

const stopReasons = {
  stop: 'end_turn',
  length: 'max_tokens',
  toolCalls: 'tool_use',
  contentFilter: 'refusal',
} as const satisfies Record<FinishReason, string>;

/** Anthropic counts what was read from the cache and written to it apart from the input. */
function usageShape({ inputTokens, cachedInputTokens, cacheWriteTokens, ...usage }: Usage): object {
  const long = usage.longCacheWriteTokens ?? 0;
  return {
    input_tokens: Math.max(0, inputTokens - cachedInputTokens - cacheWriteTokens),
    cache_creation_input_tokens: cacheWriteTokens,
    cache_read_input_tokens: cachedInputTokens,
    cache_creation: { ephemeral_5m_input_tokens: cacheWriteTokens - long, ephemeral_1h_input_tokens: long },
    output_tokens: usage.outputTokens,
    output_tokens_details: { thinking_tokens: usage.reasoningTokens },
  };
}

const sse = (type: string, fields: object): string => serverSentEvent(JSON.stringify({ type, ...fields }), type);

export function messagesEncoder(envelope: Envelope): AnswerEncoder {
  const blocks = new Blocks();
  let refused = false;
  let used = noUsage;

  const endOfAnswer = ({ reason, stopSequence }: Extract<ModelEvent, { type: 'finish' }>): string => {
    const delta = { ...endOf(reason, stopSequence, refused), container: null };
    return blocks.end() + sse('message_delta', { delta, usage: usageShape(used) }) + sse('message_stop', {});
  };

  return {
    event: (event) => {
      switch (event.type) {
        case 'start': {
          const end = { stop_reason: null, stop_sequence: null, stop_details: null };
          const usage = usageShape(event.usage ?? noUsage);
          return sse('message_start', { message: { ...headOf(envelope), content: [], ...end, usage } });
        }
        case 'refusal':
          refused = true;
          return blocks.text('refusal', event.text);
        case 'text':
          return blocks.text('text', event.text) + (event.opaque ? blocks.close() : '');
        case 'reasoning':
          return blocks.thought(event.text ?? '', event.opaque);
        case 'toolCall':
          return blocks.call(event);
        case 'toolArguments':
          return blocks.arguments(event.index, event.arguments);
        case 'usage':
          used = event.usage;
          return '';
        case 'finish':
          return endOfAnswer(event);
      }
    },
    failure: (error) => serverSentEvent(JSON.stringify(errorBody(error)), 'error'),
  };
}

/** The blocks of one answer: each is begun, told piece by piece, and ended. */
class Blocks {
  #next = 0;
  #open: { index: number; kind: 'text' | 'refusal' | 'thinking' } | undefined;
  readonly #calls = new OpenCalls<number>();

  text(kind: 'text' | 'refusal', text: string): string {
    if (text === '') return '';
    const begun = this.#begin(kind, { type: 'text', text: '', citations: null });
    return begun + this.#delta({ type: 'text_delta', text });
  }

  thought(thinking: string, opaque: Opaque | undefined): string {
    if (isRedacted(opaque)) {
      const before = thinking === '' ? '' : this.thought(thinking, undefined);
      return before + this.close() + this.#whole({ type: 'redacted_thinking', data: opaque.data });
    }
    if (thinking === '' && !opaque) return '';
    let text = this.#begin('thinking', { type: 'thinking', thinking: '', signature: '' });
    if (thinking !== '') text += this.#delta({ type: 'thinking_delta', thinking });
    if (!opaque) return text;
    text += this.#delta({ type: 'signature_delta', signature: packSignature(opaque, 'anthropic') });
    return text + this.close();
  }

  call(event: Extract<ModelEvent, { type: 'toolCall' }>): string {
    const ended = this.close();
    const index = this.#take();
    this.#calls.begin(event.index, index);
    return ended + sse('content_block_start', { index, content_block: { ...callBlock(event), input: {} } });
  }

  arguments(call: number, text: string): string {
    if (text === '') return '';
    const index = this.#calls.add(call, text);
    if (index === undefined) return '';
    return sse('content_block_delta', { index, delta: { type: 'input_json_delta', partial_json: text } });
  }

  /** Ends whatever can be over. */
  close(): string {
    const index = this.#open?.index;
    this.#open = undefined;
    let text = index === undefined ? '' : stop(index);
    for (const { state } of this.#calls.complete()) text += stop(state);
    return text;
  }

  end(): string {
    let text = this.close();
    for (const { state } of this.#calls.rest()) text += stop(state);
    return text;
  }

  #take(): number {
    this.#next += 1;
    return this.#next - 1;
  }

  #begin(kind: 'text' | 'refusal' | 'thinking', block: object): string {
    if (this.#open?.kind === kind) return '';
    const ended = this.close();
    this.#open = { kind, index: this.#take() };
    return ended + sse('content_block_start', { index: this.#open.index, content_block: block });
  }

  #whole(block: object): string {
    const index = this.#take();
    return sse('content_block_start', { index, content_block: block }) + stop(index);
  }

  #delta(delta: object): string {
    return sse('content_block_delta', { index: this.#open?.index, delta });
  }
}

const stop = (index: number): string => sse('content_block_stop', { index });

/** As Anthropic writes it, with the reason of Kadre's own as `code`. */
export const errorBody = ({ status, message: text, code, param }: GatewayError): object => ({
  type: 'error',
  error: {
    type: errorTypes[status] ?? (status >= 500 ? 'api_error' : 'invalid_request_error'),
    message: text,
    code,
    param,
  },
});

const errorTypes: Readonly<Record<number, string>> = {
  401: 'authentication_error',
  403: 'permission_error',
  404: 'not_found_error',
  413: 'request_too_large',
  429: 'rate_limit_error',
  503: 'overloaded_error',
  504: 'timeout_error',
};
