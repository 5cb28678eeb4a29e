// The log of a run, and what is written together with it.
import { UnknownRunError } from '../errors.ts';
import { json } from '../json.ts';
import { eventOf, type EventRow } from '../rows.ts';
import { FencedError, StaleWriteError } from '../store.ts';
import type { AppendEffects, NewEvent, Store } from '../store.ts';
import type { Access } from './access.ts';
import type { Touch } from './group-commit.ts';
import { leaveQueues } from './queues.ts';
import type { HeadRow, Statements } from './statements.ts';

export function log({ sql, write, read }: Access) {
  return {
    events: (uid: string, afterSeq = 0) =>
      read(() => (sql.events.all(uid, afterSeq) as unknown as EventRow[]).map(eventOf)),
    append: (uid: string, expectedSeq: number, events: NewEvent[], effects: AppendEffects = {}) =>
      write((touch) => {
        const run = head(sql, uid, expectedSeq, effects.epoch);
        let seq = expectedSeq;
        for (const event of events) sql.insertEvent.run(run, ++seq, event.at, event.type, json(event.data));
        if (seq > expectedSeq) sql.advanceRun.run(seq, run);
        if (effects.closed) {
          sql.closeRun.run(events.at(-1)?.at ?? Date.now(), run);
          leaveQueues(sql, touch, uid);
        }
        ask(sql, touch, uid, effects);
        if (effects.closed) {
          for (const { key } of sql.withdrawApprovals.all(uid) as { key: string }[]) touch('approvals', key);
        }
        if (effects.projection && sql.upsertProjection.run(uid, json(effects.projection)).changes > 0)
          touch('projections', uid);
      }),
  } satisfies Partial<Store>;
}

/** The run's row, if whoever writes may do so. */
function head(sql: Statements, uid: string, expectedSeq: number, epoch: number | undefined): number {
  const run = sql.runHead.get(uid, Date.now()) as HeadRow | undefined;
  if (!run) throw new UnknownRunError(`run ${uid} was never submitted`);
  if (run.closed) throw new StaleWriteError(`the log of run ${uid} is closed`);
  if (run.owner !== (epoch ?? null)) {
    const owner = run.owner === null ? 'no engine' : `engine ${run.owner}`;
    const writer = epoch === undefined ? 'a writer without a seat' : `engine ${epoch}`;
    throw new FencedError(`run ${uid} belongs to ${owner}, not to ${writer}`);
  }
  if (run.last_seq !== expectedSeq) {
    throw new StaleWriteError(`the log of run ${uid} ends at ${run.last_seq}, not at ${expectedSeq}`);
  }
  return run.id;
}

/** What is asked of the operator, and what is not wanted of it any more. */
function ask(sql: Statements, touch: Touch, uid: string, effects: AppendEffects): void {
  for (const job of effects.jobs ?? []) {
    if (sql.insertJob.run(job.key, uid, json(job)).changes > 0) touch('jobs', job.key);
  }
  for (const key of effects.abandon ?? []) if (sql.abandonJob.run(key).changes > 0) touch('jobs', key);
  for (const approval of effects.approvals ?? []) {
    if (sql.insertApproval.run(approval.key, uid, json(approval)).changes > 0) touch('approvals', approval.key);
  }
  for (const key of effects.withdraw ?? []) if (sql.withdrawApproval.run(key).changes > 0) touch('approvals', key);
  for (const { key, output, run, expiresAt } of effects.cache ?? []) {
    sql.cacheOutput.run(key, json(output), run, expiresAt);
  }
}
