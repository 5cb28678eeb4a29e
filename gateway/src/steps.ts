// How a step that runs in a Job of its own learns what to do, and reports what came of it. It shows two tokens: the
// projected one says which pod it is, the step token says which step it was made for, and the two must belong together.
import { STEP_PATH, STEP_RESULT_PATH, stepOutcome, type StepOutcome, type StepPayload } from '@kadre/crds';
import type { JobRecord, StepClaims, Store } from '@kadre/store';
import { attemptTraceparent, type Spans } from '@kadre/telemetry';
import type { FastifyInstance } from 'fastify';
import type { Caller } from './access/caller.ts';
import { forbidden, GatewayError, invalidRequest, unauthorized } from './errors.ts';

type StepStore = Pick<Store, 'job' | 'finishJob'>;
type AgentJob = JobRecord & { work: { agent: { payload: StepPayload } } };

/** `spans`: where the step's own go; absent if traces are not kept. */
export function registerSteps(app: FastifyInstance, store: StepStore, spans?: Spans): void {
  app.get(STEP_PATH, async (http): Promise<StepPayload> => {
    const job = await jobOf(store, http.record.caller as Caller);
    if (job.state === 'finished' || job.abandoned) {
      throw new GatewayError(410, 'Cancelled', 'The step is over: there is nothing left to do.');
    }
    const { payload } = job.work.agent;
    const { run, step, attempt } = payload;
    return { ...payload, ...(spans && { traceparent: attemptTraceparent(spans, run, step, attempt) }) };
  });

  app.post(STEP_RESULT_PATH, async (http): Promise<{ recorded: boolean }> => {
    const job = await jobOf(store, http.record.caller as Caller);
    return { recorded: await store.finishJob(job.key, parseOutcome(http.body)) };
  });
}

/** The job that the caller's pod was made for. Throws a 401 without a step token, a 403 if the pod is another one. */
async function jobOf(store: StepStore, caller: Caller): Promise<AgentJob> {
  const { step, pod } = caller;
  if (!step) throw unauthorized('This needs a step token in the header `kadre-step`.');
  if (step.job === undefined) throw forbidden('The step token is for a step that has no Job.');
  if (pod === undefined || !isPodOf(step.job, pod)) throw forbidden('The step token belongs to another pod.');
  const job = await store.job(keyOf(step));
  if (!job || job.name !== step.job || job.run.namespace !== caller.namespace || !isAgentJob(job)) {
    throw new GatewayError(404, 'JobLost', 'This step is not known.');
  }
  return job;
}

const keyOf = ({ run, step, attempt }: StepClaims): string => `${run}/${step}/${attempt}`;

const isAgentJob = (job: JobRecord): job is AgentJob => 'agent' in job.work;

/** Kubernetes names pods of a Job `<job>-<random>`, and cuts what stands before the random part at 58 characters. */
export function isPodOf(job: string, pod: string): boolean {
  const prefix = `${job}-`.slice(0, 58);
  return pod.startsWith(prefix) && /^[a-z0-9]+$/.test(pod.slice(prefix.length));
}

function parseOutcome(body: unknown): StepOutcome {
  const parsed = stepOutcome.safeParse(body);
  if (parsed.success) return parsed.data;
  throw invalidRequest('The body must be {"output": …} or {"failure": {"reason": …, "message": …}}.');
}
