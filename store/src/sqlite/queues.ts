// Queues: who may be at work, and whose turn it is.
import { UnknownRunError } from '../errors.ts';
import { StaleWriteError } from '../store.ts';
import type { QueueEntry, QueuePlace, Store } from '../store.ts';
import type { Access } from './access.ts';
import type { Touch } from './group-commit.ts';
import type { HeadRow, QueueRow, Statements } from './statements.ts';

export function queues({ sql, write }: Access) {
  return {
    enterQueue: ({ run, queue, limit, priority, orLeave }: QueueEntry) =>
      write((touch): QueuePlace => {
        // Whoever entered after its end would never leave.
        const head = sql.runHead.get(run, 0) as HeadRow | undefined;
        if (!head) throw new UnknownRunError(`run ${run} was never submitted`);
        if (head.closed) throw new StaleWriteError(`run ${run} is over and can't enter the queue ${queue}`);
        if (sql.insertEntry.run(queue, run, limit, priority).changes > 0) admit(sql, queue);
        else if (!orLeave && sql.limitEntry.run(queue, run, limit).changes > 0 && admit(sql, queue))
          touch('queues', queue);
        const place = placeOf(run, sql.queue.all(queue) as unknown as QueueRow[]);
        if (!place.admitted && orLeave) {
          sql.leaveQueue.run(queue, run);
          // It may have stood in the way of others, if it had waited before.
          if (admit(sql, queue)) touch('queues', queue);
        }
        return place;
      }),
  } satisfies Partial<Store>;
}

/** A run that is over makes room for the next ones. */
export function leaveQueues(sql: Statements, touch: Touch, run: string): void {
  for (const { queue } of sql.leaveQueues.all(run) as { queue: string }[]) {
    admit(sql, queue);
    touch('queues', queue);
  }
}

/** Whether anybody was admitted. */
function admit(sql: Statements, queue: string): boolean {
  let admitted = false;
  while (sql.admitFirst.run(queue).changes > 0) admitted = true;
  return admitted;
}

function placeOf(run: string, entries: QueueRow[]): QueuePlace {
  const own = entries.findIndex((entry) => entry.run === run);
  const admitted = entries[own]?.admitted === 1;
  const ahead = entries.filter((entry, index) => index !== own && (entry.admitted === 1 || index < own));
  return { admitted, ahead: ahead.map((entry) => entry.run) };
}
