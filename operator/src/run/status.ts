// What a Run's status says.
import { annotations, type Run, type RunPhase, type RunStatus, type StepStatus } from '@kadre/crds';
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

function healthOf({ phase, progress }: RunProjection['status'], failure: RunProjection['failure']): Health {
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
      return {
        state: 'progressing',
        reason: 'Running',
        message: progress === undefined ? 'The run is at work.' : `${progress} steps are done.`,
      };
    case 'Pending':
    case undefined:
      return { state: 'progressing', reason: 'Submitted', message: 'The run waits for its turn.' };
  }
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
