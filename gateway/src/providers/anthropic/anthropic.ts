// Anthropic's Messages API.
import type { ModelEvent } from '../../conversation/answer.ts';
import { eventsOf } from '../../conversation/answer.ts';
import { refuseForeign, refuseSettings } from '../foreign.ts';
import type { ModelCall, Provider } from '../provider.ts';
import type { Upstream } from '../upstream.ts';
import { addressOf, askStreamed, askWhole, upstreamModel, type WireRequest } from '../wire.ts';
import { messagesAnswer, MessagesStream } from './answer.ts';
import { takesSchemas } from './models.ts';
import { messagesBody } from './request.ts';
import { canBeHeld } from './schema.ts';

const DEFAULT_BASE_URL = 'https://api.anthropic.com';
const VERSION = '2026-10-21';
const WHO = 'Anthropic models';

export function createAnthropic(upstream: Upstream): Provider {
  const wireRequest = (call: ModelCall, streamed: boolean): WireRequest => ({
    url: addressOf(call, DEFAULT_BASE_URL, '/v1/messages'),
    headers: {
      'anthropic-version': VERSION,
      ...(call.apiKey === undefined ? {} : { authorization: `Bearer ${call.apiKey}` }),
    },
    body: messagesBody(call.request, upstreamModel(call), streamed),
  });

  return {
    formatMode: ({ output }, { spec }) =>
      output?.type === 'schema' && takesSchemas(spec.model ?? '') && canBeHeld(output.schema)
        ? 'native'
        : 'instruction',
    check: (request) => {
      refuseForeign(request, 'messages', WHO);
      refuseSettings(request, ['seed', 'frequencyPenalty', 'presencePenalty'], WHO);
    },
    generate: async (call) => messagesAnswer(await askWhole(upstream, call, wireRequest(call, false))),
    stream: async function* (call): AsyncGenerator<ModelEvent, void> {
      const reader = new MessagesStream();
      for await (const event of askStreamed(upstream, call, wireRequest(call, true))) {
        if ('value' in event) yield* reader.read(event.value);
        else yield* eventsOf(messagesAnswer(event.whole));
      }
    },
  };
}
