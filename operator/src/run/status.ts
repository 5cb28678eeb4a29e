// What a Run's status says.
import { annotations, budgetOfQueue, type Run, type RunPhase, type RunStatus, type StepStatus } from '@kadre/crds';
import { conditionsOf } from '../build/readiness.ts';
import { podTrouble } from '../build/pod-trouble.ts';
import type { Health } from '../kube/conditions.ts';
import type { Pod } from '../build/wire.ts';
import type { RunProjection } from '@kadre/store';

export function isTerminal(phase: RunPhase | undefined): boolean {
  return phase === 'Succeeded' || phase === 'Failed' || phase === 'Cancelled';
}

/** The engine's view, with what keeps the pods of running steps from starting. */
export function projectedStatus(run: Run, projection: RunProjection, pods: Pod[], now: Date): RunStatus {
  const { status, failure } = projection;
  const steps = status.steps?.map((step) => withTrouble(step, pods));
  return withConditions(run, { ...status, ...(steps && { steps }) }, healthOf(status, failure), now);
}

/** Before the engine has begun. */
export function pendingStatus(run: Run, reason: string, message: string, now: Date): RunStatus {
  return withConditions(run, { phase: 'Pending' }, { state: 'progressing', reason, message }, now);
}

/** Held before it began: nothing of it is pinned yet, and the engine has not seen it. */
export function pausedStatus(run: Run, now: Date): RunStatus {
  const message = 'The run has not begun: set spec.suspend to false to begin.';
  return withConditions(run, { phase: 'Paused' }, { state: 'progressing', reason: 'Paused', message }, now);
}

/** Over before it began: the engine never saw it. */
export function refusedStatus(
  run: Run,
  phase: 'Failed' | 'Cancelled',
  reason: string,
  message: string,
  now: Date,
): RunStatus {
  const finishedAt = now.toISOString();
  return withConditions(run, { phase, finishedAt }, { state: 'stalled', reason, message }, now);
}

function withConditions(run: Run, status: RunStatus, health: Health, now: Date): RunStatus {
  const conditions = conditionsOf(run, health, [], now);
  return { observedGeneration: run.metadata.generation, ...status, conditions };
}

function healthOf(status: RunProjection['status'], failure: RunProjection['failure']): Health {
  const progressing = (reason: string, message: string): Health => ({ state: 'progressing', reason, message });
  const { phase, progress } = status;
  switch (phase) {
    case 'Succeeded':
      return { state: 'ready', reason: 'Succeeded', message: 'The run succeeded.' };
    case 'Failed':
      return {
        state: 'stalled',
        reason: failure?.reason ?? 'InternalError',
        message: failure?.message ?? 'The run failed.',
      };
    case 'Cancelled':
      return { state: 'stalled', reason: 'Cancelled', message: failure?.message ?? 'The run was cancelled.' };
    case 'Running':
      return progressing('Running', progress === undefined ? 'The run is at work.' : `${progress} steps are done.`);
    // People, events and places in a queue come in their own time: that is no fault of the run.
    case 'Waiting':
      return progressing('Waiting', waitingMessage(status.waitingFor ?? []));
    case 'Queued':
      return progressing('Queued', queuedMessage(status.waitingFor?.[0]?.queue ?? ''));
    case 'Paused':
      return progressing('Paused', 'The run is suspended: set spec.suspend to false to go on.');
    case 'Pending':
    case undefined:
      return progressing('Submitted', 'The run waits for its turn.');
  }
}

function queuedMessage(queue: string): string {
  const budget = budgetOfQueue(queue);
  return budget === undefined
    ? 'Other runs of the workflow have all the places: the run waits for one.'
    : `Budget ${budget} lets no more Runs be at work (concurrentRuns): the run waits for one to end.`;
}

const SHOWN_WAITS = 3;

function waitingMessage(waits: NonNullable<RunStatus['waitingFor']>): string {
  if (waits.length === 0) return 'The run waits for a time, or for its next attempt at a step.';
  const shown = waits.slice(0, SHOWN_WAITS).map(({ step, approval, event, until }) => {
    const what = approval !== undefined ? `Approval ${approval}` : event !== undefined ? `event ${event}` : 'a time';
    return `${step === undefined ? 'the run' : `step ${step}`} waits for ${what}${until === undefined ? '' : ` until ${until}`}`;
  });
  const more = waits.length > SHOWN_WAITS ? [`${waits.length - SHOWN_WAITS} more wait`] : [];
  const text = [...shown, ...more].join('; ');
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}

function withTrouble(step: StepStatus, pods: Pod[]): StepStatus {
  if (step.phase !== 'Running') return step;
  const attempt = step.attempt === undefined ? undefined : String(step.attempt);
  const trouble = podTrouble(
    pods.filter(({ metadata }) => {
      const { [annotations.step]: id, [annotations.attempt]: number } = metadata.annotations ?? {};
      return id === step.name && (attempt === undefined || number === attempt);
    }),
  );
  return trouble ? { ...step, reason: trouble.reason, message: trouble.message.slice(0, 1024) } : step;
}
