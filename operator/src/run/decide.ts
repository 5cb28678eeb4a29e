// What to do about a Run: hand it to the engine once, then write down what the engine says of it.
import { agentRunWorkflow } from '@kadre/engine';
import { conditionNow, news } from '../build/readiness.ts';
import { isTerminal, pendingStatus, projectedStatus, refusedStatus } from './status.ts';
import type { Agent, Run, RunStatus } from '@kadre/crds';
import type { RunSubmission } from '@kadre/store';
import type { RunSnapshot, Subject } from './observe.ts';
import type { Plan } from '../kube/plan.ts';

/** The status of a run at work is written at most this often. The last one is written at once. */
const WRITE_INTERVAL_MS = 1000;

/** Carried out in this order: cancel, submit, plan. */
export interface RunDecision {
  plan: Plan;
  submit?: RunSubmission;
  /** Why the engine shall stop the run. */
  cancel?: string;
}

export function decideRun(snapshot: RunSnapshot, now: Date): RunDecision {
  const { run } = snapshot;
  // History is never executed again, whatever the store still knows of it.
  if (isTerminal(run.status?.phase)) return { plan: {} };
  if (run.metadata.deletionTimestamp !== undefined) return { plan: {}, cancel: 'The Run is being deleted.' };
  return snapshot.submitted ? follow(snapshot, now) : intake(snapshot, now);
}

function follow(snapshot: RunSnapshot, now: Date): RunDecision {
  const { run, projection, pods } = snapshot;
  const cancel = run.spec.cancel === true && !snapshot.cancelled ? { cancel: 'spec.cancel is set.' } : {};
  const status = projection
    ? projectedStatus(run, projection, pods, now)
    : pendingStatus(run, 'Submitted', 'The run waits for its turn.', now);
  return { ...cancel, plan: isTerminal(status.phase) ? written(run, status) : coalesced(snapshot, status, now) };
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
  const invalid = invalidWorkflow(subject);
  if (invalid !== undefined) return refuse('Failed', 'InvalidExpression', invalid);
  const waiting = waitsFor(run, subject);
  if (waiting) return { plan: written(run, pendingStatus(run, waiting.reason, waiting.message, now)) };
  // The engine begins within milliseconds: its first word makes a better status than "submitted".
  return { submit: submissionOf(run, subject), plan: { requeueAfter: WRITE_INTERVAL_MS } };
}

function written(run: Run, status: RunStatus): Plan {
  return { status: { ...status }, ...news(run.status?.conditions, status.conditions ?? []) };
}

function invalidWorkflow(subject: Subject | undefined): string | undefined {
  const issue = subject?.issues[0];
  return issue && `Workflow ${subject.workflow?.metadata.name ?? ''}: ${issue.path}: ${issue.message}`;
}

/** Whoever applies a folder of manifests can't choose the order, so what is missing may still come. */
function waitsFor(run: Run, subject: Subject | undefined): { reason: string; message: string } | undefined {
  const where = run.metadata.namespace ?? '';
  const { workflow: named } = run.spec;
  if (named && !subject?.workflow) {
    return { reason: 'WorkflowNotFound', message: `Waits for Workflow ${named.name} in namespace ${where}.` };
  }
  const agents = Object.entries(subject?.agents ?? {});
  const absent = agents.find(([, agent]) => agent === undefined);
  if (absent) return { reason: 'AgentNotFound', message: `Waits for Agent ${absent[0]} in namespace ${where}.` };
  const pool = subject?.missingPools[0];
  if (pool !== undefined) return { reason: 'GpuPoolNotFound', message: `Waits for GpuPool ${pool}.` };
  const starting = agents.find(([, agent]) => agent && isStarting(agent));
  return starting && { reason: 'AgentStarting', message: `Waits for the first pod of Agent ${starting[0]}.` };
}

/** Served, on its way up, and nobody there yet to answer. A stalled agent is no reason to wait: the step fails and says why. */
function isStarting({ metadata, spec, status }: Agent): boolean {
  if (!spec.serving || spec.serving.replicas === 0 || (status?.readyReplicas ?? 0) > 0) return false;
  return conditionNow({ metadata, ...(status && { status }) }, 'Stalled')?.status !== 'True';
}

function submissionOf(run: Run, subject: Subject | undefined): RunSubmission {
  const { uid, namespace = '', name } = run.metadata;
  const { agent, workflow, input } = run.spec;
  const what = agent
    ? { subject: agent.name, workflow: agentRunWorkflow(run.spec) }
    : { subject: workflow?.name ?? '', workflow: subject?.workflow?.spec };
  return { uid, namespace, name, ...what, input };
}
