// POST /v1/responses
import { addChatRoute, type ChatDialect, type Door } from '../door.ts';
import { response, responsesEncoder } from './answer.ts';
import { parseResponses, type ResponsesOptions } from './request.ts';

const dialect: ChatDialect<ResponsesOptions> = {
  name: 'responses',
  parse: parseResponses,
  answer: response,
  encoder: responsesEncoder,
};

export const responsesDoor: Door = (api, services) => addChatRoute(api, '/v1/responses', dialect, services);
