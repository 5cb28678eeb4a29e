// The words of a conversation.
import type { ModelRequest, Part } from './request.ts';

/** The text of some parts, joined. */
export function textOf(parts: readonly Part[]): string {
  if (parts.length === 1 && parts[0]?.type === 'text') return parts[0].text;
  return parts.map((part) => (part.type === 'text' ? part.text : '')).join('');
}

/** The text of the last message of the user; empty if there is none. */
export function lastPrompt({ messages }: ModelRequest): string {
  const last = messages.findLast(({ role }) => role === 'user');
  return last ? textOf(last.parts) : '';
}

/** All instructions, in their order; those that say nothing left out. */
export const instructionsOf = ({ messages }: ModelRequest): string[] =>
  messages
    .filter(({ role }) => role === 'system')
    .map(({ parts }) => textOf(parts))
    .filter((text) => text !== '');

/** The names of the tools that were called, by the id of the call: some providers want them with the result. */
export function toolNamesOf({ messages }: ModelRequest): Map<string, string> {
  const names = new Map<string, string>();
  for (const { parts } of messages) {
    for (const part of parts) if (part.type === 'toolCall') names.set(part.id, part.name);
  }
  return names;
}
