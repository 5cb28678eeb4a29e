// What was said by now, as a client of Responses tells it: items, one after the other.
import { unpackSignature, unpackToolCallId } from '../../conversation/opaque.ts';
import type {
  ImagePart,
  Message,
  Part,
  ReasoningPart,
  TextPart,
  ToolCallPart,
  ToolResultPart,
} from '../../conversation/request.ts';
import { defined } from '../defined.ts';
import type { Fields } from '../fields.ts';
import { isMadeUp } from './ids.ts';

const MAX_ITEMS = 16_384;
const MAX_PARTS = 1024;

/** Items of the model that follow each other are one turn, and so are results of tools. */
export function inputOf(fields: Fields): Message[] {
  const input = fields.any('input');
  if (typeof input === 'string') return [{ role: 'user', parts: [{ type: 'text', text: input }] }];
  const items = fields.objects('input', MAX_ITEMS);
  if (!items || items.length === 0) throw fields.wrong('input', 'must be a text, or have at least one entry');
  const turns: Message[] = [];
  for (const { role, parts } of items.map(itemOf)) {
    const last = turns.at(-1);
    if (last?.role === role && (role === 'assistant' || role === 'tool')) last.parts.push(...parts);
    else turns.push({ role, parts });
  }
  return turns;
}

function itemOf(item: Fields): Message {
  const type = item.string('type', 64) ?? 'message';
  switch (type) {
    case 'message':
      return messageOf(item);
    case 'function_call':
      return { role: 'assistant', parts: callOf(item) };
    case 'function_call_output':
      return { role: 'tool', parts: [resultOf(item)] };
    case 'reasoning':
      return { role: 'assistant', parts: [thoughtOf(item)] };
    case 'item_reference':
      throw item.wrong('type', 'is item_reference, but the gateway keeps no items: send the item itself');
    default:
      return { role: 'assistant', parts: [{ type: 'native', dialect: 'responses', value: item.raw }] };
  }
}

function messageOf(item: Fields): Message {
  const role = item.oneOf('role', ['user', 'assistant', 'system', 'developer'] as const);
  if (role === undefined) throw item.wrong('role', 'is missing');
  return { role: role === 'developer' ? 'system' : role, parts: contentOf(item, 'content') };
}

function contentOf(item: Fields, name: string): Part[] {
  const content = item.any(name);
  if (content === undefined) throw item.wrong(name, 'is missing');
  if (typeof content === 'string') return [{ type: 'text', text: content }];
  return (item.objects(name, MAX_PARTS) ?? []).map(partOf);
}

function partOf(part: Fields): Part {
  const type = part.required('type', 64);
  if (type === 'input_text' || type === 'output_text' || type === 'text') {
    const text = part.string('text');
    if (text === undefined) throw part.wrong('text', 'is missing');
    return { type: 'text', text };
  }
  if (type === 'refusal') return { type, text: part.required('refusal') };
  const url = type === 'input_image' ? part.string('image_url') : undefined;
  if (url === undefined) return { type: 'native', dialect: 'responses', value: part.raw };
  const detail = part.oneOf('detail', ['low', 'high', 'auto'] as const);
  return { type: 'image', source: { url }, ...defined({ detail }) };
}

/** Thoughts that another door packed into the id stand before the call. */
function callOf(item: Fields): (ToolCallPart | ReasoningPart)[] {
  const { id, opaque, thoughts } = unpackToolCallId(item.required('call_id'));
  const call: ToolCallPart = {
    type: 'toolCall',
    id,
    name: item.required('name', 256),
    arguments: item.string('arguments') ?? '',
    ...(opaque && { opaque }),
  };
  return [...thoughts.map((thought): ReasoningPart => ({ type: 'reasoning', ...thought })), call];
}

function resultOf(item: Fields): ToolResultPart {
  const { id } = unpackToolCallId(item.required('call_id'));
  const parts = contentOf(item, 'output').map((part): TextPart | ImagePart => {
    if (part.type === 'text' || part.type === 'image') return part;
    throw item.wrong('output', 'must be text and images: the gateway carries no other results');
  });
  return { type: 'toolResult', id, parts };
}

function thoughtOf(item: Fields): ReasoningPart {
  const paragraphs = item.objects('summary', MAX_PARTS) ?? [];
  const text = paragraphs.map((one) => one.string('text') ?? '').join('\n\n');
  const encrypted = item.string('encrypted_content');
  const id = item.string('id');
  const said = text === '' ? {} : { text };
  if (!encrypted) return { type: 'reasoning', ...said };
  const opaque = unpackSignature(encrypted, 'openai');
  const own = opaque.family === 'openai' && id !== undefined && !isMadeUp(id) ? { id } : {};
  return { type: 'reasoning', ...said, opaque: { ...opaque, ...own } };
}
