// The log of a run, and its place in a queue.
import { UnknownRunError } from '../errors.ts';
import { eventOf, type EventRow } from '../rows.ts';
import { StaleWriteError, type AppendEffects, type NewEvent, type QueueEntry, type Store } from '../store.ts';
import type { Access } from './access.ts';
import type { Appends } from './appends.ts';

interface PlaceRow {
  verdict: 'ok' | 'unknown' | 'closed';
  admitted: boolean;
  ahead: string[];
  moved: boolean;
  /** Null: the run has just entered. */
  limit_before: number | null;
}

export function log({ db, touch }: Access, appends: Appends) {
  return {
    events: async (uid: string, afterSeq = 0) => (await db.read<EventRow>('events', [uid, afterSeq])).map(eventOf),
    append: (uid: string, expectedSeq: number, events: NewEvent[], effects: AppendEffects = {}) =>
      appends.append(uid, expectedSeq, events, effects),
    enterQueue: async ({ run, queue, limit, priority, orLeave = false }: QueueEntry) => {
      const enter = async (): Promise<PlaceRow | undefined> =>
        (await db.write<PlaceRow>('enterQueue', [queue, run, limit, priority, orLeave])).rows[0];
      let row = await enter();
      const waits = row?.verdict === 'ok' && !row.admitted && !orLeave;
      if (waits && row && row.limit_before !== null && row.limit_before !== limit) {
        const { rows } = await db.write<{ moved: boolean }>('limitEntry', [queue, run, limit]);
        if (rows[0]?.moved) {
          touch('queues', queue);
          row = await enter();
        }
      }
      if (!row || row.verdict === 'unknown') throw new UnknownRunError(`run ${run} was never submitted`);
      if (row.verdict === 'closed') throw new StaleWriteError(`run ${run} is over and can't enter the queue ${queue}`);
      if (row.moved) touch('queues', queue);
      return { admitted: row.admitted, ahead: row.ahead };
    },
  } satisfies Partial<Store>;
}
