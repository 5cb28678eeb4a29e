// Keeps sandboxes ready: makes pods, offers them in the store when they can take a program, and deletes them after it. All
// that must outlive a crash is in the pods and in the store.
import { labels, type SandboxSpec, type Tool } from '@kadre/crds';
import { sandboxPoolKey, type SandboxPool } from '@kadre/store';
import { randomBytes } from 'node:crypto';
import { podTrouble, type PodTrouble } from '../build/pod-trouble.ts';
import { refOf } from '../build/wanted.ts';
import { isTrue, type Pod } from '../build/wire.ts';
import { by } from '../caches.ts';
import type { Context } from '../context.ts';
import { isConflict, isNotFound, splitKey, watching } from '../kube/index.ts';
import { isRefusal } from '../children.ts';
import { polling } from '../polling.ts';
import { decidePool, type PoolDecision } from './decide.ts';
import { desiredPod, desiredPolicy, imageOf, placeOf, type PoolIdentity } from './desired/pod.ts';
import { poolKeyOf, poolKeyOfPod, sandboxOf, warmOf } from './pools.ts';

const POLL_MS = 15_000;
/** How long the cache may take to show a pod that was just made. */
const SETTLE_MS = 5_000;
const AFTER_REFUSAL_MS = 15_000;

/** What Tools tell of the sandboxes that they want to have ready. */
export interface SandboxPools {
  look(tool: Tool): { ready: number; trouble?: PodTrouble } | undefined;
}

/** By `<namespace>/<pool>`. */
interface Memory {
  /** Names of pods that the cache may not show yet, and when they were made. */
  made: Map<string, Map<string, number>>;
  /** What the API server said when it would not have another pod. */
  refused: Map<string, PodTrouble>;
}

export function registerSandboxController(context: Context): SandboxPools {
  const { manager, caches, store } = context;
  const memory: Memory = { made: new Map(), refused: new Map() };
  manager.controller({
    name: 'sandbox',
    concurrency: 8,
    watches: [
      watching(caches.tools, (tool) => optional(poolKeyOf(tool))),
      watching(caches.pods, (pod) => optional(poolKeyOfPod(pod))),
      // A wall without pods is what a crash may leave.
      ...caches.children.map((cache) => watching(cache, (child) => optional(poolKeyOfPod(child)))),
      { subscribe: (enqueue) => store.subscribe('sandbox-claims', (key) => key !== '' && enqueue(key)) },
      polling({ ...context, periodMs: POLL_MS, look: (enqueue) => lookAround(context, enqueue) }),
    ],
    reconcile: (key) => reconcile(context, memory, key),
  });
  return {
    look: (tool) => {
      const key = poolKeyOf(tool);
      if (key === undefined || warmOf([tool]) === 0) return undefined;
      const pods = caches.pods.byIndex(by.sandboxPool, key);
      const trouble = memory.refused.get(key) ?? podTrouble(pods);
      return { ready: pods.filter(isReady).length, ...(trouble && { trouble }) };
    },
  };
}

const optional = (key: string | undefined): string[] => (key === undefined ? [] : [key]);

const isReady = ({ metadata, status }: Readonly<Pod>): boolean =>
  metadata.deletionTimestamp === undefined && isTrue(status?.conditions, 'Ready');

/** Claims end by themselves, and hints may be lost. */
async function lookAround({ caches, store }: Context, enqueue: (key: string) => void): Promise<void> {
  for (const { namespace, pool } of await store.sandboxPools()) enqueue(sandboxPoolKey(namespace, pool));
  for (const pod of caches.pods.list()) optional(poolKeyOfPod(pod)).forEach(enqueue);
}

interface Observed {
  /** Undefined: nobody who is left says what they should be like. */
  identity: PoolIdentity | undefined;
  pods: readonly Readonly<Pod>[];
  decision: PoolDecision;
}

async function reconcile(context: Context, memory: Memory, key: string): Promise<number | undefined> {
  const { store } = context;
  const { namespace = '', name: pool } = splitKey(key);
  // Of what is elsewhere the caches know nothing.
  if (!context.caches.watches(namespace)) return undefined;
  const observed = await observe(context, memory, { key, namespace, pool });
  const { offer, withdraw, remove, forget } = observed.decision;
  for (const pod of offer) await offerPod(context, pool, pod);
  for (const pod of withdraw) {
    if (await store.withdrawSandbox(pod.metadata.uid ?? '')) await deletePod(context, pod);
  }
  for (const pod of remove) await deletePod(context, pod);
  for (const id of forget) await store.forgetSandbox(id);
  return makePods(context, memory, key, observed);
}

async function observe(
  { caches, store, settings, clock }: Context,
  { made }: Memory,
  { key, namespace, pool }: { key: string; namespace: string; pool: string },
): Promise<Observed> {
  const known = await store.sandboxPool(namespace, pool);
  // Read after the store, so that it knows of nothing that these do not.
  const pods = caches.pods.byIndex(by.sandboxPool, key);
  const tools = caches.tools.byIndex(by.sandboxPool, key).filter(isStaying);
  const spec = specOf(tools, known);
  const image = spec && imageOf(spec, settings);
  const unseen = stillUnseen(made, key, pods, clock.now());
  const counts = { waiting: known.waiting.length, warm: warmOf(tools), unseen };
  return {
    identity: spec && { namespace, pool, spec },
    pods,
    decision: decidePool({ pods, offered: known.offered, image, ...counts }, clock.now()),
  };
}

const isStaying = ({ metadata }: Readonly<Tool>): boolean => metadata.deletionTimestamp === undefined;

function specOf([tool]: readonly Readonly<Tool>[], { waiting: [claim] }: SandboxPool): SandboxSpec | undefined {
  return (tool && sandboxOf(tool)) ?? claim?.spec;
}

function stillUnseen(made: Memory['made'], key: string, pods: readonly Readonly<Pod>[], now: number): number {
  const names = made.get(key) ?? new Map<string, number>();
  const seen = new Set(pods.map(({ metadata }) => metadata.name));
  for (const [name, at] of names) if (seen.has(name) || now - at > SETTLE_MS) names.delete(name);
  if (names.size === 0) made.delete(key);
  return names.size;
}

async function offerPod({ store }: Context, pool: string, pod: Readonly<Pod>): Promise<void> {
  const place = placeOf(pod);
  const { uid = '', namespace = '' } = pod.metadata;
  if (place) await store.offerSandbox({ id: uid, namespace, pool, ...place });
}

async function deletePod({ manager }: Context, pod: Readonly<Pod>): Promise<void> {
  if (pod.metadata.deletionTimestamp !== undefined) return;
  try {
    await manager.client.delete(refOf(pod));
  } catch (error) {
    // A conflict: the pod of that name has another UID, and ours is gone.
    if (!isConflict(error) && !isNotFound(error)) throw error;
  }
}

async function makePods(
  context: Context,
  memory: Memory,
  key: string,
  { identity, pods, decision: { create } }: Observed,
): Promise<number | undefined> {
  const { namespace = '', name: pool } = splitKey(key);
  if (create === 0 || !identity) {
    if (pods.length === 0 && create === 0 && !memory.made.has(key)) await takeDownWall(context, namespace, pool);
    memory.refused.delete(key);
    return undefined;
  }
  try {
    await putUpWall(context, identity);
    for (let one = 0; one < create; one++) await makePod(context, memory, key, identity);
    memory.refused.delete(key);
    return undefined;
  } catch (error) {
    if (!isRefusal(error)) throw error;
    memory.refused.set(key, {
      reason: 'SandboxRejected',
      message: `The API server refuses pods of sandboxes: ${error.message}`,
    });
    return AFTER_REFUSAL_MS;
  }
}

async function makePod(
  { manager, settings, clock }: Context,
  { made }: Memory,
  key: string,
  identity: PoolIdentity,
): Promise<void> {
  const one = { suffix: randomBytes(5).toString('hex'), key: randomBytes(32).toString('base64url') };
  const pod = desiredPod(identity, settings, one);
  await manager.client.create(pod);
  const names = made.get(key) ?? new Map<string, number>();
  made.set(key, names.set(pod.metadata.name, clock.now()));
}

/** Before the first pod, so that none is without. */
async function putUpWall({ manager, settings }: Context, identity: PoolIdentity): Promise<void> {
  const policy = desiredPolicy(identity, settings);
  await manager.executor.execute(policy, { apply: [policy] });
}

async function takeDownWall({ manager, caches, settings }: Context, namespace: string, pool: string): Promise<void> {
  const policy = desiredPolicy({ namespace, pool }, settings);
  const cached = caches.children.find(({ kind }) => kind.kind === policy.kind)?.get(namespace, policy.metadata.name);
  const isOurs = cached?.metadata.labels?.[labels.sandboxPool] === pool;
  if (cached && isOurs) await manager.executor.execute(policy, { delete: [refOf(cached)] });
}
