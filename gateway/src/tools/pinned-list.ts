// The tools that a step is offered, as its attempt was told first. A step that is begun anew must ask its model the same, and
// what a model is offered is a part of that: also if a server offers something else by now, or nothing.
import type { ToolList } from '@kadre/crds';
import type { StepClaims } from '@kadre/store';
import { committed, createEntries, type JournalStore } from '../journal/entries.ts';
import { LIST_CALL } from '../journal/taint.ts';
import type { Clock } from '../options.ts';

/** Asks for the list once in each attempt. Throws a GatewayError. */
export type PinnedList = (
  step: StepClaims | undefined,
  signal: AbortSignal,
  ask: () => Promise<ToolList>,
) => Promise<ToolList>;

export function createPinnedList(store: JournalStore, clock: Clock): PinnedList {
  const begin = createEntries<{ list: ToolList }>(store, clock);
  return async (step, signal, ask) => {
    if (!step) return ask();
    const { run, attempt } = step;
    const key = { run, step: step.step, attempt, call: LIST_CALL };
    const entry = await begin({ key, hash: 'tools', kind: 'tool', signal });
    if (entry.type === 'replay') return entry.answer.list;
    try {
      const list = await ask();
      await committed(entry, { list }, 'The list of tools');
      return list;
    } finally {
      entry.end();
    }
  };
}
