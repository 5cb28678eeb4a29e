// Google's Gemini API.
import type { ModelEvent } from '../../conversation/answer.ts';
import { eventsOf } from '../../conversation/answer.ts';
import { refuseForeign } from '../foreign.ts';
import { withImages } from '../images.ts';
import type { EmbedCall, ModelCall, Provider } from '../provider.ts';
import type { Upstream } from '../upstream.ts';
import { addressOf, askStreamed, askWhole, upstreamModel, type WireRequest } from '../wire.ts';
import { contentAnswer, ContentStream } from './answer.ts';
import { embeddingAnswer, embeddingBody } from './embeddings.ts';
import { formatExcludesTools } from './models.ts';
import { contentBody } from './request.ts';

const DEFAULT_BASE_URL = 'https://generativelanguage.googleapis.com';
const VERSION = '/v1beta';
const WHO = 'Google models';

export function createGoogle(upstream: Upstream): Provider {
  const wireRequest = async (call: ModelCall, method: string): Promise<WireRequest> => {
    const model = upstreamModel(call);
    const request = await withImages(call.request, isStoredThere, upstream, call.signal);
    return { url: methodOf(call, model, method), headers: keyOf(call), body: contentBody(request, model) };
  };

  return {
    formatMode: ({ output, tools }, { spec: { model = '' } }) =>
      output !== undefined && tools !== undefined && formatExcludesTools(model) ? 'instruction' : 'native',
    check: (request) => refuseForeign(request, 'generate-content', WHO),
    generate: async (call) => contentAnswer(await askWhole(upstream, call, await wireRequest(call, 'generateContent'))),
    stream: async function* (call): AsyncGenerator<ModelEvent, void> {
      const reader = new ContentStream();
      const request = await wireRequest(call, 'streamGenerateContent?alt=sse');
      for await (const event of askStreamed(upstream, call, request)) {
        if ('value' in event) yield* reader.read(event.value);
        else if (Array.isArray(event.whole)) for (const piece of event.whole) yield* reader.read(piece);
        else yield* eventsOf(contentAnswer(event.whole));
      }
    },
    embed: async (call) => {
      const model = upstreamModel(call);
      const url = methodOf(call, model, 'batchEmbedContents');
      const body = embeddingBody(call.request, pathOf(model));
      return embeddingAnswer(await askWhole(upstream, call, { url, headers: keyOf(call), body }), call.request);
    },
  };
}

/** The version is a part of the address, if the Model names one there. */
function methodOf(call: ModelCall | EmbedCall, model: string, method: string): URL {
  const { baseUrl } = call.model.spec;
  const version = baseUrl !== undefined && /\/v\d[a-z0-9]*\/?$/.test(baseUrl) ? '' : VERSION;
  const path = pathOf(model).split('/').map(encodeURIComponent).join('/');
  return addressOf(call, DEFAULT_BASE_URL, `${version}/${path}:${method}`);
}

const pathOf = (model: string): string => (model.includes('/') ? model : `models/${model}`);

const keyOf = ({ apiKey }: ModelCall | EmbedCall): Record<string, string> =>
  apiKey === undefined ? {} : { 'x-goog-api-key': apiKey };

/** Files that were uploaded there, and its own storage. */
const isStoredThere = (url: string): boolean => url.startsWith(`${DEFAULT_BASE_URL}/`) || url.startsWith('gs://');
