// Makes room in a conversation that has grown too long: the oldest results of tools go first. The same conversation always
// loses the same, so that a task that is begun anew asks its model the same.
import type { Compaction } from '@kadre/crds';
import type { ChatMessage } from './chat.ts';

const TARGET_SHARE = 0.5;
const LEFT_OUT = '[Left out to make room: ';
/** No image weighs less, however small its file. */
const MIN_IMAGE = 4_000;
const IMAGE_SHARE = 1 / 8;

/**
 * Replaces results from the message `from` on by notes until half of the budget is free; those of the last round stay.
 * Undefined if there was room enough.
 */
export function makeRoom(messages: ChatMessage[], from: number, budget: number): Compaction | undefined {
  let size = messages.reduce((sum, message) => sum + weigh(message), 0);
  if (size <= budget) return undefined;
  const lastRound = messages.findLastIndex(({ role }) => role === 'assistant');
  const dropped = { results: 0, characters: 0 };
  for (let index = from; index < lastRound && size > budget * TARGET_SHARE; index += 1) {
    const message = messages[index];
    if (message?.role !== 'tool') continue;
    const characters = weigh(message);
    const note = `${LEFT_OUT}a result of ${characters} characters. Call the tool again if you need it.]`;
    if (characters <= note.length || String(message['content']).startsWith(LEFT_OUT)) continue;
    messages[index] = { ...message, content: note };
    size -= characters - note.length;
    dropped.results += 1;
    dropped.characters += characters;
  }
  return dropped.results === 0 ? undefined : dropped;
}

/** Characters, as far as they take room in the model's context. */
function weigh({ content, tool_calls: calls }: ChatMessage): number {
  const called = calls === undefined ? 0 : JSON.stringify(calls).length;
  return called + weighContent(content);
}

function weighContent(content: unknown): number {
  if (typeof content === 'string') return content.length;
  if (!Array.isArray(content)) return 0;
  return content.reduce<number>((sum, part: { text?: unknown }) => {
    if (typeof part.text === 'string') return sum + part.text.length;
    return sum + Math.max(MIN_IMAGE, Math.ceil(JSON.stringify(part).length * IMAGE_SHARE));
  }, 0);
}
