// What a client of OpenAI's chat completions expects to read.
import type { FinishReason, ModelEvent, Usage } from '../../conversation/answer.ts';
import { packToolCallId, type CarriedThought, type Opaque } from '../../conversation/opaque.ts';
import type { GatewayError } from '../../errors.ts';
import type { AnswerEncoder, CompleteAnswer, Envelope } from '../door.ts';
import { serverSentEvent } from '../response-writer.ts';
import type { ChatOptions } from './request.ts';

export function completion({ parts, finish, usage }: CompleteAnswer, envelope: Envelope): object {
  const thoughts = new Thoughts();
  const said = { text: '', refusal: '', thought: '' };
  let spoke = false;
  const calls: object[] = [];
  for (const part of parts) {
    if (part.type === 'text') {
      spoke = true;
      said.text += part.text;
    } else if (part.type === 'refusal') {
      said.refusal += part.text;
    } else if (part.type === 'reasoning') {
      said.thought += part.text ?? '';
      thoughts.add(part.text, part.opaque);
    } else {
      const { id, name, arguments: args, opaque } = part;
      calls.push({ id: thoughts.pack(id, opaque), type: 'function', function: { name, arguments: args } });
    }
  }
  const message = {
    role: 'assistant',
    content: spoke ? said.text : null,
    refusal: said.refusal === '' ? null : said.refusal,
    ...(said.thought === '' ? {} : { reasoning_content: said.thought }),
    ...(calls.length === 0 ? {} : { tool_calls: calls }),
  };
  return {
    id: idOf(envelope),
    object: 'chat.completion',
    created: Math.floor(envelope.createdAt / 1000),
    model: envelope.model,
    choices: [{ index: 0, message, logprobs: null, finish_reason: finishReasons[finish] }],
    usage: usageShape(usage),
  };
}

/** Blobs that the provider wants back travel in the id of the call that they led to. */
class Thoughts {
  #done: CarriedThought[] = [];
  #text = '';

  add(text: string | undefined, opaque: Opaque | undefined): void {
    this.#text += text ?? '';
    if (!opaque) return;
    this.#done.push(this.#text === '' ? { opaque } : { text: this.#text, opaque });
    this.#text = '';
  }

  pack(id: string, opaque: Opaque | undefined): string {
    const thoughts = this.#done;
    this.#done = [];
    return packToolCallId({ id, thoughts, ...(opaque && { opaque }) });
  }
}

/** Chunks differ in their delta alone, so what stands around it is written once. */
export function chatEncoder(envelope: Envelope, { includeUsage }: ChatOptions): AnswerEncoder {
  const shared = {
    id: idOf(envelope),
    object: 'chat.completion.chunk',
    created: Math.floor(envelope.createdAt / 1000),
    model: envelope.model,
  };
  const head = `data: ${JSON.stringify(shared).slice(0, -1)},"choices":[{"index":0,"delta":`;
  // With `include_usage`, each chunk but the last says that it has none.
  const close = includeUsage ? '}],"usage":null}\n\n' : '}]}\n\n';
  const tail = `,"logprobs":null,"finish_reason":null${close}`;
  const thoughts = new Thoughts();
  let used: Usage | undefined;

  const callOf = ({ index, id, name, opaque }: Extract<ModelEvent, { type: 'toolCall' }>): string =>
    `${head}${JSON.stringify({
      tool_calls: [{ index, id: thoughts.pack(id, opaque), type: 'function', function: { name, arguments: '' } }],
    })}${tail}`;

  const endOf = (reason: FinishReason): string => {
    const last = `${head}{},"logprobs":null,"finish_reason":"${finishReasons[reason]}"${close}`;
    const counted =
      includeUsage && used ? serverSentEvent(JSON.stringify({ ...shared, choices: [], usage: usageShape(used) })) : '';
    return `${last}${counted}data: [DONE]\n\n`;
  };

  return {
    event: (event) => {
      switch (event.type) {
        case 'start':
          return `${head}{"role":"assistant","content":""}${tail}`;
        case 'text':
          return event.text === '' ? '' : `${head}{"content":${JSON.stringify(event.text)}}${tail}`;
        case 'refusal':
          return `${head}{"refusal":${JSON.stringify(event.text)}}${tail}`;
        case 'reasoning':
          thoughts.add(event.text, event.opaque);
          return event.text ? `${head}{"reasoning_content":${JSON.stringify(event.text)}}${tail}` : '';
        case 'toolCall':
          return callOf(event);
        case 'toolArguments':
          return `${head}{"tool_calls":[{"index":${event.index},"function":{"arguments":${JSON.stringify(event.arguments)}}}]}${tail}`;
        case 'usage':
          used = event.usage;
          return '';
        case 'finish':
          return endOf(event.reason);
      }
    },
    failure: (error: GatewayError) => serverSentEvent(JSON.stringify(error.body())),
  };
}

const idOf = ({ requestId }: Envelope): string => `chatcmpl-${requestId.replace(/^req_/, '')}`;

const finishReasons = {
  stop: 'stop',
  length: 'length',
  toolCalls: 'tool_calls',
  contentFilter: 'content_filter',
} as const satisfies Record<FinishReason, string>;

const usageShape = (usage: Usage): object => ({
  prompt_tokens: usage.inputTokens,
  completion_tokens: usage.outputTokens,
  total_tokens: usage.inputTokens + usage.outputTokens,
  prompt_tokens_details: {
    cached_tokens: usage.cachedInputTokens,
    ...(usage.cacheWriteTokens === 0 ? {} : { cache_write_tokens: usage.cacheWriteTokens }),
  },
  completion_tokens_details: { reasoning_tokens: usage.reasoningTokens },
});
