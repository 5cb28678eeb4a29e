// What a tool gave, as the model is told.
import type { ToolResult } from '@kadre/crds';
import type { ChatMessage, ModelToolCall } from './chat.ts';

/** No result takes more than this share of the conversation. */
const LARGEST_SHARE = 1 / 4;
/** Of base64: requests to the gateway have an end. */
const MAX_IMAGE = 1024 * 1024;

export function resultMessage(call: ModelToolCall, result: ToolResult, contextCharacters: number): ChatMessage {
  return { role: 'tool', tool_call_id: call.id, content: contentOf(result, contextCharacters * LARGEST_SHARE) };
}

function contentOf({ content, isError }: ToolResult, room: number): string | object[] {
  const images: object[] = [];
  const texts: string[] = [];
  for (const part of content) {
    if (part.type === 'text') texts.push(part.text);
    else if (part.data.length > MAX_IMAGE) texts.push(`[An image is left out: it is larger than ${MAX_IMAGE} bytes.]`);
    else images.push({ type: 'image_url', image_url: { url: `data:${part.mediaType};base64,${part.data}` } });
  }
  const said = shortened(texts.join('\n'), room);
  const text = isError ? `Error: ${said}` : said;
  if (images.length === 0) return text === '' ? '(The tool gave nothing back.)' : text;
  return text === '' ? images : [{ type: 'text', text }, ...images];
}

function shortened(text: string, room: number): string {
  if (text.length <= room) return text;
  const shown = wholeCharacters(text, Math.floor(room));
  return `${text.slice(0, shown)}\n[Cut: these are the first ${shown} of ${text.length} characters. Ask for less, or for another part.]`;
}

/** The position, or the one before it where it would split a surrogate pair. */
function wholeCharacters(text: string, position: number): number {
  const code = text.charCodeAt(position);
  return code >= 0xdc00 && code <= 0xdfff ? position - 1 : position;
}
