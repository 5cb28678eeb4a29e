// Pieces of a conversation that Anthropic and Google both have in a form of their own.
import { invalidRequest } from '../errors.ts';
import type { ImagePart } from '../conversation/request.ts';

/** The content of an image that stands in the request itself; `undefined` for one that is somewhere else. */
export function inlineImage({ source }: ImagePart): { mediaType: string; data: string } | undefined {
  if ('data' in source) return source;
  const { url } = source;
  if (!url.startsWith('data:')) return undefined;
  const comma = url.indexOf(',');
  const header = url.slice('data:'.length, comma);
  if (comma < 0 || !header.endsWith(';base64')) throw invalidRequest('Images in data URLs must be base64.', 'messages');
  return { mediaType: header.slice(0, -';base64'.length), data: url.slice(comma + 1) };
}
