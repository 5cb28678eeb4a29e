// How long closed runs are remembered, and what becomes of them afterwards.
import type { ClosedRun, Store } from '../store.ts';
import { archiveRuns, type ArchiveOptions, type ArchiveReport } from './archive.ts';

export type RetentionStore = Pick<Store, 'closedRuns' | 'submission' | 'events' | 'decisions' | 'deleteRun'>;

/** Each limit holds by itself; without any, runs are kept for ever. */
export interface RetentionPolicy {
  /** Runs that were closed longer ago go. */
  keepDays?: number | undefined;
  /** Of the runs of one Workflow or Agent in a namespace, all but that many go, the oldest first. */
  keepRuns?: number | undefined;
}

const DAY_MS = 86_400_000;
/** So many runs are looked at together, where one need not know of the others. */
const PAGE = 1_000;

/**
 * Deletes the closed runs that the policy no longer keeps; given an archive, they are in it before. Runs that cannot be
 * archived stay, and the others go. `now`: milliseconds since 1970.
 *
 * Throws what the store and the sink throw; called again, it goes on from there.
 */
export async function enforceRetention(
  store: RetentionStore,
  policy: RetentionPolicy,
  now: number,
  archive?: ArchiveOptions,
): Promise<ArchiveReport> {
  const total: ArchiveReport = { runs: 0, failures: [] };
  for (;;) {
    const failed = new Set(total.failures.map(({ uid }) => uid));
    const closed = await closedRuns(store, policy, now, failed.size);
    const expired = expiredRuns(closed, policy, now).filter(({ uid }) => !failed.has(uid));
    const report = archive ? await archiveRuns(store, expired, archive) : await deleteRuns(store, expired);
    total.runs += report.runs;
    total.failures.push(...report.failures);
    if (expired.length < PAGE) return total;
  }
}

/** All closed runs if they have to be counted; else the oldest ones, and as many more as stay because they failed. */
async function closedRuns(
  store: RetentionStore,
  { keepDays, keepRuns }: RetentionPolicy,
  now: number,
  failed: number,
): Promise<ClosedRun[]> {
  if (keepRuns !== undefined) return await store.closedRuns(now, Number.MAX_SAFE_INTEGER);
  return keepDays === undefined ? [] : await store.closedRuns(now - keepDays * DAY_MS, PAGE + failed);
}

async function deleteRuns(store: RetentionStore, runs: readonly ClosedRun[]): Promise<ArchiveReport> {
  for (const { uid } of runs) await store.deleteRun(uid);
  return { runs: runs.length, failures: [] };
}

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
