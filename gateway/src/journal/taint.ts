// Whether the model may have read words of strangers when it asked for a call: told from the journal of its attempt alone.
import type { ToolCall, ToolResult } from '@kadre/crds';
import type { JournalEntry } from '@kadre/store';
import { isDeepStrictEqual } from 'node:util';
import type { KeptAnswer } from './answered.ts';

/** Under this number stands what the attempt was offered; calls have numbers from 1. */
export const LIST_CALL = 0;

export interface KeptResult {
  tool: ToolResult;
}

/**
 * Calls of one answer of the model are made together: none of them knows what the others brought, whichever is first. The answer
 * is in the journal, so the agent's pod has no say in what belongs to it: this call is one that the answer asks for, and whatever
 * was read since was read after the answer was there. Anything else that strangers wrote taints the call.
 */
export function isTainted(entries: readonly JournalEntry[], number: number, asked: ToolCall): boolean {
  const untrusted = entries.filter(stranger);
  if (untrusted.length === 0) return false;
  const models = entries.filter(({ kind }) => kind === 'model');
  const before = models.filter(({ call }) => call < number);
  const answer = before.reduce<JournalEntry | undefined>(
    (last, one) => (last && last.call > one.call ? last : one),
    undefined,
  );
  if (!answer || !asksFor(answer.answer as KeptAnswer, asked)) return true;
  const next = Math.min(...models.map(({ call }) => call).filter((call) => call > number));
  return untrusted.some(({ call, at }) => call < answer.call || call > next || at < answer.at);
}

/** What strangers may have written. */
export const stranger = ({ kind, call, answer }: JournalEntry): boolean =>
  kind === 'tool' && call !== LIST_CALL && (answer as KeptResult).tool.trust === 'untrusted';

const asksFor = (answer: KeptAnswer, asked: ToolCall): boolean =>
  'chat' in answer &&
  answer.chat.parts.some(
    (part) =>
      part.type === 'toolCall' &&
      part.name === asked.name &&
      isDeepStrictEqual(valueOf(part.arguments), valueOf(asked.arguments)),
  );

/** Some models write nothing where there is nothing to say. */
function valueOf(text: string): unknown {
  try {
    return text.trim() === '' ? {} : JSON.parse(text);
  } catch {
    return text;
  }
}
