// What to do about a Run: hand it to the engine once, then write down what the engine says of it.
import { conditionNow, news } from '../build/readiness.ts';
import { isTerminal, pausedStatus, pendingStatus, projectedStatus, refusedStatus } from './status.ts';
import type { Agent, Run, RunStatus, WorkflowSpec } from '@kadre/crds';
import type { Fork, RunSubmission } from '@kadre/store';
import type { RunSnapshot, Subject } from './observe.ts';
import type { Plan } from '../kube/plan.ts';

/** The status of a run at work is written at most this often. The last one is written at once. */
const WRITE_INTERVAL_MS = 1000;
const REMEMBERED_SOON_MS = 250;

/** Carried out in this order: cancel, submit, suspend, plan. */
export interface RunDecision {
  plan: Plan;
  submit?: RunSubmission;
  /** Why the engine shall stop the run. */
  cancel?: string;
  /** Whether the engine shall pause the run, or go on with it. */
  suspend?: boolean;
}

export function decideRun(snapshot: RunSnapshot, now: Date): RunDecision {
  const { run } = snapshot;
  // History is never executed again, whatever the store still knows of it.
  if (isTerminal(run.status?.phase)) return { plan: {} };
  if (run.metadata.deletionTimestamp !== undefined) return { plan: {}, cancel: 'The Run is being deleted.' };
  // What it may spend hangs on whose it is.
  if (snapshot.isBeingRemembered) return { plan: { requeueAfter: REMEMBERED_SOON_MS } };
  return snapshot.submitted ? follow(snapshot, now) : intake(snapshot, now);
}

function follow(snapshot: RunSnapshot, now: Date): RunDecision {
  const { run, projection, pods } = snapshot;
  const suspend = run.spec.suspend === true;
  const controls = {
    ...(run.spec.cancel === true && !snapshot.cancelled && { cancel: 'spec.cancel is set.' }),
    ...(suspend !== snapshot.suspended && { suspend }),
  };
  const status = projection
    ? projectedStatus(run, projection, pods, now)
    : pendingStatus(run, 'Submitted', 'The run waits for its turn.', now);
  if (isTerminal(status.phase)) return { plan: written(run, status) };
  return { ...controls, plan: coalesced(snapshot, status, now) };
}

function coalesced({ run, lastWrite }: RunSnapshot, status: RunStatus, now: Date): Plan {
  const wait = (lastWrite ?? 0) + WRITE_INTERVAL_MS - now.getTime();
  return wait > 0 ? { requeueAfter: wait } : written(run, status);
}

function intake({ run, subject }: RunSnapshot, now: Date): RunDecision {
  const refuse = (phase: 'Failed' | 'Cancelled', reason: string, message: string) => ({
    plan: written(run, refusedStatus(run, phase, reason, message, now)),
  });
  if (run.spec.cancel === true) return refuse('Cancelled', 'Cancelled', 'The run was cancelled before it began.');
  if (subject?.source === 'unknown') return refuse('Failed', 'RunNotFound', unknownSource(run));
  const issue = subject?.issues[0];
  if (issue) return refuse('Failed', 'InvalidExpression', `${issue.path}: ${issue.message}`);
  if (subject?.needsRequester === true && run.spec.requestedBy === undefined) {
    return refuse('Failed', 'RequesterMissing', requesterMissing);
  }
  if (run.spec.suspend === true) return { plan: written(run, pausedStatus(run, now)) };
  const waiting = waitsFor(run, subject);
  if (waiting) return { plan: written(run, pendingStatus(run, waiting.reason, waiting.message, now)) };
  if (!subject?.spec) throw new Error(`Run ${run.metadata.name} names nothing that could be run`);
  // The engine begins within milliseconds: its first word makes a better status than "submitted".
  return { submit: submissionOf(run, subject, subject.spec), plan: { requeueAfter: WRITE_INTERVAL_MS } };
}

/** Nobody could ever decide. */
const requesterMissing =
  'Somebody else than who asked for the run must approve a step, so it must be known who asked: create another Run with your user name in spec.requestedBy.';

function unknownSource({ metadata, spec }: Run): string {
  const wanted = `Run ${spec.fork?.run ?? ''} in namespace ${metadata.namespace ?? ''}`;
  return `Nothing is known of ${wanted}: it never began, or its history has been removed. Fork another Run.`;
}

function written(run: Run, status: RunStatus): Plan {
  return { status: { ...status }, ...news(run.status?.conditions, status.conditions ?? []) };
}

/** Whoever applies a folder of manifests can't choose the order, so what is missing may still come. */
function waitsFor(run: Run, subject: Subject | undefined): { reason: string; message: string } | undefined {
  const where = run.metadata.namespace ?? '';
  if (subject?.source === 'pending') {
    return { reason: 'ForkPending', message: `Waits for Run ${run.spec.fork?.run ?? ''}, which has not begun.` };
  }
  const missing = subject?.spec ? absentIn(subject.calls) : run.spec.workflow?.name;
  if (missing !== undefined) {
    return { reason: 'WorkflowNotFound', message: `Waits for Workflow ${missing} in namespace ${where}.` };
  }
  const absent = absentIn(subject?.agents ?? {});
  if (absent !== undefined) {
    return { reason: 'AgentNotFound', message: `Waits for Agent ${absent} in namespace ${where}.` };
  }
  const tool = subject?.missingTools[0];
  if (tool !== undefined) return { reason: 'ToolNotFound', message: `Waits for Tool ${tool} in namespace ${where}.` };
  const pool = subject?.missingPools[0];
  if (pool !== undefined) return { reason: 'GpuPoolNotFound', message: `Waits for GpuPool ${pool}.` };
  const starting = Object.entries(subject?.agents ?? {}).find(([, agent]) => agent && isStarting(agent));
  return starting && { reason: 'AgentStarting', message: `Waits for the first pod of Agent ${starting[0]}.` };
}

function absentIn(things: Record<string, unknown>): string | undefined {
  return Object.keys(things).find((name) => things[name] === undefined);
}

/** Served, on its way up, and nobody there yet to answer. A stalled agent is no reason to wait: the step fails and says why. */
function isStarting({ metadata, spec, status }: Agent): boolean {
  if (!spec.serving || spec.serving.replicas === 0 || (status?.readyReplicas ?? 0) > 0) return false;
  return conditionNow({ metadata, ...(status && { status }) }, 'Stalled')?.status !== 'True';
}

function submissionOf(run: Run, subject: Subject, workflow: WorkflowSpec): RunSubmission {
  const { uid, namespace = '', name } = run.metadata;
  const { input, limits, requestedBy, priority, fork } = run.spec;
  const source = typeof subject.source === 'object' ? subject.source : undefined;
  return {
    uid,
    namespace,
    name,
    subject: subject.name,
    workflow,
    ...(Object.keys(subject.calls).length > 0 && { workflows: subject.calls }),
    input: input === undefined ? source?.input : input,
    ...(limits && { limits }),
    ...(requestedBy !== undefined && { requestedBy }),
    ...(priority !== undefined && { priority }),
    ...(fork && source && { fork: forkOf(fork, source.uid) }),
  };
}

function forkOf({ from, prompt }: NonNullable<Run['spec']['fork']>, uid: string): Fork {
  return { run: uid, ...(from !== undefined && { from }), ...(prompt !== undefined && { prompt }) };
}
