// Steps that run in a pod of their own: the engine asks for a Job in the store, and finds the outcome there.
import { createHash } from 'node:crypto';
import type { JobRequest } from '@kadre/store';
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

/** A DNS label of at most 63 characters that starts with what people look for and ends with what makes it unique. */
export function jobName(name: AttemptName): string {
  const hash = createHash('sha256').update(attemptKey(name)).digest('hex').slice(0, 10);
  const readable = `${name.run.name}-${name.step}`
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .slice(0, 52)
    .replace(/^[^a-z]+|-+$/g, '');
  return readable === '' ? `run-${hash}` : `${readable}-${hash}`;
}

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
