// POST /v1/models/{model}:generateContent and :streamGenerateContent?alt=sse; older clients say v1beta.
import type { FastifyRequest } from 'fastify';
import { GatewayError } from '../../errors.ts';
import { addChatRoute, type ChatDialect, type Door } from '../door.ts';
import { content, contentEncoder, errorBody } from './answer.ts';
import { parseContent } from './request.ts';

const methods = ['generateContent', 'streamGenerateContent'] as const;

const dialect: ChatDialect<undefined> = {
  name: 'generate-content',
  parse: (body, http) => {
    const { model, streamed } = calledOf(http);
    return { request: parseContent(body, model), streamed, options: undefined };
  },
  answer: content,
  encoder: contentEncoder,
  error: errorBody,
};

/** The method stands behind the name of the model, after a colon. */
function calledOf({ params, query }: FastifyRequest): { model: string; streamed: boolean } {
  const { call } = params as { call: string };
  const colon = call.lastIndexOf(':');
  const method = methods.find((one) => one === call.slice(colon + 1));
  if (colon < 1 || method === undefined) {
    const message = `The gateway knows models/{model} with :${methods.join(' and :')}.`;
    throw new GatewayError(404, 'unknown_url', message);
  }
  const streamed = method === 'streamGenerateContent';
  if (streamed && (query as { alt?: unknown }).alt !== 'sse') {
    throw new GatewayError(400, 'ModelFailed', 'Streams are told as server-sent events alone: add ?alt=sse.', {
      param: 'alt',
    });
  }
  return { model: call.slice(0, colon), streamed };
}

export const generateContentDoor: Door = (api, services) => {
  for (const version of ['v1', 'v1beta']) addChatRoute(api, `/${version}/models/:call`, dialect, services);
};
