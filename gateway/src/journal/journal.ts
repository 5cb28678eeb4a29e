// What models have answered the calls of steps. A step that is begun anew, because its pod or its engine died, makes its
// calls again under the same numbers, and is given what it was given before: nothing is asked, and nothing is paid, twice.
import type { Clock } from '../options.ts';
import type { Journal, JournalEntry } from '../pipeline/hooks.ts';
import { given, kept, type KeptAnswer } from './answered.ts';
import { createEntries, journalKey, type JournalStore } from './entries.ts';
import { hashOf } from './hash.ts';

const OFF: JournalEntry = { type: 'off' };

export function createJournal(store: JournalStore, clock: Clock): Journal {
  const begin = createEntries<KeptAnswer>(store, clock);
  return {
    begin: (call) => {
      const { step } = call.caller;
      const key = step && journalKey(step, call.headers);
      if (!key) return OFF;
      const hash = hashOf(call);
      return begin({ key, hash, kind: 'model', signal: call.signal }).then((entry) =>
        entry.type === 'replay'
          ? { type: 'replay', answered: given(entry.answer) }
          : { type: 'record', commit: (answered) => entry.commit(kept(answered)), end: () => entry.end() },
      );
    },
  };
}
