// The output of one answer, item by item: told as it comes, and kept for the whole that is told at the end.
import type { ModelEvent } from '../../conversation/answer.ts';
import { packSignature, packToolCallId, type Opaque } from '../../conversation/opaque.ts';
import { OpenCalls } from '../open-calls.ts';
import { itemId } from './ids.ts';

/** Takes one event: its type, and its fields but for the number in the sequence. */
export type Tell = (type: string, fields: object) => void;

interface TextContent {
  type: 'output_text' | 'refusal';
  text: string;
}

interface MessageItem {
  kind: 'message';
  id: string;
  place: number;
  done: TextContent[];
  open: TextContent;
}

interface ThoughtItem {
  kind: 'thought';
  id: string;
  place: number;
  text: string;
}

interface CallItem {
  id: string;
  place: number;
  call_id: string;
  name: string;
}

export class Items {
  /** Finished items; those that are not over yet leave a gap. */
  readonly output: object[] = [];
  readonly #response: string;
  readonly #tell: Tell;
  readonly #calls = new OpenCalls<CallItem>();
  #next = 0;
  #open: MessageItem | ThoughtItem | undefined;

  constructor(response: string, tell: Tell) {
    this.#response = response;
    this.#tell = tell;
  }

  text(type: TextContent['type'], text: string): void {
    if (text === '') return;
    const message = this.#message(type);
    message.open.text += text;
    const where = { item_id: message.id, output_index: message.place, content_index: message.done.length };
    if (type === 'refusal') this.#tell('response.refusal.delta', { ...where, delta: text });
    else this.#tell('response.output_text.delta', { ...where, delta: text, logprobs: [] });
  }

  thought(text: string, opaque: Opaque | undefined): void {
    if (text === '' && !opaque) return;
    const item = this.#thought();
    if (text !== '') {
      const where = { item_id: item.id, output_index: item.place, summary_index: 0 };
      if (item.text === '') {
        this.#tell('response.reasoning_summary_part.added', { ...where, part: { type: 'summary_text', text: '' } });
      }
      item.text += text;
      this.#tell('response.reasoning_summary_text.delta', { ...where, delta: text });
    }
    if (opaque) this.#endThought(item, opaque, 'completed');
  }

  call({ index, id, name, opaque }: Extract<ModelEvent, { type: 'toolCall' }>): void {
    this.close();
    const place = this.#take();
    const call_id = packToolCallId({ id, thoughts: [], ...(opaque && { opaque }) });
    const item: CallItem = { id: itemId('fc', this.#response, place), place, call_id, name };
    this.#calls.begin(index, item);
    this.#tell('response.output_item.added', { output_index: place, item: callShape(item, '', 'in_progress') });
  }

  arguments(index: number, delta: string): void {
    const item = delta === '' ? undefined : this.#calls.add(index, delta);
    if (!item) return;
    this.#tell('response.function_call_arguments.delta', { item_id: item.id, output_index: item.place, delta });
  }

  /** Ends whatever can be over. */
  close(status = 'completed'): void {
    const open = this.#open;
    if (open?.kind === 'message') this.#endMessage(open, status);
    if (open?.kind === 'thought') this.#endThought(open, undefined, status);
    for (const { state, arguments: args } of this.#calls.complete()) this.#endCall(state, args, 'completed');
  }

  end(status: string): void {
    this.close(status);
    for (const { state, arguments: args } of this.#calls.rest()) this.#endCall(state, args, status);
  }

  #take(): number {
    this.#next += 1;
    return this.#next - 1;
  }

  #message(type: TextContent['type']): MessageItem {
    let item = this.#open;
    if (item?.kind !== 'message') {
      this.close();
      const place = this.#take();
      item = { kind: 'message', id: itemId('msg', this.#response, place), place, done: [], open: { type, text: '' } };
      this.#open = item;
      const shape = messageShape(item, [], 'in_progress');
      this.#tell('response.output_item.added', { output_index: place, item: shape });
      this.#tellPart('added', item);
    } else if (item.open.type !== type) {
      this.#endPart(item);
      item.open = { type, text: '' };
      this.#tellPart('added', item);
    }
    return item;
  }

  #thought(): ThoughtItem {
    if (this.#open?.kind === 'thought') return this.#open;
    this.close();
    const place = this.#take();
    const item: ThoughtItem = { kind: 'thought', id: itemId('rs', this.#response, place), place, text: '' };
    this.#open = item;
    const shape = { id: item.id, type: 'reasoning', summary: [] };
    this.#tell('response.output_item.added', { output_index: place, item: shape });
    return item;
  }

  #tellPart(what: 'added' | 'done', item: MessageItem): void {
    const where = { item_id: item.id, output_index: item.place, content_index: item.done.length };
    this.#tell(`response.content_part.${what}`, { ...where, part: contentShape(item.open) });
  }

  #endPart(item: MessageItem): void {
    const where = { item_id: item.id, output_index: item.place, content_index: item.done.length };
    const { type, text } = item.open;
    if (type === 'refusal') this.#tell('response.refusal.done', { ...where, refusal: text });
    else this.#tell('response.output_text.done', { ...where, text, logprobs: [] });
    this.#tellPart('done', item);
    item.done.push(item.open);
  }

  #endMessage(item: MessageItem, status: string): void {
    this.#open = undefined;
    this.#endPart(item);
    this.#endItem(item.place, messageShape(item, item.done, status));
  }

  /** The provider's id of the block is known too late to be the item's, so it travels with what is encrypted. */
  #endThought(item: ThoughtItem, opaque: Opaque | undefined, status: string): void {
    this.#open = undefined;
    const part = { type: 'summary_text', text: item.text };
    if (item.text !== '') {
      const where = { item_id: item.id, output_index: item.place, summary_index: 0 };
      this.#tell('response.reasoning_summary_text.done', { ...where, text: item.text });
      this.#tell('response.reasoning_summary_part.done', { ...where, part });
    }
    this.#endItem(item.place, {
      id: item.id,
      type: 'reasoning',
      summary: item.text === '' ? [] : [part],
      ...(opaque ? { encrypted_content: packSignature(opaque, 'openai') } : {}),
      status,
    });
  }

  #endCall(item: CallItem, args: string, status: string): void {
    const where = { item_id: item.id, output_index: item.place };
    this.#tell('response.function_call_arguments.done', { ...where, name: item.name, arguments: args });
    this.#endItem(item.place, callShape(item, args, status));
  }

  #endItem(place: number, item: object): void {
    this.output[place] = item;
    this.#tell('response.output_item.done', { output_index: place, item });
  }
}

const contentShape = ({ type, text }: TextContent): object =>
  type === 'refusal' ? { type, refusal: text } : { type, text, annotations: [], logprobs: [] };

const messageShape = ({ id }: MessageItem, content: readonly TextContent[], status: string): object => ({
  id,
  type: 'message',
  status,
  role: 'assistant',
  content: content.map(contentShape),
});

const callShape = ({ id, call_id, name }: CallItem, args: string, status: string): object => ({
  id,
  type: 'function_call',
  status,
  call_id,
  name,
  arguments: args,
});
