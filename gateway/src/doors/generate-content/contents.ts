// What was said by now, as a client of Google's Gemini API tells it.
import { unpackToolCallId } from '../../conversation/opaque.ts';
import type { ImagePart, Message, Part, TextPart, ToolCallPart, ToolResultPart } from '../../conversation/request.ts';
import type { Fields } from '../fields.ts';
import { opaqueOf } from './signature.ts';

const MAX_CONTENTS = 4096;
const MAX_PARTS = 4096;

export function instructionsOf(fields: Fields): Message[] {
  const instruction = fields.object('systemInstruction');
  const parts = (instruction?.objects('parts', MAX_PARTS) ?? []).map((part): TextPart => {
    const text = part.string('text');
    if (text === undefined) throw part.wrong('text', 'is missing: instructions are texts');
    return { type: 'text', text };
  });
  return parts.length === 0 ? [] : [{ role: 'system', parts }];
}

/** What tools said stands in the user's turns, beside what the user says; the neutral request keeps them apart. */
export function contentsOf(fields: Fields): Message[] {
  const contents = fields.objects('contents', MAX_CONTENTS);
  if (!contents || contents.length === 0) throw fields.wrong('contents', 'must have at least one entry');
  const reader = new PartReader();
  return contents.flatMap((content) => {
    const role = content.oneOf('role', ['user', 'model', 'function'] as const) ?? 'user';
    const messages: Message[] = [];
    for (const part of (content.objects('parts', MAX_PARTS) ?? []).flatMap((one) => reader.read(one))) {
      const own = part.type === 'toolResult' ? 'tool' : role === 'model' ? 'assistant' : 'user';
      const last = messages.at(-1);
      if (last?.role === own) last.parts.push(part);
      else messages.push({ role: own, parts: [part] });
    }
    return messages;
  });
}

/** Calls may have no ids there: results belong to the calls of their name, in order. */
class PartReader {
  readonly #waiting: { id: string; name: string }[] = [];
  #count = 0;

  read(part: Fields): Part[] {
    const opaque = part.string('thoughtSignature');
    const signed = opaque ? { opaque: opaqueOf(opaque) } : {};
    const called = part.object('functionCall');
    if (called) return [{ ...this.#call(called), ...signed }];
    const responded = part.object('functionResponse');
    if (responded) return [this.#result(responded)];
    const text = part.string('text');
    if (text !== undefined) {
      const thought = part.boolean('thought') === true;
      return [{ type: thought ? 'reasoning' : 'text', text, ...signed }];
    }
    const image = imageOf(part);
    if (image) return [image];
    const [type = 'empty'] = Object.keys(part.raw);
    if (type === 'thoughtSignature') return [{ type: 'text', text: '', ...signed }];
    return [{ type: 'native', dialect: 'generate-content', value: typed(part.raw, type) }];
  }

  #call(called: Fields): ToolCallPart {
    const name = called.required('name', 256);
    this.#count += 1;
    const { id } = unpackToolCallId(called.string('id') || `call_${this.#count}`);
    this.#waiting.push({ id, name });
    return { type: 'toolCall', id, name, arguments: JSON.stringify(called.record('args') ?? {}) };
  }

  #result(responded: Fields): ToolResultPart {
    const name = responded.required('name', 256);
    const said = responded.string('id');
    const wanted = said ? unpackToolCallId(said).id : undefined;
    const at = this.#waiting.findIndex((call) => (wanted === undefined ? call.name === name : call.id === wanted));
    const [call] = at < 0 ? [] : this.#waiting.splice(at, 1);
    const id = wanted ?? call?.id;
    if (id === undefined) throw responded.wrong('name', 'is not the name of a function that was called before');
    return { type: 'toolResult', id, name, ...contentOf(responded) };
  }
}

/** Google's clients put a text in `output` or `result`, and what went wrong in `error`. */
function contentOf(responded: Fields): Pick<ToolResultPart, 'parts' | 'isError'> {
  const response = responded.record('response') ?? {};
  const images = (responded.objects('parts', MAX_PARTS) ?? []).map((part) => {
    const image = imageOf(part);
    if (!image) throw part.wrong('inlineData', 'must be an image: the gateway carries no other results');
    return image;
  });
  const entries = Object.entries(response);
  const [only] = entries;
  const plain = entries.length === 1 && only && ['output', 'result', 'error'].includes(only[0]) ? only : undefined;
  const text = typeof plain?.[1] === 'string' ? plain[1] : JSON.stringify(plain?.[0] === 'error' ? plain[1] : response);
  return {
    parts: [{ type: 'text', text }, ...images],
    ...(plain?.[0] === 'error' ? { isError: true } : {}),
  };
}

/** `undefined` for whatever is no image. */
function imageOf(part: Fields): ImagePart | undefined {
  const inline = part.object('inlineData');
  const stored = part.object('fileData');
  const mediaType = (inline ?? stored)?.string('mimeType', 256);
  if (!mediaType?.startsWith('image/')) return undefined;
  if (inline) return { type: 'image', source: { data: inline.required('data'), mediaType } };
  return stored && { type: 'image', source: { url: stored.required('fileUri') } };
}

/** Google's parts say their type by the name of their field; here it is for the message of a refusal alone. */
const typed = (value: object, type: string): { type?: string } =>
  Object.defineProperty({ ...value }, 'type', { value: type, enumerable: false });
