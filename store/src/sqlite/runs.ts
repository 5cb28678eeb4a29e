// Runs: how they come in, what is asked of them, and how they are forgotten.
import { RunNotOverError } from '../errors.ts';
import { json, optionalJson } from '../json.ts';
import { controlsOf, projectionOf, submissionOf } from '../rows.ts';
import type { ControlsRow, ProjectionRow, RunRow } from '../rows.ts';
import type { ClosedRun, RunSubmission, Store } from '../store.ts';
import type { Access } from './access.ts';
import type { HeadRow } from './statements.ts';

export function runs({ sql, write, read }: Access) {
  return {
    submitRun: (run: RunSubmission) =>
      write((touch) => {
        const first = sql.insertRun.run(...columns(run)).changes > 0;
        if (first) touch('submissions', run.uid);
        return first;
      }),
    cancelRun: (uid: string, message: string) =>
      write((touch) => {
        if (sql.cancelRun.run(message, uid).changes > 0) touch('controls', uid);
      }),
    suspendRun: (uid: string, suspended: boolean) =>
      write((touch) => {
        if (sql.suspendRun.run(suspended ? 1 : 0, uid).changes > 0) touch('controls', uid);
      }),
    findRun: (namespace: string, name: string) =>
      read(() => (sql.findRun.get(namespace, name) as { uid: string } | undefined)?.uid),
    openRuns: () => read(() => (sql.openRuns.all() as { uid: string }[]).map(({ uid }) => uid)),
    submission: (uid: string) =>
      read(() => {
        const row = sql.run.get(uid) as RunRow | undefined;
        return row && submissionOf(row);
      }),
    controls: (uid: string) => read(() => controlsOf(sql.controls.get(uid) as ControlsRow | undefined)),
    projection: (uid: string) =>
      read(() => {
        const row = sql.projection.get(uid) as ProjectionRow | undefined;
        return row && projectionOf(row);
      }),
    closedRuns: (before: number, limit: number) =>
      read(() => (sql.closedRuns.all(before, limit) as unknown as ClosedRun[]).map((row) => ({ ...row }))),
    deleteRun: (uid: string) =>
      write(() => {
        const head = sql.runHead.get(uid, 0) as HeadRow | undefined;
        if (!head) return;
        if (!head.closed) throw new RunNotOverError(`run ${uid} is not over: cancel it and wait for its end first`);
        for (const statement of sql.forgetRun) statement.run(uid);
      }),
  } satisfies Partial<Store>;
}

function columns(run: RunSubmission) {
  const { uid, namespace, name, subject, requestedBy = null, priority = null } = run;
  const pinned = [json(run.workflow), optionalJson(run.workflows), json(run.input), optionalJson(run.limits)];
  return [uid, namespace, name, subject, ...pinned, requestedBy, priority, optionalJson(run.fork)];
}
