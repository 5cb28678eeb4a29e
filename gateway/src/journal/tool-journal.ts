// What tools have answered the calls of steps, and what it made of the attempt: once words of strangers were read, the
// attempt is tainted.
import { CALL_HEADER, type ToolCall } from '@kadre/crds';
import type { JournalKey, StepClaims, Store } from '@kadre/store';
import { createHash } from 'node:crypto';
import { invalidRequest } from '../errors.ts';
import type { Clock } from '../options.ts';
import { createEntries, fromJournal, journalKey, type Entry, type JournalStore } from './entries.ts';
import { isTainted, type KeptResult } from './taint.ts';

export interface NumberedToolCall {
  key: JournalKey;
  asked: ToolCall;
  signal: AbortSignal;
}

export interface ToolJournal {
  /** Throws a GatewayError: a 409 `JournalDiverged`, a 503. */
  begin(call: NumberedToolCall): Promise<Entry<KeptResult>>;
  /** Whether the model may have read words of strangers when it asked for this call. Throws a 503. */
  tainted(key: JournalKey, asked: ToolCall): Promise<boolean>;
}

export function createToolJournal(store: JournalStore & Pick<Store, 'journalOf'>, clock: Clock): ToolJournal {
  const begin = createEntries<KeptResult>(store, clock);
  return {
    begin: ({ key, asked, signal }) => begin({ key, hash: callHash(asked), kind: 'tool', signal }),
    tainted: async (key, asked) => isTainted(await fromJournal(store.journalOf(key.run, key)), key.call, asked),
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

/** Of all that a call does. */
export const callHash = ({ name, operation, arguments: text }: ToolCall): string =>
  createHash('sha256')
    .update(JSON.stringify(['tool', name, text, ...(operation === undefined ? [] : [operation])]))
    .digest('hex');
