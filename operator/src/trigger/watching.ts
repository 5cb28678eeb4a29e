// The watches of Triggers while this process leads: which caches they need, what they have seen, and how far that is
// written down. Nothing here is needed after a restart; the status and the names of Runs are.
import type { Trigger, TriggerStatus } from '@kadre/crds';
import type { TriggerPlan } from '@kadre/engine';
import type { Change } from '../kube/cache.ts';
import type { KubeObject } from '../kube/plan.ts';
import { keyOf, type Clock, type KubeClient, type Log } from '../kube/index.ts';
import { accessTo, type Access } from './access.ts';
import { firstLook, follow, lookAgain, readProgress, writtenProgress, type Batch, type Progress } from './changes.ts';
import { createInformers, type Informers, type Lease } from './informers.ts';

/** Rights may be given and taken; nobody tells. */
const FORBIDDEN_FOR_MS = 20_000;
const GRANTED_FOR_MS = 300_000;
/** Progress that starts nothing is written down this often, so that a busy kind does not make a busy Trigger. */
const WRITE_MS = 30_000;
/** Changes that wait; beyond that the objects are looked at as they are, as after a restart. */
const MAX_PENDING = 10_000;

interface Watch {
  uid: string;
  generation: number;
  lease: Lease;
  unsubscribe: () => void;
  /** Changes since the objects were looked at. */
  pending: Change<Readonly<KubeObject>>[];
  isFollowing: boolean;
  /** Absent: no look at the objects has come to its end. */
  progress?: Progress;
  /** As the status has it. */
  written?: { value: NonNullable<TriggerStatus['watched']>; at: number };
}

/** What a turn has found. Call `commit` once all of it is done and written. */
export interface Turn {
  noAccess?: { reason: string; message: string };
  fires: Batch['fires'];
  watched?: NonNullable<TriggerStatus['watched']>;
  /** Look again after so many milliseconds, whatever happens. */
  again?: number;
  commit: () => void;
}

export interface Watches {
  turn(trigger: Trigger, plan: TriggerPlan): Promise<Turn>;
  /** Gives back what the Trigger of that key has. */
  drop(key: string): void;
  start(enqueue: (key: string) => void): () => void;
  readonly informers: Pick<Informers, 'size'>;
}

export function createWatches(options: { client: KubeClient; clock: Clock; log: Log }): Watches {
  const { client, clock } = options;
  const informers = createInformers(options);
  const watches = new Map<string, Watch>();
  const rights = new Map<string, { generation: number; access: Access; until: number }>();
  let enqueue: (key: string) => void = () => undefined;

  const accessOf = async (key: string, { metadata, spec }: Trigger): Promise<Access> => {
    const { generation, namespace = '' } = metadata;
    const known = rights.get(key);
    if (known?.generation === generation && clock.now() < known.until) return known.access;
    if (!spec.watch) throw new Error(`Trigger ${key} watches nothing`);
    const access = await accessTo(client, namespace, spec.watch);
    const until = clock.now() + (access === 'granted' ? GRANTED_FOR_MS : FORBIDDEN_FOR_MS);
    rights.set(key, { generation, access, until });
    return access;
  };

  const close = (key: string): void => {
    const watch = watches.get(key);
    watches.delete(key);
    watch?.unsubscribe();
    watch?.lease.release();
  };

  const drop = (key: string): void => {
    rights.delete(key);
    close(key);
  };

  const open = (key: string, trigger: Trigger): Watch => {
    const { uid, generation, namespace = '' } = trigger.metadata;
    const known = watches.get(key);
    if (known?.uid === uid && known.generation === generation) return known;
    if (known) close(key);
    const { apiVersion = '', kind = '' } = trigger.spec.watch ?? {};
    const lease = informers.lease({ apiVersion, kind }, namespace);
    const watch: Watch = { uid, generation, lease, pending: [], isFollowing: false, unsubscribe: () => undefined };
    watch.unsubscribe = lease.cache.onChange((change) => {
      if (!watch.isFollowing) return;
      if (watch.pending.length < MAX_PENDING) watch.pending.push(change);
      else {
        watch.isFollowing = false;
        delete watch.progress;
      }
      enqueue(key);
    });
    void lease.cache.synced().then(() => enqueue(key));
    watches.set(key, watch);
    return watch;
  };

  return {
    informers,
    drop,
    start: (added) => {
      enqueue = added;
      return () => {
        for (const key of [...watches.keys()]) close(key);
        informers.stop();
      };
    },
    turn: async (trigger, plan) => {
      const key = keyOf(trigger);
      const nothing = { fires: [], commit: () => undefined };
      const kept = keptOf(trigger);
      const access = await accessOf(key, trigger);
      if (access !== 'granted') {
        close(key);
        return { ...nothing, ...kept, noAccess: access, again: FORBIDDEN_FOR_MS };
      }
      const watch = open(key, trigger);
      if (!watch.lease.cache.hasSynced) return { ...nothing, ...kept };
      return turnOf(watch, trigger, plan, clock.now());
    },
  };
}

/** While nothing can be seen, the status stays as it is. */
function keptOf({ metadata, status }: Trigger): Pick<Turn, 'watched'> {
  return status?.watched?.generation === metadata.generation ? { watched: status.watched } : {};
}

function turnOf(watch: Watch, trigger: Trigger, plan: TriggerPlan, now: number): Turn {
  const looked = watch.progress ? followed(watch, trigger, plan, now) : looking(watch, trigger, plan, now);
  const { fires, progress, taken } = looked;
  const value = writtenProgress(progress, trigger.metadata.generation);
  const { written } = watch;
  const isUrgent = !written || fires.length > 0 || value.known !== written.value.known;
  const hasMoved = value.resourceVersion !== written?.value.resourceVersion;
  const wait = isUrgent || !hasMoved ? 0 : written.at + WRITE_MS - now;
  const isWritten = isUrgent || (hasMoved && wait <= 0);
  const rest = watch.pending.length - taken;
  return {
    fires,
    watched: isWritten ? value : written.value,
    ...(rest > 0 ? { again: 1 } : wait > 0 ? { again: wait } : {}),
    commit: () => {
      // What came meanwhile was added at the end.
      watch.pending.splice(0, taken);
      watch.progress = progress;
      if (isWritten) watch.written = { value, at: now };
    },
  };
}

function subjectOf(trigger: Trigger, plan: TriggerPlan, now: number) {
  const { watch } = trigger.spec;
  if (!watch) throw new Error('only Triggers that watch get here');
  return { trigger, watch, plan, now };
}

function followed({ pending, progress, written }: Watch, trigger: Trigger, plan: TriggerPlan, now: number): Batch {
  if (!progress || !written) throw new Error('a watch is followed after a look');
  return follow(subjectOf(trigger, plan, now), pending, progress, written.value.resourceVersion);
}

/** The objects as they are. From here on their changes are kept, so that none is lost until this turn is committed. */
function looking(watch: Watch, trigger: Trigger, plan: TriggerPlan, now: number): Batch {
  watch.pending = [];
  watch.isFollowing = true;
  const subject = subjectOf(trigger, plan, now);
  const objects = watch.lease.cache.list() as KubeObject[];
  const known = watch.written?.value ?? keptOf(trigger).watched;
  if (known) return lookAgain(subject, objects, readProgress(known));
  // A Trigger whose spec was changed begins anew.
  const { generation, creationTimestamp } = trigger.metadata;
  const createdUpTo = generation > 1 ? now : Date.parse(creationTimestamp);
  return firstLook(subject, objects, createdUpTo);
}
