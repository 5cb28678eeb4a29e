// How a Job ended, read from its pod while there is one: the pod knows the exit code and the output, and knows them sooner.
import { conditionOf, isTrue, type ContainerStatus, type Job, type Pod } from '../build/wire.ts';
import type { FailureReason, StepOutcome } from '@kadre/crds';

/** Undefined while it is at work. An agent's step reports through the gateway, so that its pod ends with no outcome of its own. */
export function jobOutcome(job: Job, pods: Pod[], kind: 'container' | 'agent'): StepOutcome | undefined {
  const failed = conditionOf(job.status?.conditions, 'Failed');
  const over = failed?.status === 'True' || isTrue(job.status?.conditions, 'Complete');
  if (failed?.status === 'True' && failed.reason === 'DeadlineExceeded') {
    return failure(
      'TimedOut',
      `The step took longer than its timeout allows: ${failed.message ?? 'the Job was stopped'}`,
    );
  }
  const pod = finishedPod(job, pods);
  // A pod that is being taken away (preempted, suspended by a queue, drained) may be replaced: only the Job can tell.
  if (pod && (over || !isTakenAway(pod))) return podOutcome(pod, kind);
  if (!over) return undefined;
  return failure('JobLost', `The Job ended, but its pod is gone: ${failed?.message ?? 'what it had to say is lost'}`);
}

/** The newest pod of the Job that has ended. */
export function finishedPod(job: Job, pods: Pod[]): Pod | undefined {
  return pods
    .filter(({ metadata }) => metadata.ownerReferences?.some(({ uid }) => uid === job.metadata.uid))
    .filter(({ status }) => status?.phase === 'Succeeded' || status?.phase === 'Failed')
    .sort((a, b) => ((a.metadata.creationTimestamp ?? '') < (b.metadata.creationTimestamp ?? '') ? 1 : -1))[0];
}

function isTakenAway(pod: Pod): boolean {
  return pod.metadata.deletionTimestamp !== undefined || isTrue(pod.status?.conditions, 'DisruptionTarget');
}

function podOutcome(pod: Pod, kind: 'container' | 'agent'): StepOutcome {
  const status = pod.status?.containerStatuses?.find(({ name }) => name === (kind === 'container' ? 'step' : 'agent'));
  if (isTakenAway(pod) && pod.status?.phase === 'Failed') {
    const why = conditionOf(pod.status.conditions, 'DisruptionTarget')?.message ?? 'it was deleted';
    return failure('JobLost', `The pod was taken away before it was done: ${why}`);
  }
  if (kind === 'agent')
    return failure('AgentUnavailable', `The agent's pod ended without a result: ${ending(pod, status)}`);
  if (pod.status?.phase === 'Succeeded') return { output: parsed(status?.state?.terminated?.message) };
  return failure('ContainerFailed', `The container failed: ${ending(pod, status)}`);
}

function parsed(message: string | undefined): unknown {
  const text = message?.trim() ?? '';
  if (text === '') return null;
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}

function ending(pod: Pod, status: ContainerStatus | undefined): string {
  const terminated = status?.state?.terminated;
  if (!terminated) return [pod.status?.reason, pod.status?.message].filter(Boolean).join(': ') || 'it says no more';
  const named = terminated.reason !== undefined && !['Error', 'Completed'].includes(terminated.reason);
  const cause = named ? ` (${terminated.reason ?? ''})` : '';
  const said = terminated.message?.trim() ?? '';
  return `exit code ${terminated.exitCode}${cause}${said === '' ? '' : `: ${said.slice(-2000)}`}`;
}

export function failure(reason: FailureReason, message: string): StepOutcome {
  return { failure: { reason, message: message.slice(0, 8192) } };
}
