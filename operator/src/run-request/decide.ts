// What to do about a Run that somebody has asked for: make it once, stop it with its parent, and tell how it went where the
// engine has nothing to tell.
import { annotations, API_VERSION, failureReasons, labels, MANAGER, type Failure, type Run } from '@kadre/crds';
import { unwantedBecause, type RunRequestRecord } from '@kadre/store';
import { controllerOf } from '../build/metadata.ts';
import { conditionNow } from '../build/readiness.ts';
import type { KubeObject } from '../kube/plan.ts';
import { isTerminal } from '../run/status.ts';

export interface RunRequestSnapshot {
  record: RunRequestRecord;
  /** What has the name of the Run now. */
  live?: Run;
  /** UID of the latest run of that name that the engine was given. */
  known?: string;
  /** The engine has told of the Run. */
  told?: boolean;
  /** The Run on whose behalf it is asked for; undefined if there is none, or it is gone. */
  parent?: Run;
}

export type RunRequestAct =
  | { do: 'wait' }
  | { do: 'make'; run: KubeObject }
  | { do: 'remember'; uid: string }
  | { do: 'cancel'; uid: string; message: string }
  | { do: 'end'; failure?: Failure };

export function decideRunRequest(snapshot: RunRequestSnapshot, now: number): RunRequestAct {
  switch (snapshot.record.state) {
    case 'requested':
      return begin(snapshot, now);
    case 'made':
      return follow(snapshot, now);
    case 'refused':
    case 'over':
      return { do: 'wait' };
  }
}

function begin(snapshot: RunRequestSnapshot, now: number): RunRequestAct {
  const { record, live, known, parent } = snapshot;
  // This process, or the one before it, has made it and could not write that down.
  if (live && isOf(live, record)) return { do: 'remember', uid: live.metadata.uid };
  if (live) return { do: 'end', failure: taken(record) };
  if (known !== undefined) return { do: 'remember', uid: known };
  const why = unwanted(snapshot, now);
  if (why !== undefined) return { do: 'end', failure: cancelled(why) };
  return { do: 'make', run: runOf(record, parent) };
}

function follow(snapshot: RunRequestSnapshot, now: number): RunRequestAct {
  const { record, live, told } = snapshot;
  const run = live?.metadata.uid === record.uid ? live : undefined;
  if (!run) return { do: 'end', ...(!told && { failure: cancelled('The Run was deleted.') }) };
  if (isTerminal(run.status?.phase)) return { do: 'end', ...(!told && { failure: neverBegan(run) }) };
  // Its status only has to catch up with what the engine has told.
  const message = told === true ? undefined : unwanted(snapshot, now);
  if (message === undefined || run.spec.cancel === true) return { do: 'wait' };
  return { do: 'cancel', uid: run.metadata.uid, message };
}

function unwanted({ record, parent }: RunRequestSnapshot, now: number): string | undefined {
  const parentIsOver = parent === undefined || isTerminal(parent.status?.phase) || parent.spec.cancel === true;
  return unwantedBecause(record, { parentIsOver, now });
}

const isOf = ({ metadata }: Run, { key }: RunRequestRecord): boolean =>
  metadata.annotations?.[annotations.request] === key;

function runOf({ key, namespace, name, spec, parent: asking }: RunRequestRecord, parent: Run | undefined): KubeObject {
  return {
    apiVersion: API_VERSION,
    kind: 'Run',
    metadata: {
      name,
      namespace,
      labels: {
        [labels.managedBy]: MANAGER,
        ...(asking && { [labels.run]: asking.run, [labels.runName]: asking.name }),
      },
      annotations: { [annotations.request]: key, ...(asking && { [annotations.step]: asking.step }) },
      ...(parent && { ownerReferences: [controllerOf(parent)] }),
    },
    spec,
  };
}

const cancelled = (message: string): Failure => ({ reason: 'Cancelled', message });

const taken = ({ name }: RunRequestRecord): Failure => ({
  reason: 'Refused',
  message: `There is a Run ${name} that nobody asked for here: delete it.`,
});

/** What the Run itself says: the engine never saw it. */
function neverBegan(run: Run): Failure {
  const stalled = conditionNow(run, 'Stalled');
  const reason = failureReasons.find((one) => one === stalled?.reason) ?? 'Refused';
  return { reason, message: stalled?.message ?? 'The Run was over before it began.' };
}
