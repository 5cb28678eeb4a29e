// What a client of Responses expects to read: items, told as they come, and kept for the whole that is told at the end.
import type { ToolActivity } from '@kadre/crds';
import type { Answer, Piece } from '../../agent/agent.ts';
import { annotationsOf, type Annotation } from '../../agent/citations.ts';
import type { ChatCompletion, ModelToolCall } from '../../agent/chat.ts';
import { newId } from '../../agent/memory.ts';
import { messageOf } from '../../agent/loop.ts';
import type { WireError } from '../http-errors.ts';

/** Takes one event: its type, and its fields but for the number in the sequence. */
export type Tell = (type: string, fields: object) => void;

interface Item {
  id: string;
  place: number;
  shape: Record<string, unknown>;
}

/** @param head the fields of the response that do not change */
export class ResponseWriter {
  response: object;
  readonly #head: object;
  readonly #server: string;
  readonly #tell: Tell;
  readonly #done: { place: number; shape: object }[] = [];
  readonly #calls = new Map<number, Item>();
  #places = 0;
  #message: (Item & { text: string }) | undefined;

  constructor(head: object, server: string, tell: Tell) {
    this.#head = head;
    this.#server = server;
    this.#tell = tell;
    this.response = this.#shape('in_progress');
  }

  begin(): void {
    this.#tell('response.created', { response: this.response });
    this.#tell('response.in_progress', { response: this.response });
  }

  write(piece: Piece): void {
    if ('delta' in piece) this.#text(piece.delta);
    else if ('restart' in piece) this.#endMessage('incomplete');
    else if ('activity' in piece) this.#activity(piece.activity);
    else if ('answer' in piece) this.#finish(piece.answer);
  }

  /** Whoever reads events is told by the last one. */
  fail({ error }: WireError): void {
    this.#endMessage('incomplete');
    const { code, message } = error;
    this.response = this.#shape('failed', { error: { code, message } });
    this.#tell('response.failed', { response: this.response });
    this.#tell('error', { code, message, param: null, error });
  }

  #text(delta: string): void {
    this.#message ??= this.#openMessage();
    this.#message.text += delta;
    const where = { item_id: this.#message.id, output_index: this.#message.place, content_index: 0 };
    this.#tell('response.output_text.delta', { ...where, delta, logprobs: [] });
  }

  #openMessage(): Item & { text: string } {
    const item = this.#add('msg', { type: 'message', status: 'in_progress', role: 'assistant', content: [] });
    const where = { item_id: item.id, output_index: item.place, content_index: 0 };
    this.#tell('response.content_part.added', { ...where, part: textPart('') });
    return { ...item, text: '' };
  }

  /** An incomplete one was no answer; the whole does not have it. */
  #endMessage(status: 'completed' | 'incomplete', citations: NonNullable<Answer['citations']> = []): void {
    const message = this.#message;
    if (message === undefined) return;
    this.#message = undefined;
    const where = { item_id: message.id, output_index: message.place, content_index: 0 };
    this.#tell('response.output_text.done', { ...where, text: message.text, logprobs: [] });
    const annotations = annotationsOf(message.text, citations).map((one) => ({ type: 'url_citation', ...one }));
    for (const [index, annotation] of annotations.entries())
      this.#tell('response.output_text.annotation.added', { ...where, annotation_index: index, annotation });
    const part = textPart(message.text, annotations);
    this.#tell('response.content_part.done', { ...where, part });
    this.#end(message, { status, content: [part] }, status === 'completed');
  }

  /** The agent's own calls look like those of a server of tools: made for the client, who only reads of them. */
  #activity({ call, tool, phase, arguments: args = '', reason }: ToolActivity): void {
    const known = this.#calls.get(call);
    if (phase === 'Running' && !known) {
      const shape = { type: 'mcp_call', status: 'in_progress', server_label: this.#server, name: tool, arguments: '' };
      const item = this.#add('mcp', { ...shape, approval_request_id: null, error: null, output: null });
      this.#calls.set(call, { ...item, shape: { ...item.shape, arguments: args } });
      const where = { item_id: item.id, output_index: item.place };
      this.#tell('response.mcp_call.in_progress', where);
      this.#tell('response.mcp_call_arguments.delta', { ...where, delta: args });
      this.#tell('response.mcp_call_arguments.done', { ...where, arguments: args });
    } else if (phase !== 'Running' && known) {
      this.#calls.delete(call);
      const status = phase === 'Succeeded' ? 'completed' : 'failed';
      this.#tell(`response.mcp_call.${status}`, { item_id: known.id, output_index: known.place });
      this.#end(known, { status, ...(status === 'failed' && { error: mcpError(reason) }) });
    }
  }

  #finish({ output, completion, usage, citations }: Answer): void {
    const { tool_calls: calls } = messageOf(completion);
    const text = typeof output === 'string' ? output : JSON.stringify(output);
    if (this.#message === undefined && text !== '') this.#text(text);
    this.#endMessage('completed', citations);
    for (const call of calls ?? []) this.#callersCall(call);
    const cut = completion.choices[0]?.finish_reason === 'length';
    const status = cut ? 'incomplete' : 'completed';
    const details = cut ? { incomplete_details: { reason: 'max_output_tokens' } } : {};
    this.response = this.#shape(status, { ...details, usage: usageOf(completion.usage, usage) });
    this.#tell(`response.${status}`, { response: this.response });
  }

  #callersCall({ id, function: { name, arguments: args } }: ModelToolCall): void {
    const written = args ?? '';
    const shape = { type: 'function_call', status: 'in_progress', call_id: id, name, arguments: '' };
    const item = this.#add('fc', shape);
    const where = { item_id: item.id, output_index: item.place };
    this.#tell('response.function_call_arguments.delta', { ...where, delta: written });
    this.#tell('response.function_call_arguments.done', { ...where, name, arguments: written });
    this.#end(item, { status: 'completed', arguments: written });
  }

  #add(prefix: string, fields: object): Item {
    const id = newId(prefix);
    const item = { id, place: this.#places, shape: { id, ...fields } };
    this.#places += 1;
    this.#tell('response.output_item.added', { output_index: item.place, item: item.shape });
    return item;
  }

  #end({ place, shape }: Item, change: object, stays = true): void {
    const item = { ...shape, ...change };
    if (stays) this.#done.push({ place, shape: item });
    this.#tell('response.output_item.done', { output_index: place, item });
  }

  #shape(status: string, more: object = {}): object {
    const output = this.#done.toSorted((a, b) => a.place - b.place).map(({ shape }) => shape);
    return { ...this.#head, status, error: null, incomplete_details: null, output, usage: null, ...more };
  }
}

const textPart = (text: string, annotations: Annotation[] = []): object => ({
  ...{ type: 'output_text', text, annotations, logprobs: [] },
});

const mcpError = (reason = 'ToolFailed'): object => ({
  type: 'mcp_tool_execution_error',
  content: [{ type: 'text', text: reason }],
});

function usageOf(given: ChatCompletion['usage'], { inputTokens, outputTokens }: Answer['usage']): object {
  const detail = (details: unknown, name: string): number => {
    const value = (details as Record<string, unknown> | null | undefined)?.[name];
    return typeof value === 'number' ? value : 0;
  };
  return {
    input_tokens: inputTokens,
    input_tokens_details: { cached_tokens: detail(given?.['prompt_tokens_details'], 'cached_tokens') },
    output_tokens: outputTokens,
    output_tokens_details: { reasoning_tokens: detail(given?.['completion_tokens_details'], 'reasoning_tokens') },
    total_tokens: inputTokens + outputTokens,
  };
}
