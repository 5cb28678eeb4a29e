// What tools have answered the calls of steps, and what it made of the attempt: once words of strangers were read, the
// attempt is tainted.
import { CALL_HEADER, type ToolCall, type ToolResult } from '@kadre/crds';
import type { JournalEntry, JournalKey, StepClaims, Store } from '@kadre/store';
import { createHash } from 'node:crypto';
import { invalidRequest, unavailable } from '../errors.ts';
import type { Clock } from '../options.ts';
import { createEntries, journalKey, type Entry, type JournalStore } from './entries.ts';

/** Under this number stands what the attempt was offered; calls have numbers from 1. */
export const LIST_CALL = 0;

export interface KeptResult {
  tool: ToolResult;
}

export interface NumberedToolCall {
  key: JournalKey;
  asked: ToolCall;
  signal: AbortSignal;
}

export interface ToolJournal {
  /** Throws a GatewayError: a 409 `JournalDiverged`, a 503. */
  begin(call: NumberedToolCall): Promise<Entry<KeptResult>>;
  /** Whether the model may have read words of strangers when it made this call. Throws a 503. */
  tainted(key: JournalKey): Promise<boolean>;
}

export function createToolJournal(store: JournalStore & Pick<Store, 'journalOf'>, clock: Clock): ToolJournal {
  const begin = createEntries<KeptResult>(store, clock);
  return {
    begin: ({ key, asked, signal }) => begin({ key, hash: hashOf(asked), kind: 'tool', signal }),
    tainted: async (key) => {
      try {
        return isTainted(await store.journalOf(key.run, key), key.call);
      } catch (cause) {
        throw unavailable('The journal cannot be read just now.', '1', cause);
      }
    },
  };
}

/** Throws a 400 without a number: what is not in the journal could not taint the attempt. */
export function toolKey(step: StepClaims, headers: Parameters<typeof journalKey>[1]): JournalKey {
  const key = journalKey(step, headers);
  if (key) return key;
  throw invalidRequest(
    `A call of a tool on behalf of a step needs the header ${CALL_HEADER}: its number among the calls of the step, from 1.`,
    CALL_HEADER,
  );
}

const hashOf = ({ name, arguments: text }: ToolCall): string =>
  createHash('sha256')
    .update(JSON.stringify(['tool', name, text]))
    .digest('hex');

/**
 * Calls of one answer of the model are made together: none of them knows what the others brought, whichever is first. They are
 * those with no call of a model between them. An agent that does not number the calls of its model is tainted by all.
 */
function isTainted(entries: readonly JournalEntry[], call: number): boolean {
  const models = entries.filter(({ kind }) => kind === 'model').map((entry) => entry.call);
  const from = Math.max(...models.filter((number) => number < call));
  const until = Math.min(...models.filter((number) => number > call));
  const together = (number: number): boolean => from > -Infinity && number > from && number < until;
  return entries.some(
    ({ kind, answer, call: number }) =>
      kind === 'tool' && number !== LIST_CALL && !together(number) && (answer as KeptResult).tool.trust === 'untrusted',
  );
}
