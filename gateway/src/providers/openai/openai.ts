// OpenAI, and whatever speaks its protocol. Requests that came in that protocol keep the fields that the gateway does not
// know, so that those of one server alone (guided decoding of vLLM, say) reach it.
import type { ProviderModel } from '@kadre/crds';
import { eventsOf, type Answer, type ModelEvent } from '../../conversation/answer.ts';
import type { Dialect, ModelRequest } from '../../conversation/request.ts';
import { refuseForeign, refuseSettings } from '../foreign.ts';
import type { EmbedCall, ModelCall, Provider } from '../provider.ts';
import { addressOf, askStreamed, askWhole, upstreamModel, type WireRequest } from '../wire.ts';
import type { Upstream } from '../upstream.ts';
import { chatAnswer, ChatStream } from './chat-answer.ts';
import { chatBody, type ChatFlavour } from './chat-request.ts';
import { embeddingAnswer, embeddingBody } from './embeddings.ts';
import { responsesAnswer, ResponsesStream } from './responses-answer.ts';
import { responsesBody } from './responses-request.ts';

interface Kind extends ChatFlavour {
  /** Null where each Model has to name one. */
  baseUrl: string | null;
  /** How vectors are asked for: servers of one's own mostly know numbers alone. */
  vectors: 'base64' | 'float';
  who: string;
}

const kinds = {
  openai: {
    baseUrl: 'https://api.openai.com/v1',
    maxTokens: 'max_completion_tokens',
    vectors: 'base64',
    who: 'OpenAI models',
  },
  openaiCompatible: { baseUrl: null, maxTokens: 'max_tokens', vectors: 'float', who: 'models of this server' },
} as const satisfies Record<string, Kind>;

type Api = 'chat-completions' | 'responses';

export function createOpenAi(upstream: Upstream, name: keyof typeof kinds): Provider {
  const kind: Kind = kinds[name];

  const wireRequest = (call: ModelCall, api: Api, streamed: boolean): WireRequest => {
    const model = upstreamModel(call);
    const { request } = call;
    const body =
      api === 'responses' ? responsesBody(request, model, streamed) : chatBody(request, model, streamed, kind);
    const path = api === 'responses' ? '/responses' : '/chat/completions';
    return { url: addressOf(call, kind.baseUrl, path), headers: keyOf(call), body };
  };

  return {
    formatMode: () => 'native',
    check: (request, model) => {
      const api = apiOf(request, model);
      refuseForeign(request, api, kind.who);
      if (name === 'openai') refuseSettings(request, ['topK'], kind.who);
      if (api === 'responses') {
        refuseSettings(request, chatOnly, `${kind.who} that are asked in the Responses protocol`);
      }
    },
    generate: async (call): Promise<Answer> => {
      const api = apiOf(call.request, call.model);
      const value = await askWhole(upstream, call, wireRequest(call, api, false));
      return api === 'responses' ? responsesAnswer(value) : chatAnswer(value);
    },
    stream: async function* (call): AsyncGenerator<ModelEvent, void> {
      const api = apiOf(call.request, call.model);
      const reader = api === 'responses' ? new ResponsesStream() : new ChatStream();
      for await (const event of askStreamed(upstream, call, wireRequest(call, api, true))) {
        if ('value' in event) yield* reader.read(event.value);
        else yield* eventsOf(api === 'responses' ? responsesAnswer(event.whole) : chatAnswer(event.whole));
      }
    },
    embed: async (call) => {
      const url = addressOf(call, kind.baseUrl, '/embeddings');
      const body = embeddingBody(call.request, upstreamModel(call), kind.vectors);
      return embeddingAnswer(await askWhole(upstream, call, { url, headers: keyOf(call), body }), call.request);
    },
  };
}

const keyOf = ({ apiKey }: ModelCall | EmbedCall): Record<string, string> =>
  apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` };

const chatOnly = ['topK', 'seed', 'stop', 'frequencyPenalty', 'presencePenalty'] as const;

/**
 * As the Model says, else as the caller speaks. Callers of other dialects are served by Responses, whose thoughts survive
 * calls of tools, unless they ask for something that only the older protocol has.
 */
function apiOf(request: ModelRequest, { spec: { api, provider } }: ProviderModel): Api {
  if (api !== undefined) return api === 'responses' ? 'responses' : 'chat-completions';
  if (provider !== 'openai') return 'chat-completions';
  const dialect: Dialect = request.native?.dialect ?? 'chat-completions';
  if (dialect === 'chat-completions' || dialect === 'responses') return dialect;
  return chatOnly.some((setting) => request.sampling[setting] !== undefined) ? 'chat-completions' : 'responses';
}
