// Makes the Runs that are asked for by those who hold no rights in Kubernetes.
import { API_VERSION, type Failure, type Run } from '@kadre/crds';
import type { RunRequestRecord } from '@kadre/store';
import { by } from '../caches.ts';
import { joinKey, KubeError, watching, type KubeObject } from '../kube/index.ts';
import { polling } from '../polling.ts';
import { decideRunRequest, type RunRequestAct, type RunRequestSnapshot } from './decide.ts';
import type { Context } from '../context.ts';

/** Hints of the store may be lost. */
const POLL_MS = 15_000;
const LONGEST_MESSAGE = 1024;
/** Asked again, the API server would say the same. */
const FINAL_CODES = [400, 403, 422];

export function registerRunRequestController(context: Context): void {
  const { manager, caches, store, clock } = context;
  /** Open requests, as far as this process knows: by `namespace/name` of the Run, the key in the store. */
  const asked = new Map<string, string>();
  const learn = (record: RunRequestRecord): string => {
    const key = joinKey(record.namespace, record.name);
    asked.set(key, record.key);
    return key;
  };
  manager.controller({
    name: 'run-request',
    for: caches.runs,
    concurrency: 8,
    watches: [
      {
        subscribe: (enqueue) =>
          store.subscribe('run-requests', (key) => hear(context, key, (one) => enqueue(learn(one)))),
      },
      // What a Run has asked for ends with it.
      watching(caches.runs, (run) => childrenOf(context, run)),
      polling({
        ...context,
        periodMs: POLL_MS,
        look: async (enqueue) => (await store.openRunRequests()).forEach((record) => enqueue(learn(record))),
      }),
    ],
    reconcile: async (key, { signal }) => {
      const known = asked.get(key);
      const record = known === undefined ? undefined : await store.runRequest(known);
      const isOpen = record?.state === 'requested' || record?.state === 'made';
      if (!isOpen || !caches.watches(record.namespace)) {
        asked.delete(key);
        return undefined;
      }
      return carryOut(context, record, decideRunRequest(await observe(context, record), clock.now()), signal);
    },
  });
}

function hear({ store, log }: Context, key: string, act: (record: RunRequestRecord) => void): void {
  if (key === '') return;
  store.runRequest(key).then(
    (record) => record && act(record),
    (error: unknown) => log.warn({ request: key, err: error }, 'The store could not be read; trying again soon'),
  );
}

function childrenOf({ caches }: Context, { metadata }: Readonly<Run>): string[] {
  return caches.runs
    .byIndex(by.run, metadata.uid)
    .filter((child) => child.metadata.namespace === metadata.namespace)
    .map((child) => joinKey(child.metadata.namespace, child.metadata.name));
}

/** A cache may lag behind, so whatever it does not show is asked for at the API server. */
async function observe({ caches, store, manager }: Context, record: RunRequestRecord): Promise<RunRequestSnapshot> {
  const { namespace, name, uid, parent: asking } = record;
  const liveRun = async (named: string) =>
    caches.runs.get(namespace, named) ??
    ((await manager.client.get({ apiVersion: API_VERSION, kind: 'Run', namespace, name: named })) as unknown as
      Run | undefined);
  const live = await liveRun(name);
  const parent = asking && (await liveRun(asking.name));
  const known = live ? undefined : await store.findRun(namespace, name);
  const told = uid !== undefined && isOver((await store.projection(uid))?.status.phase);
  return {
    record,
    ...(live && { live }),
    ...(known !== undefined && { known }),
    told,
    ...(parent && parent.metadata.uid === asking.run && { parent }),
  };
}

const isOver = (phase: string | undefined): boolean =>
  phase === 'Succeeded' || phase === 'Failed' || phase === 'Cancelled';

async function carryOut(
  { manager, store }: Context,
  { key }: RunRequestRecord,
  act: RunRequestAct,
  signal: AbortSignal,
): Promise<undefined> {
  switch (act.do) {
    case 'wait':
      return;
    case 'make': {
      const made = await make(manager.client, act.run, signal);
      if ('failure' in made) await store.endRunRequest(key, made.failure);
      else await store.runRequestMade(key, made.uid);
      return;
    }
    case 'remember':
      await store.runRequestMade(key, act.uid);
      return;
    case 'cancel':
      // What a Run is to do is for people to write. One that the engine does not know yet is looked at again when it does.
      await store.cancelRun(act.uid, act.message);
      return;
    case 'end':
      await store.endRunRequest(key, act.failure);
  }
}

/** Throws what may pass, so that it is tried again: then whatever has the name is looked at first. */
async function make(
  client: Context['manager']['client'],
  run: KubeObject,
  signal: AbortSignal,
): Promise<{ uid: string } | { failure: Failure }> {
  try {
    return { uid: (await client.create(run, { signal })).metadata.uid ?? '' };
  } catch (error) {
    if (!(error instanceof KubeError) || !FINAL_CODES.includes(error.code)) throw error;
    const message = `The Run cannot be made: ${error.message}`.slice(0, LONGEST_MESSAGE);
    return { failure: { reason: 'Refused', message } };
  }
}
