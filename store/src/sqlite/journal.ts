// What models and tools have answered the steps of runs.
import type { JournalEntry, JournalKey } from '../journal.ts';
import { json } from '../json.ts';
import { journalEntryOf, type JournalRow } from '../rows.ts';
import type { Store } from '../store.ts';
import type { Access } from './access.ts';

export function journal({ sql, write, read }: Access) {
  return {
    journalEntry: ({ run, step, attempt, call }: JournalKey) =>
      read(() => {
        const row = sql.journalEntry.get(run, step, attempt, call) as JournalRow | undefined;
        return row && journalEntryOf(row);
      }),
    journalOf: (run: string, one?: Pick<JournalKey, 'step' | 'attempt'>) =>
      read(() => {
        const rows = one ? sql.journalOfAttempt.all(run, one.step, one.attempt) : sql.journalOfRun.all(run);
        return (rows as unknown as JournalRow[]).map(journalEntryOf);
      }),
    recordJournal: ({ run, step, attempt, call, hash, kind, answer, at }: JournalEntry) =>
      write(
        () =>
          sql.isForgotten.get(run) !== undefined ||
          sql.recordJournal.run(run, step, attempt, call, hash, kind, json(answer), at).changes > 0,
      ),
  } satisfies Partial<Store>;
}
