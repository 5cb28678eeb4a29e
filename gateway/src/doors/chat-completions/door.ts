// POST /v1/chat/completions
import { addChatRoute, type ChatDialect, type Door } from '../door.ts';
import { chatEncoder, completion } from './answer.ts';
import { parseChat, type ChatOptions } from './request.ts';

const dialect: ChatDialect<ChatOptions> = {
  name: 'chat-completions',
  parse: parseChat,
  answer: completion,
  encoder: chatEncoder,
};

export const chatCompletionsDoor: Door = (api, services) =>
  addChatRoute(api, '/v1/chat/completions', dialect, services);
