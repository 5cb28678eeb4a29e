// What to do about one Job that the engine asked for. The rule above all others: once the API server has taken a Job, it
// is never created again, whatever becomes of it.
import { annotations, type Agent, type GpuPool, type Run, type StepOutcome } from '@kadre/crds';
import { configExcess } from '../build/agent-pod.ts';
import { devicesOf, noDevices } from '../build/devices.ts';
import { LARGEST_VARIABLE_BYTES } from '../build/pod.ts';
import { podTrouble } from '../build/pod-trouble.ts';
import { refOf } from '../build/wanted.ts';
import { desiredJob, type Work } from './desired/job.ts';
import { failure, jobOutcome } from './job-outcome.ts';
import type { Job, Pod } from '../build/wire.ts';
import type { JobRecord } from '@kadre/store';
import type { KubeObject, ObjectRef } from '../kube/plan.ts';
import type { Settings } from '../build/settings.ts';

/** All that a decision about a Job rests on. */
export interface JobSnapshot {
  record: JobRecord;
  settings: Settings;
  /** The Run, if it is there under the same UID. */
  run?: Run;
  /** The object under the Job's name. Its absence counts only if the API server itself was asked. */
  job?: Job;
  pods: Pod[];
  agent?: Agent;
  pool?: GpuPool;
}

export type JobDecision =
  | { do: 'wait'; requeueAfter?: number }
  | { do: 'create'; job: KubeObject }
  /** It was created already; only the note of it was lost. */
  | { do: 'adopt'; uid: string }
  /** Delete what is there, then record the outcome. */
  | { do: 'finish'; outcome: StepOutcome; remove?: ObjectRef };

const RUN_RECHECK_MS = 10_000;
/** How long a container may fail to start (an image that can't be pulled, say) before the step fails. */
const START_LIMIT_MS = 600_000;

export function decideJob(snapshot: JobSnapshot, now: Date): JobDecision {
  const { record, job } = snapshot;
  if (record.state === 'finished') return { do: 'wait' };
  if (record.abandoned) return abandon(record, job);
  if (record.state === 'created') return follow(snapshot, now);
  if (job) return adopt(record, job);
  return start(snapshot);
}

function abandon(record: JobRecord, job: Job | undefined): JobDecision {
  const outcome = failure('Cancelled', 'The result was no longer wanted.');
  return job && isOurs(record, job) ? { do: 'finish', outcome, remove: refOf(job) } : { do: 'finish', outcome };
}

function adopt(record: JobRecord, job: Job): JobDecision {
  if (isOurs(record, job)) return { do: 'adopt', uid: job.metadata.uid ?? '' };
  return {
    do: 'finish',
    outcome: failure('JobRejected', `There is another Job named ${record.name}, which is not Kadre's.`),
  };
}

/** Names can be taken by strangers; the key and the owner can't come about by chance. */
function isOurs(record: JobRecord, job: Job): boolean {
  const { annotations: noted, ownerReferences } = job.metadata;
  return noted?.[annotations.job] === record.key && (ownerReferences ?? []).some(({ uid }) => uid === record.run.uid);
}

function start(snapshot: JobSnapshot): JobDecision {
  const { record, run, settings } = snapshot;
  // Without its Run it would be garbage at once. If the Run is gone for good, the engine is told and abandons the Job.
  if (!run || run.metadata.deletionTimestamp !== undefined) return { do: 'wait', requeueAfter: RUN_RECHECK_MS };
  const work = workOf(snapshot);
  if ('failure' in work) return { do: 'finish', outcome: work };
  const gpu = gpuOf(snapshot);
  if (gpu && !snapshot.pool) {
    return { do: 'finish', outcome: failure('JobRejected', `There is no GpuPool ${gpu.pool}.`) };
  }
  const devices = gpu && snapshot.pool ? devicesOf(snapshot.pool, gpu) : noDevices;
  return { do: 'create', job: desiredJob({ request: record, run, work, devices, settings }) };
}

/** The devices that the step asks for, or else its agent. */
export function gpuOf({ record, agent }: Pick<JobSnapshot, 'record' | 'agent'>) {
  const { work } = record;
  return 'container' in work ? work.container.gpu : (work.agent.gpu ?? agent?.spec.runtime?.gpu);
}

function workOf({ record, agent }: JobSnapshot): Work | Extract<StepOutcome, { failure: unknown }> {
  const { work } = record;
  if ('agent' in work) {
    if (!agent)
      return refused('AgentNotFound', `There is no Agent ${work.agent.name} in namespace ${record.run.namespace}.`);
    const excess = configExcess(agent);
    if (excess > 0)
      return refused('JobRejected', `The instructions of Agent ${work.agent.name} are ${excess} bytes too long.`);
    return { agent, stepToken: work.agent.stepToken };
  }
  const { input } = work.container;
  const size = input === undefined ? 0 : new TextEncoder().encode(JSON.stringify(input)).length;
  if (size <= LARGEST_VARIABLE_BYTES) return { container: work.container };
  return refused(
    'InvalidInput',
    `The input has ${size} bytes; a container can be given at most ${LARGEST_VARIABLE_BYTES}.`,
  );
}

function refused(...words: Parameters<typeof failure>) {
  return failure(...words) as Extract<StepOutcome, { failure: unknown }>;
}

function follow({ record, job, pods }: JobSnapshot, now: Date): JobDecision {
  if (!job || job.metadata.uid !== record.uid) {
    return { do: 'finish', outcome: failure('JobLost', `Job ${record.name} was deleted before it was done.`) };
  }
  const outcome = jobOutcome(job, pods, 'container' in record.work ? 'container' : 'agent');
  return outcome ? { do: 'finish', outcome } : startTrouble(job, pods, now);
}

function startTrouble(job: Job, pods: Pod[], now: Date): JobDecision {
  const trouble = podTrouble(pods);
  if (!trouble || trouble.reason === 'Unschedulable') return { do: 'wait' };
  const since = Math.min(...pods.map(({ metadata }) => Date.parse(metadata.creationTimestamp ?? now.toISOString())));
  const left = since + START_LIMIT_MS - now.getTime();
  if (left > 0) return { do: 'wait', requeueAfter: left };
  return { do: 'finish', outcome: failure('ContainerFailed', trouble.message), remove: refOf(job) };
}
