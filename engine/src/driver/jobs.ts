// Steps that run in a pod of their own: the engine asks for a Job in the store, and finds the outcome there.
import { objectName, type JobRequest } from '@kadre/store';
import type { RunIdentity } from '../core/state.ts';
import type { Work } from '../core/work.ts';

export interface AttemptName {
  run: RunIdentity;
  /** Id of the step, such as research[2]. */
  step: string;
  attempt: number;
}

/** What a pod can do. */
export type PodWork = Extract<Work, { kind: 'agent' | 'container' }>;

/** `<run uid>/<step id>/<attempt>`: names an attempt everywhere. */
export function attemptKey({ run, step, attempt }: AttemptName): string {
  return `${run.uid}/${step}/${attempt}`;
}

export const jobName = (name: AttemptName): string => objectName(`${name.run.name}-${name.step}`, attemptKey(name));

/** `stepToken`: for an agent's pod, good for this Job's alone. */
export function jobRequest(
  name: AttemptName,
  work: PodWork,
  stepToken: string,
  timeout: number | undefined,
): JobRequest {
  const { run, step, attempt } = name;
  return {
    key: attemptKey(name),
    run: { uid: run.uid, namespace: run.namespace, name: run.name },
    step,
    attempt,
    name: jobName(name),
    ...(timeout !== undefined && { timeoutMs: timeout }),
    work: work.kind === 'container' ? { container: work.container } : { agent: agentWork(name, work, stepToken) },
  };
}

function agentWork({ run, step, attempt }: AttemptName, work: Extract<Work, { kind: 'agent' }>, stepToken: string) {
  const { agent, prompt, input, gpu } = work;
  return {
    name: agent,
    ...(gpu && { gpu }),
    payload: {
      run: run.uid,
      step,
      attempt,
      ...(prompt !== undefined && { prompt }),
      ...(input !== undefined && { input }),
    },
    stepToken,
  };
}
