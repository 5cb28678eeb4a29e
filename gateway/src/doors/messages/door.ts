// POST /v1/messages
import { GatewayError } from '../../errors.ts';
import { addChatRoute, type ChatDialect, type Door } from '../door.ts';
import { errorBody, message, messagesEncoder } from './answer.ts';
import { parseMessages } from './request.ts';

const dialect: ChatDialect<undefined> = {
  name: 'messages',
  parse: parseMessages,
  answer: message,
  encoder: messagesEncoder,
  error: errorBody,
};

export const messagesDoor: Door = (api, services) => {
  addChatRoute(api, '/v1/messages', dialect, services);
  api.post('/v1/messages/count_tokens', { config: { errorBody } }, () => {
    throw new GatewayError(
      404,
      'unknown_url',
      'The gateway does not count tokens ahead of a call: what a call used stands in `usage` of its answer.',
    );
  });
};
