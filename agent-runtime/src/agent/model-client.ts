// The agent's way to its model: the gateway, on the OpenAI wire.
import { AgentFailure } from '../failure.ts';
import { chatChunk, chatCompletion, chatError, type ChatChunk, type ChatCompletion } from './chat.ts';
import {
  MAX_ANSWER_BYTES,
  callFailure,
  knownReason,
  parseJson,
  type GatewayClient,
  type GatewayRequest,
  type Numbered,
} from './gateway-client.ts';

export interface ModelCall extends Numbered {
  /** The request on the OpenAI wire, without `stream`. */
  body: Record<string, unknown>;
}

export interface ModelClient {
  /** Throws {@link AgentFailure}. */
  complete(call: ModelCall): Promise<ChatCompletion>;
  /** Ends normally only after the model has said that it is done. Throws {@link AgentFailure}. */
  stream(call: ModelCall): AsyncGenerator<ChatChunk, void, undefined>;
}

const requestOf = (body: object, accept: string): GatewayRequest => ({
  path: '/v1/chat/completions',
  body: JSON.stringify(body),
  accept,
  otherwise: 'ModelFailed',
});

export function createModelClient(gateway: GatewayClient): ModelClient {
  return {
    async complete(call) {
      const text = await gateway.text(call, requestOf(call.body, 'application/json'));
      const parsed = chatCompletion.safeParse(parseJson(text));
      if (!parsed.success)
        throw new AgentFailure('ModelFailed', 'The gateway sent an answer that is no chat completion.');
      return parsed.data;
    },
    async *stream(call) {
      yield* chunksOf(await gateway.open(call, requestOf({ ...call.body, stream: true }, 'text/event-stream')), call);
    },
  };
}

async function* chunksOf(body: AsyncIterable<unknown>, call: ModelCall): AsyncGenerator<ChatChunk, void, undefined> {
  const { createParser } = await import('eventsource-parser');
  const pending: string[] = [];
  const parser = createParser({ onEvent: ({ data }) => pending.push(data), maxBufferSize: MAX_ANSWER_BYTES });
  const decoder = new TextDecoder();
  let finished = false;
  try {
    for await (const bytes of body) {
      parser.feed(decoder.decode(bytes as Uint8Array, { stream: true }));
      for (const data of pending.splice(0)) {
        if (data === '[DONE]') return;
        const chunk = parseChunk(data);
        finished ||= chunk.choices.some(({ finish_reason }) => typeof finish_reason === 'string');
        yield chunk;
      }
    }
  } catch (error) {
    const { reason, message, details } = callFailure(error, call);
    throw new AgentFailure(reason, message, {
      ...details,
      brokeOff: !(error instanceof AgentFailure) && !call.signal.aborted,
    });
  }
  if (!finished)
    throw new AgentFailure('ModelUnavailable', 'The stream from the gateway ended before the answer was complete.', {
      brokeOff: true,
    });
}

function parseChunk(data: string): ChatChunk {
  const json = parseJson(data);
  const chunk = chatChunk.safeParse(json);
  if (chunk.success) return chunk.data;
  const stated = chatError.safeParse(json);
  if (!stated.success)
    throw new AgentFailure('ModelFailed', 'The gateway sent a piece of an answer that is no chat completion chunk.');
  throw new AgentFailure(knownReason(stated.data.error.code) ?? 'ModelFailed', stated.data.error.message);
}
