// Runs: how they come in, what is asked of them, and how they are forgotten.
import { RunNotOverError } from '../errors.ts';
import { json, optionalJson } from '../json.ts';
import { controlsOf, projectionOf, submissionOf } from '../rows.ts';
import type { ControlsRow, ProjectionRow, RunRow } from '../rows.ts';
import type { ClosedRun, RunSubmission, Store } from '../store.ts';
import type { Access } from './access.ts';

export function runs({ db, touch }: Access) {
  return {
    submitRun: async (run: RunSubmission) => {
      const first = (await db.write('insertRun', [...columns(run), db.nextCall()])).count > 0;
      if (first) touch('submissions', run.uid);
      return first;
    },
    cancelRun: async (uid: string, message: string) => {
      const { count, unsure } = await db.write('cancelRun', [uid, message]);
      if (count > 0 || unsure) touch('controls', uid);
    },
    suspendRun: async (uid: string, suspended: boolean) => {
      const { count, unsure } = await db.write('suspendRun', [uid, suspended]);
      if (count > 0 || unsure) touch('controls', uid);
    },
    findRun: async (namespace: string, name: string) =>
      (await db.read<{ uid: string }>('findRun', [namespace, name]))[0]?.uid,
    openRuns: async () => (await db.read<{ uid: string }>('openRuns')).map(({ uid }) => uid),
    submission: async (uid: string) => {
      const [row] = await db.read<RunRow>('run', [uid]);
      return row && submissionOf(row);
    },
    controls: async (uid: string) => controlsOf((await db.read<ControlsRow>('controls', [uid]))[0]),
    projection: async (uid: string) => {
      const [row] = await db.read<ProjectionRow>('projection', [uid]);
      return row && projectionOf(row);
    },
    closedRuns: (before: number, limit: number) => db.read<ClosedRun>('closedRuns', [before, limit]),
    deleteRun: async (uid: string) => {
      const { rows } = await db.write<{ verdict: string }>('forgetRun', [uid]);
      if (rows[0]?.verdict === 'open') {
        throw new RunNotOverError(`run ${uid} is not over: cancel it and wait for its end first`);
      }
    },
  } satisfies Partial<Store>;
}

function columns(run: RunSubmission) {
  const { uid, namespace, name, subject, requestedBy = null, priority = null } = run;
  const pinned = [json(run.workflow), optionalJson(run.workflows), json(run.input), optionalJson(run.limits)];
  return [uid, namespace, name, subject, ...pinned, requestedBy, priority, optionalJson(run.fork)];
}
