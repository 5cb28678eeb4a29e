// What to do about the sandboxes of one pool: as many as are wanted shall be ready, and each is for one program.
import type { OfferedSandbox } from '@kadre/store';
import { isTrue, type Pod } from '../build/wire.ts';
import { LONGEST_WAIT_SECONDS, placeOf } from './desired/pod.ts';

export interface PoolSnapshot {
  /** All with the label of the pool, as the cache has them. */
  pods: readonly Readonly<Pod>[];
  /** What the store knows of them. */
  offered: readonly OfferedSandbox[];
  /** Claims that have found nothing yet. */
  waiting: number;
  /** How many shall be ready for those who come. */
  warm: number;
  /** What new pods run; undefined: there shall be none. */
  image: string | undefined;
  /** Pods that were made a moment ago and that the cache does not show yet. */
  unseen: number;
}

export interface PoolDecision {
  /** Ready, and not known to anybody yet. */
  offer: Readonly<Pod>[];
  /** Deleted if nobody has claimed them by then. */
  withdraw: Readonly<Pod>[];
  /** Deleted, whoever has them. */
  remove: Readonly<Pod>[];
  /** UIDs of pods that are gone. */
  forget: string[];
  create: number;
}

/** How long a pod that ended before it was ready keeps its place, so that one that always fails is not made in a loop. */
const FAILED_STAYS_MS = 30_000;
/** So many at most for claims that wait: the namespace may be small. */
const MOST_FOR_CLAIMS = 20;

/** leaving: nothing is to be done any more. */
type Fate = 'offer' | 'free' | 'taken' | 'starting' | 'failed' | 'withdraw' | 'remove' | 'leaving';

export function decidePool(snapshot: PoolSnapshot, now: number): PoolDecision {
  const { pods, offered, warm, waiting, image, unseen } = snapshot;
  const states = new Map(offered.map(({ id, state }) => [id, state]));
  const fates = new Map<Readonly<Pod>, Fate>(
    pods.map((pod) => [pod, fateOf(pod, states.get(pod.metadata.uid ?? ''), image, now)]),
  );
  const of = (fate: Fate): Readonly<Pod>[] => pods.filter((pod) => fates.get(pod) === fate).sort(byAge);
  const [offer, free, starting, failed] = [of('offer'), of('free'), of('starting'), of('failed')];
  const wanted = image === undefined ? 0 : warm + Math.min(waiting, MOST_FOR_CLAIMS);
  const missing = wanted - offer.length - free.length - starting.length - failed.length - unseen;
  // Those that are furthest from being ready go first.
  const surplus = [...free, ...offer, ...starting].reverse().slice(0, Math.max(0, -missing));
  const isSurplus = (pod: Readonly<Pod>): boolean => surplus.includes(pod);
  const present = new Set(pods.map(({ metadata }) => metadata.uid));
  return {
    offer: offer.filter((pod) => !isSurplus(pod)),
    withdraw: [...of('withdraw'), ...free.filter(isSurplus)],
    remove: [...of('remove'), ...surplus.filter((pod) => !free.includes(pod))],
    forget: offered.filter(({ id }) => !present.has(id)).map(({ id }) => id),
    create: Math.max(0, missing),
  };
}

function fateOf(
  pod: Readonly<Pod>,
  state: OfferedSandbox['state'] | undefined,
  image: string | undefined,
  now: number,
): Fate {
  const { metadata, spec, status } = pod;
  const over = status?.phase === 'Succeeded' || status?.phase === 'Failed';
  const leaving = metadata.deletionTimestamp !== undefined;
  const age = now - Date.parse(metadata.creationTimestamp ?? new Date(now).toISOString());
  const stale = spec?.containers?.[0]?.image !== image || age > LONGEST_WAIT_SECONDS * 1000;
  const ready = isTrue(status?.conditions, 'Ready') && placeOf(pod) !== undefined;
  if (state === 'free') return leaving || over || stale || !ready ? 'withdraw' : 'free';
  if (leaving) return 'leaving';
  // Whoever has it gives it back when the program is over; else the claim ends by itself.
  if (state === 'taken') return 'taken';
  if (state === 'spent' || stale) return 'remove';
  if (over) return age > FAILED_STAYS_MS ? 'remove' : 'failed';
  return ready ? 'offer' : 'starting';
}

const byAge = (a: Readonly<Pod>, b: Readonly<Pod>): number =>
  Date.parse(a.metadata.creationTimestamp ?? '') - Date.parse(b.metadata.creationTimestamp ?? '') ||
  (a.metadata.name < b.metadata.name ? -1 : 1);
