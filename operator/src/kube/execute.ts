// Carries out a Plan: finalizers, creates and applies, deletes, one status write, then events. What already is as it
// should be costs no request. The first error ends it; the next reconciliation goes on from there.
import { hashOf, isApplied, isEqual, withAppliedHash } from './apply.ts';
import type { CallOptions, KubeClient } from './client.ts';
import type { KindRef } from './discovery.ts';
import { KubeError, isAlreadyExists, isConflict, isKindNotServed, isNotFound, kubeReasons } from './errors.ts';
import type { EventRecorder } from './events.ts';
import { nextFinalizers } from './finalizers.ts';
import type { KubeObject, ObjectRef, Plan } from './plan.ts';
import { WriteMemory } from './write-memory.ts';

export interface ExecutorOptions {
  /** Gated by the lease. */
  client: KubeClient;
  recorder: EventRecorder;
  /** The object as cached; undefined when no cache has it, and then it is always written. */
  cached: (kind: KindRef, namespace: string | undefined, name: string) => KubeObject | undefined;
  /** Prefix of our finalizers and annotations, such as kadre.dev. */
  domain: string;
  /** Field manager of children; that of statuses is `<manager>-status`. */
  manager: string;
}

/** The object that a plan is about, as it was read from a cache. */
interface Owner {
  apiVersion: string;
  kind: string;
  metadata: KubeObject['metadata'];
  status?: unknown;
}

export interface Executor {
  /**
   * Does what `plan` says about `owner`.
   * Resolves to the plan's requeueAfter (ms). Rejects with the KubeError of the first request that failed.
   */
  execute(owner: Owner, plan: Plan, options?: { signal?: AbortSignal }): Promise<number | undefined>;
}

export function createExecutor(options: ExecutorOptions): Executor {
  const work: Work = { ...options, applied: new WriteMemory(), statuses: new WriteMemory() };
  return { execute: (owner, plan, { signal } = {}) => execute(work, owner, plan, { signal }) };
}

interface Work extends ExecutorOptions {
  applied: WriteMemory;
  statuses: WriteMemory;
}

async function execute(work: Work, owner: Owner, plan: Plan, call: CallOptions): Promise<number | undefined> {
  if (plan.finalizers) await writeFinalizers(work, owner, plan.finalizers, call);
  for (const object of plan.create ?? []) await createOnce(work, object, call);
  await applyAll(work, plan.apply ?? [], call);
  for (const ref of plan.delete ?? []) await remove(work, ref, call);
  if (plan.status) await writeStatus(work, owner, plan.status, call);
  for (const event of plan.events ?? []) work.recorder.record(owner, event);
  return plan.requeueAfter;
}

async function writeFinalizers(work: Work, owner: Owner, desired: string[], call: CallOptions): Promise<void> {
  const finalizers = nextFinalizers(owner.metadata.finalizers, desired, work.domain);
  if (!finalizers) return;
  // The list is replaced as a whole, so it must be the one that was read: others' finalizers could get lost.
  const { uid, resourceVersion } = owner.metadata;
  try {
    await work.client.patch(refOf(owner), { metadata: { uid, resourceVersion, finalizers } }, call);
  } catch (error) {
    if (!(isGone(error) && owner.metadata.deletionTimestamp !== undefined)) throw error;
  }
}

async function createOnce(work: Work, object: KubeObject, call: CallOptions): Promise<void> {
  const cached = cachedOf(work, object);
  if (cached && isOurs(object, cached)) return;
  try {
    await work.client.create(object, call);
  } catch (error) {
    if (!isAlreadyExists(error)) throw error;
    // The cache may lag behind what we did ourselves a moment ago.
    const live = await work.client.get(refOf(object), call);
    if (live && !isOurs(object, live)) throw foreign(object);
  }
}

/**
 * Side by side, as none depends on another; but what starts pods comes last, when their ServiceAccount and
 * NetworkPolicy are there. All are tried, so that one that is refused does not hold up its siblings.
 */
async function applyAll(work: Work, objects: KubeObject[], call: CallOptions): Promise<void> {
  for (const wave of [objects.filter((each) => !startsPods(each)), objects.filter(startsPods)]) {
    const results = await Promise.allSettled(wave.map((object) => apply(work, object, call)));
    const failed = results.find((result) => result.status === 'rejected');
    if (failed) throw failed.reason;
  }
}

const startsPods = ({ apiVersion }: KubeObject) => apiVersion.startsWith('apps/') || apiVersion.startsWith('batch/');

async function apply(work: Work, object: KubeObject, call: CallOptions): Promise<void> {
  const desired = withAppliedHash(object, `${work.domain}/applied`);
  const cached = cachedOf(work, desired);
  if (cached && !isOurs(desired, cached)) throw foreign(desired);
  // What is on its way out cannot be mended; its end is an event, and then it is made anew.
  if (cached?.metadata.deletionTimestamp !== undefined) return;
  if (cached && isApplied(desired, cached)) return;
  const hash = hashOf(desired);
  if (cached && work.applied.covers(cached, hash)) return;
  const live = await work.client.apply(desired, { ...call, fieldManager: work.manager });
  work.applied.remember(live, hash);
}

async function remove(work: Work, ref: ObjectRef, call: CallOptions): Promise<void> {
  const cached = cachedOf(work, { ...ref, metadata: ref });
  const sameObject = cached && (ref.uid === undefined || cached.metadata.uid === ref.uid);
  if (sameObject && cached.metadata.deletionTimestamp !== undefined) return;
  try {
    await work.client.delete(ref, call);
  } catch (error) {
    // A conflict says that the object of that name has another UID: ours is gone.
    if (!isGone(error) && !(ref.uid !== undefined && isConflict(error))) throw error;
  }
}

async function writeStatus(work: Work, owner: Owner, desired: object, call: CallOptions): Promise<void> {
  // What is sent and kept is JSON: a field that is undefined is no field.
  const status = JSON.parse(JSON.stringify(desired)) as Record<string, unknown>;
  const cached: Owner = cachedOf(work, owner) ?? owner;
  if (cached.metadata.uid !== owner.metadata.uid) return;
  if (isEqual(status, cached.status)) return;
  const hash = hashOf(status);
  if (work.statuses.covers(cached, hash)) return;
  const { apiVersion, kind, metadata } = owner;
  // With the UID a namesake is never written to. Apply takes away what this manager set before and no longer sets.
  const body = { apiVersion, kind, metadata: pick(metadata, ['name', 'namespace', 'uid']), status };
  try {
    const live = await work.client.apply(body, {
      ...call,
      subresource: 'status',
      fieldManager: `${work.manager}-status`,
    });
    work.statuses.remember(live, hash);
  } catch (error) {
    // The object went away while we looked at it.
    if (!isGone(error)) throw error;
  }
}

const isGone = (error: unknown) => isNotFound(error) && !isKindNotServed(error);

const cachedOf = (work: Work, object: KindRef & { metadata: { namespace?: string; name: string } }) =>
  work.cached(object, object.metadata.namespace, object.metadata.name);

const refOf = ({ apiVersion, kind, metadata }: Owner): ObjectRef => ({
  apiVersion,
  kind,
  name: metadata.name,
  ...(metadata.namespace === undefined ? {} : { namespace: metadata.namespace }),
  ...(metadata.uid === undefined ? {} : { uid: metadata.uid }),
});

const controllerUid = (object: KubeObject) =>
  object.metadata.ownerReferences?.find((owner) => owner.controller === true)?.uid;

/** Whether `live` is the object that `desired` describes, and not a namesake of another owner. */
const isOurs = (desired: KubeObject, live: KubeObject) => controllerUid(desired) === controllerUid(live);

function foreign(object: KubeObject): KubeError {
  const { kind, metadata } = object;
  const message = `${kind} ${metadata.name} already exists and belongs to somebody else: rename or delete it`;
  return new KubeError(message, { code: 409, reason: kubeReasons.foreignObject });
}

const pick = <T extends object, Name extends keyof T>(object: T, names: readonly Name[]) =>
  Object.fromEntries(names.filter((name) => object[name] !== undefined).map((name) => [name, object[name]])) as Pick<
    T,
    Name
  >;
