// What was said by now, as a client of Responses tells it: items, one after the other.
import { z } from 'zod';
import type { ChatMessage } from '../../agent/chat.ts';
import { badRequest } from '../http-errors.ts';

type Item = Record<string, unknown> & { type?: string | undefined };

const part = z.union([
  z.object({ type: z.enum(['input_text', 'output_text', 'text']), text: z.string() }),
  z.object({ type: z.literal('refusal'), refusal: z.string() }),
  z.object({ type: z.literal('input_image'), image_url: z.string(), detail: z.string().nullish() }),
]);
const content = z.union([z.string(), z.array(part)]);
const message = z.object({ role: z.enum(['user', 'assistant', 'system', 'developer']), content });
const call = z.object({ call_id: z.string(), name: z.string(), arguments: z.string() });
const result = z.object({ call_id: z.string(), output: content });

/** What the agent itself did or thought in earlier responses: clients send it back, and the agent has no use for it. */
const OWN = new Set(['mcp_call', 'mcp_list_tools', 'reasoning']);

/** Items of the agent that follow each other are one message. Throws an AgentFailure that names the item. */
export function messagesOf(input: string | Item[]): ChatMessage[] {
  if (typeof input === 'string') return [{ role: 'user', content: input }];
  const messages: ChatMessage[] = [];
  for (const [index, item] of input.entries()) {
    const next = messageOf(item, index);
    const last = messages.at(-1);
    if (next?.['tool_calls'] && last?.role === 'assistant')
      last['tool_calls'] = [
        ...((last['tool_calls'] as unknown[] | undefined) ?? []),
        ...(next['tool_calls'] as unknown[]),
      ];
    else if (next) messages.push(next);
  }
  if (messages.length === 0) throw badRequest('There is nothing to answer: input holds no message.');
  return messages;
}

function messageOf(item: Item, index: number): ChatMessage | undefined {
  const { type = 'message' } = item;
  if (type === 'message') {
    const { role, content: said } = checked(message, item, index);
    return { role: role === 'developer' ? 'system' : role, content: contentOf(said) };
  }
  if (type === 'function_call') {
    const { call_id: id, name, arguments: args } = checked(call, item, index);
    const made = { id, type: 'function', function: { name, arguments: args } };
    return { role: 'assistant', content: null, tool_calls: [made] };
  }
  if (type === 'function_call_output') {
    const { call_id: id, output } = checked(result, item, index);
    return { role: 'tool', tool_call_id: id, content: contentOf(output) };
  }
  if (OWN.has(type)) return undefined;
  throw badRequest(`input[${index}]: this agent reads no items of type ${JSON.stringify(type.slice(0, 64))}.`);
}

function checked<T extends z.ZodType>(schema: T, item: Item, index: number): z.infer<T> {
  const parsed = schema.safeParse(item);
  if (parsed.success) return parsed.data;
  throw badRequest(`input[${index}] is wrong: ${z.prettifyError(parsed.error).replaceAll('\n', ' ')}`);
}

function contentOf(said: z.infer<typeof content>): string | object[] {
  if (typeof said === 'string') return said;
  const parts = said.map((one) => {
    if (one.type === 'input_image')
      return { type: 'image_url', image_url: { url: one.image_url, ...(one.detail && { detail: one.detail }) } };
    return { type: 'text', text: one.type === 'refusal' ? one.refusal : one.text };
  });
  // Not all models take parts of every role, and all take text.
  return parts.every(({ type }) => type === 'text') ? parts.map(({ text }) => text).join('\n') : parts;
}
