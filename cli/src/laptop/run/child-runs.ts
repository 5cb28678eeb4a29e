// Runs that agents and steps ask for, by Tools that are Workflows. In a cluster the operator makes them; here they are at work
// in the store of the run that asks, and the engine of that takes them up.
import { createHash } from 'node:crypto';
import { systemClock, type Clock } from '@kadre/engine';
import { unwantedBecause, type RunRequestRecord, type Store } from '@kadre/store';
import type { Logger } from 'pino';
import type { PinnedWorkflow } from './pin.ts';

export type ChildRunStore = Pick<
  Store,
  | 'openRunRequests'
  | 'runRequestMade'
  | 'endRunRequest'
  | 'submission'
  | 'submitRun'
  | 'controls'
  | 'cancelRun'
  | 'projection'
  | 'subscribe'
>;

export interface ChildRunsOptions {
  store: ChildRunStore;
  toolWorkflows: readonly PinnedWorkflow[];
  logger: Logger;
  clock?: Clock;
}

export interface ChildRun {
  uid: string;
  name: string;
  /** The names of its steps. */
  planned: string[];
  /** Undefined: no step has asked for it. */
  parent: RunRequestRecord['parent'];
}

export interface ChildRuns {
  /** Those that were at work since this process began. */
  known(): readonly ChildRun[];
  close(): Promise<void>;
}

/** Hints may be lost, and time passes without one. */
const POLL_MS = 1_000;

export function startChildRuns(options: ChildRunsOptions): ChildRuns {
  const { store, logger, clock = systemClock } = options;
  const runs = new Map<string, ChildRun>();
  let closed = false;
  let wake = (): void => undefined;
  let again = true;
  const look = (): void => {
    again = true;
    wake();
  };
  const stops = [
    store.subscribe('run-requests', look),
    store.subscribe('projections', (uid) => {
      if (uid === '' || runs.has(uid)) look();
    }),
  ];
  const work = async (): Promise<void> => {
    while (!closed) {
      again = false;
      try {
        for (const record of await store.openRunRequests()) await attend(options, runs, record, clock.now());
      } catch (error) {
        logger.error({ err: error }, 'the runs that this one asks for cannot be seen to; trying again soon');
      }
      await new Promise<void>((resolve) => {
        const callOff = clock.at(clock.now() + (again || closed ? 0 : POLL_MS), resolve);
        wake = () => {
          callOff();
          resolve();
        };
      });
    }
  };
  const working = work();
  return {
    known: () => [...runs.values()],
    close: async () => {
      closed = true;
      for (const stop of stops) stop();
      wake();
      await working;
    },
  };
}

async function attend(
  { store, toolWorkflows }: ChildRunsOptions,
  runs: Map<string, ChildRun>,
  record: RunRequestRecord,
  now: number,
): Promise<void> {
  const { key, name, spec, parent } = record;
  const uid = record.uid ?? uidOf(key);
  if (isOver((await store.projection(uid))?.status.phase)) return store.endRunRequest(key);
  const unwanted = unwantedBecause(record, { parentIsOver: await isParentOver(store, record), now });
  const isSubmitted = (await store.submission(uid)) !== undefined;
  if (unwanted !== undefined) {
    if (isSubmitted) await store.cancelRun(uid, unwanted);
    else await store.endRunRequest(key, { reason: 'Cancelled', message: unwanted });
    return;
  }
  const pinned = toolWorkflows.find(({ object }) => object.metadata.name === spec.workflow?.name);
  if (!pinned) {
    const message = `There is no Workflow ${spec.workflow?.name ?? ''} in this run.`;
    return store.endRunRequest(key, { reason: 'WorkflowNotFound', message });
  }
  const workflow = pinned.object.spec;
  runs.set(uid, { uid, name, planned: workflow.steps.map((step) => step.name), parent });
  if (isSubmitted) return;
  // For whom it was made is known before it begins: its limits hang on that.
  await store.runRequestMade(key, uid);
  await store.submitRun({
    ...{ uid, namespace: record.namespace, name, subject: pinned.object.metadata.name },
    ...{ workflow, workflows: pinned.workflows, input: spec.input ?? null },
    ...(spec.limits && { limits: spec.limits }),
    ...(spec.requestedBy !== undefined && { requestedBy: spec.requestedBy }),
  });
}

async function isParentOver(store: ChildRunStore, { parent }: RunRequestRecord): Promise<boolean> {
  if (!parent) return false;
  const [projection, controls] = await Promise.all([store.projection(parent.run), store.controls(parent.run)]);
  return isOver(projection?.status.phase) || controls.cancellation !== undefined;
}

const isOver = (phase: string | undefined): boolean =>
  phase === 'Succeeded' || phase === 'Failed' || phase === 'Cancelled';

/** The same each time, so that what was cut short is not begun twice. */
function uidOf(key: string): string {
  const hash = createHash('sha256').update(key).digest('hex');
  return [hash.slice(0, 8), hash.slice(8, 12), hash.slice(12, 16), hash.slice(16, 20), hash.slice(20, 32)].join('-');
}
