// How long closed runs are remembered, and what becomes of them afterwards.
import type { ClosedRun } from '../store.ts';

/** Each limit holds by itself; without any, runs are kept for ever. */
export interface RetentionPolicy {
  /** Runs that were closed longer ago go. */
  keepDays?: number | undefined;
  /** Of the runs of one Workflow or Agent in a namespace, all but that many go, the oldest first. */
  keepRuns?: number | undefined;
}

const DAY_MS = 86_400_000;

/** Those of all closed runs that the policy no longer keeps, the oldest first. `now`: milliseconds since 1970. */
export function expiredRuns(closed: readonly ClosedRun[], policy: RetentionPolicy, now: number): ClosedRun[] {
  const { keepDays = Infinity, keepRuns = Infinity } = policy;
  const newer = new Map<string, number>();
  const newestFirst = closed.toSorted(byAge).reverse();
  const expired = newestFirst.filter((run) => {
    const subject = JSON.stringify([run.namespace, run.subject]);
    const rank = newer.get(subject) ?? 0;
    newer.set(subject, rank + 1);
    return rank >= keepRuns || run.closedAt < now - keepDays * DAY_MS;
  });
  return expired.reverse();
}

// Runs that were closed in the same millisecond have an order too, so that each pass comes to the same end.
function byAge(a: ClosedRun, b: ClosedRun): number {
  return a.closedAt - b.closedAt || (a.uid < b.uid ? -1 : 1);
}
