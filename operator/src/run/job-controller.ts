// Makes the Jobs that the engine asks for, each once, and tells it how they end.
import { annotations } from '@kadre/crds';
import type { JobRecord } from '@kadre/store';
import { by } from '../caches.ts';
import {
  isAlreadyExists,
  isConflict,
  isNotFound,
  joinKey,
  KubeError,
  splitKey,
  WaitError,
  watching,
} from '../kube/index.ts';
import { polling } from '../polling.ts';
import { decideJob, gpuOf, type JobDecision, type JobSnapshot } from './job-decision.ts';
import { failure, finishedPod } from './job-outcome.ts';
import { isTrue, type Job, type Pod } from '../build/wire.ts';
import type { Context } from '../context.ts';
import type { KubeObject } from '../kube/plan.ts';

const POLL_MS = 15_000;
/** How long the cache may take to show a Job that was just made, before the API server is asked for it. */
const SETTLE_MS = 5_000;

/** Jobs that are not finished, as far as this process knows: by `namespace/name`, the key in the store. */
type OpenJobs = Map<string, { key: string; createdAt?: number }>;

export function registerJobController(context: Context): void {
  const { manager, caches, store } = context;
  const open: OpenJobs = new Map();
  const learn = (record: JobRecord): string => {
    const key = keyFor(record);
    open.set(key, { ...open.get(key), key: record.key });
    return key;
  };
  manager.controller({
    name: 'job',
    for: caches.jobs,
    concurrency: 16,
    watches: [
      watching(caches.pods, jobsOfPod),
      {
        subscribe: (enqueue) =>
          store.subscribe('jobs', (key) => hear(context, key, (record) => enqueue(learn(record)))),
      },
      polling({
        ...context,
        periodMs: POLL_MS,
        look: async (enqueue) => {
          for (const record of await store.openJobs()) enqueue(learn(record));
        },
      }),
    ],
    reconcile: (key) => reconcile(context, open, key),
  });
}

const keyFor = ({ run, name }: JobRecord): string => joinKey(run.namespace, name);

function hear({ store, log }: Context, key: string, act: (record: JobRecord) => void): void {
  store.job(key).then(
    (record) => record && act(record),
    (error: unknown) => log.warn({ job: key, err: error }, 'The store could not be read; trying again soon'),
  );
}

function jobsOfPod({ metadata }: Readonly<Pod>): string[] {
  const owners = metadata.ownerReferences ?? [];
  return owners.filter(({ kind }) => kind === 'Job').map(({ name }) => joinKey(metadata.namespace, name));
}

async function reconcile(context: Context, open: OpenJobs, key: string): Promise<number | undefined> {
  const { caches, store, clock } = context;
  const { namespace, name } = splitKey(key);
  const cached = caches.jobs.get(namespace, name);
  const storeKey = open.get(key)?.key ?? cached?.metadata.annotations?.[annotations.job];
  const record = storeKey === undefined ? undefined : await store.job(storeKey);
  // The annotation of a Job is anybody's word: only the Job of that very namespace and name is meant.
  if (!record || record.state === 'finished' || keyFor(record) !== key) {
    open.delete(key);
    return undefined;
  }
  if (cached) open.set(key, { key: record.key });
  const createdAt = open.get(key)?.createdAt;
  if (!record.abandoned && createdAt !== undefined && clock.now() - createdAt < SETTLE_MS) return SETTLE_MS;

  const job = cached ?? (await lookUp(context, record));
  const decision = decideJob(await observeJob(context, record, job), new Date(clock.now()));
  if (decision.do === 'create') return create(context, open, record, decision.job);
  return carryOut(context, record, decision);
}

/** Whether a Job is really gone, only the API server knows. That one is not there before it was made needs no asking. */
async function lookUp({ manager }: Context, record: JobRecord): Promise<Job | undefined> {
  if (record.state === 'requested' && !record.abandoned) return undefined;
  return await manager.client.get(refTo(record));
}

function refTo({ run, name }: JobRecord) {
  return { apiVersion: 'batch/v1', kind: 'Job', namespace: run.namespace, name };
}

async function observeJob(context: Context, record: JobRecord, job: Readonly<Job> | undefined): Promise<JobSnapshot> {
  const { caches, settings } = context;
  const { uid, namespace } = record.run;
  const run = caches.runs.byIndex(by.uid, uid)[0];
  const agent = 'agent' in record.work ? caches.agents.get(namespace, record.work.agent.name) : undefined;
  const gpu = gpuOf({ record, ...(agent && { agent }) });
  const pool = gpu && caches.pools.get(undefined, gpu.pool);
  return {
    record,
    settings,
    ...(run && { run }),
    ...(job && { job }),
    ...(agent && { agent }),
    ...(pool && { pool }),
    pods: job ? await podsOf(context, job) : [],
  };
}

/** From the cache, unless the Job says that it is over and the cache does not know yet how. */
async function podsOf({ caches, manager }: Context, job: Readonly<Job>): Promise<Pod[]> {
  const { uid = '', namespace } = job.metadata;
  // Owner references can point anywhere; those across namespaces mean nothing.
  const cached = caches.pods.byIndex(by.owner, uid).filter((pod) => pod.metadata.namespace === namespace);
  const over = isTrue(job.status?.conditions, 'Complete') || isTrue(job.status?.conditions, 'Failed');
  if (!over || finishedPod(job, cached)) return cached;
  const labelSelector = `batch.kubernetes.io/controller-uid=${uid}`;
  const live = await manager.client.list(
    { apiVersion: 'v1', kind: 'Pod' },
    { labelSelector, ...(namespace !== undefined && { namespace }) },
  );
  return live.items;
}

async function create(
  context: Context,
  open: OpenJobs,
  record: JobRecord,
  desired: KubeObject,
): Promise<number | undefined> {
  const { manager, store, clock } = context;
  try {
    const job = await manager.client.create(desired);
    await store.jobCreated(record.key, job.metadata.uid ?? '');
    open.set(keyFor(record), { key: record.key, createdAt: clock.now() });
    return SETTLE_MS;
  } catch (error) {
    if (isAlreadyExists(error)) return meetNamesake(context, record);
    if (!isRefusal(error)) throw error;
    await store.finishJob(record.key, failure('JobRejected', `The API server refuses the Job: ${error.message}`));
    return undefined;
  }
}

/** Made before a crash, or by a stranger. */
async function meetNamesake(context: Context, record: JobRecord): Promise<number | undefined> {
  const job = (await context.manager.client.get(refTo(record))) as Job | undefined;
  if (!job) throw new WaitError(`Job ${record.name} came and went`, 1000);
  return carryOut(context, record, decideJob(await observeJob(context, record, job), new Date(context.clock.now())));
}

function isRefusal(error: unknown): error is KubeError {
  return error instanceof KubeError && [400, 403, 413, 422].includes(error.code);
}

async function carryOut(
  { store, manager }: Context,
  record: JobRecord,
  decision: JobDecision,
): Promise<number | undefined> {
  switch (decision.do) {
    case 'wait':
      return decision.requeueAfter;
    case 'adopt':
      await store.jobCreated(record.key, decision.uid);
      return undefined;
    case 'finish':
      if (decision.remove) await remove(manager.client, decision.remove);
      await store.finishJob(record.key, decision.outcome);
      return undefined;
    case 'create':
      throw new Error(`Job ${record.name} exists and shall be created`);
  }
}

async function remove(client: Context['manager']['client'], ref: Parameters<typeof client.delete>[0]): Promise<void> {
  try {
    await client.delete(ref, { propagationPolicy: 'Background' });
  } catch (error) {
    // A conflict: the object of that name has another UID, and ours is gone.
    if (!isConflict(error) && !isNotFound(error)) throw error;
  }
}
