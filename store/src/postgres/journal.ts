// What models and tools have answered the steps of runs.
import type { JournalEntry, JournalKey } from '../journal.ts';
import { json } from '../json.ts';
import { journalEntryOf, type JournalRow } from '../rows.ts';
import type { Store } from '../store.ts';
import type { Access } from './access.ts';
import { plain, type Batches } from './batches.ts';

export function journal({ db }: Access, batches: Batches) {
  return {
    journalEntry: async ({ run, step, attempt, call }: JournalKey) => {
      const [row] = await db.read<JournalRow>('journalEntry', [run, step, attempt, call]);
      return row && journalEntryOf(row);
    },
    journalOf: async (run: string, one?: Pick<JournalKey, 'step' | 'attempt'>) => {
      const rows = one
        ? await db.read<JournalRow>('journalOfAttempt', [run, one.step, one.attempt])
        : await db.read<JournalRow>('journalOfRun', [run]);
      return rows.map(journalEntryOf);
    },
    recordJournal: async ({ run, step, attempt, call, hash, kind, answer, at }: JournalEntry) => {
      const text = { run: plain(run), step: plain(step), hash, kind, answer: json(answer) };
      const item = JSON.stringify({ ...text, attempt, number: call, at, call: db.nextCall() });
      return (await batches.write(`${run}/${step}/${attempt}/${call}`, item)) === 'first';
    },
  } satisfies Partial<Store>;
}
