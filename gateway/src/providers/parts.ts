// Pieces of the chat protocol that Anthropic and Google both have in a form of their own.
import type { ChatMessage, ChatRequest } from '../chat/request.ts';
import { invalidRequest } from '../errors.ts';

export function refuseTools(request: ChatRequest, who: string): void {
  const usesTools =
    (request.tools?.length ?? 0) > 0 ||
    request.messages.some(({ role, tool_calls: calls }) => role === 'tool' || (calls?.length ?? 0) > 0);
  if (usesTools) throw invalidRequest(`The gateway does not yet offer tools for ${who}.`, 'tools');
}

/** The addresses of the images in a message. Throws a 400 on parts that are neither text nor image. */
export function imagesOf({ content }: ChatMessage): string[] {
  if (typeof content === 'string') return [];
  return (content ?? []).flatMap((part) => {
    if (part.type === 'image_url') return [(part as { image_url: { url: string } }).image_url.url];
    if (part.type === 'text') return [];
    throw invalidRequest(`This model does not take parts of type ${part.type.slice(0, 64)}.`, 'messages');
  });
}

/** The content of `data:image/png;base64,…`; `undefined` for other addresses. */
export function dataUrl(url: string): { mimeType: string; data: string } | undefined {
  if (!url.startsWith('data:')) return undefined;
  const comma = url.indexOf(',');
  const header = url.slice('data:'.length, comma);
  if (comma < 0 || !header.endsWith(';base64')) throw invalidRequest('Images in data URLs must be base64.', 'messages');
  return { mimeType: header.slice(0, -';base64'.length), data: url.slice(comma + 1) };
}
