// Which changes of watched objects start something. Pure, and such that the same changes looked at twice (after a crash,
// a failed write or a relist) start the same under the same names, and what has been dealt with starts nothing again.
//
// What is remembered goes into the Trigger's status: up to which resourceVersion and time of creation all is dealt with,
// and which objects were known then. Each start is created before that is written.
import { createHash } from 'node:crypto';
import { labels, type Trigger, type TriggerStatus, type WatchedChange, type WatchTrigger } from '@kadre/crds';
import { passes, TriggerError, type Cause, type Happening, type TriggerPlan } from '@kadre/engine';
import { isNewer } from '../kube/resource-version.ts';
import type { Change } from '../kube/cache.ts';
import type { KubeObject } from '../kube/plan.ts';

export interface Progress {
  /** All changes up to this version have been dealt with. */
  resourceVersion: string;
  /** Objects created before have been dealt with. Milliseconds since 1970, by the clock of the API server. */
  createdUpTo: number;
  /**
   * Digests of the UIDs of the objects for which the filter is true; where nothing hangs on that, of the wanted ones among
   * those that were created last, which `createdUpTo` does not tell from those to come.
   */
  known: ReadonlySet<string>;
}

export interface Fire {
  cause: Cause;
  happening: Happening;
}

export interface Batch {
  fires: Fire[];
  progress: Progress;
  /** How many of the changes were looked at; the others must wait until the progress is written. */
  taken: number;
}

/** `old` is not known of what changed while nobody looked. */
interface Seen {
  type: WatchedChange;
  object: Readonly<KubeObject>;
  old?: Readonly<KubeObject> | undefined;
}

const seenTypes = { added: 'Added', updated: 'Modified', deleted: 'Deleted' } as const;

interface Subject {
  trigger: Trigger;
  watch: WatchTrigger;
  plan: TriggerPlan;
  /** Milliseconds since 1970. */
  now: number;
}

/** Their digests must fit into the status. */
const MAX_KNOWN = 2000;
const DIGEST = 8;
/** How late news of an object's creation may come. */
const SLACK_MS = 60_000;

/** Everything is new: only what was created since `createdUpTo` counts, as Added. */
export function firstLook(subject: Subject, objects: readonly KubeObject[], createdUpTo: number): Batch {
  return look(subject, objects, { resourceVersion: '0', createdUpTo, known: new Set() }, false);
}

/** What has changed while nobody looked, as far as it can still be seen: deletions cannot. */
export function lookAgain(subject: Subject, objects: readonly KubeObject[], before: Progress): Batch {
  return look(subject, objects, before, true);
}

function look(subject: Subject, objects: readonly KubeObject[], before: Progress, modified: boolean): Batch {
  const { watch } = subject;
  const fires: Fire[] = [];
  const known = new Set<string>();
  const createdUpTo = Math.max(before.createdUpTo, ...objects.map(createdAt));
  for (const object of inOrder(objects)) {
    const digest = digestOf(object);
    const isNew =
      createdAt(object) >= before.createdUpTo && !before.known.has(digest) && watch.changes.includes('Added');
    const change = { type: isNew ? 'Added' : 'Modified', object } as const;
    const isMatch = matches(subject, change);
    if (isMatch && (tracks(subject) || createdAt(object) >= createdUpTo)) known.add(digest);
    const version = object.metadata.resourceVersion ?? '';
    if (!isMatch || (before.resourceVersion !== '0' && !isNewer(version, before.resourceVersion))) continue;
    if (isNew) fires.push(fire(subject, change, uidOf(object)));
    else if (modified && watch.changes.includes('Modified') && !(tracks(subject) && before.known.has(digest)))
      fires.push(fire(subject, change, modifiedKey(subject, object, before.resourceVersion)));
  }
  const newest = newestVersion(objects, '0');
  return { fires, progress: { resourceVersion: newest, createdUpTo, known: capped(known) }, taken: 0 };
}

/** @param persisted the resourceVersion that the status holds */
export function follow(
  subject: Subject,
  changes: readonly Change<Readonly<KubeObject>>[],
  before: Progress,
  persisted: string,
): Batch {
  const { trigger, watch, now } = subject;
  const born = Date.parse(trigger.metadata.creationTimestamp);
  const fires: Fire[] = [];
  const matching = new Set(tracks(subject) ? before.known : []);
  const wanted: Readonly<KubeObject>[] = [];
  const turned = new Set<string>();
  let taken = 0;
  for (const { type, object, old } of changes) {
    const digest = digestOf(object);
    const change: Seen = { type: seenTypes[type], object, ...(type === 'updated' && { old }) };
    const isMatch = matches(subject, change);
    const wasMatch = matching.has(digest);
    const stays = isMatch && tracks(subject) && type !== 'deleted';
    // Its next turn gets a name of its own only once this one is written down.
    if (turned.has(digest) && stays !== wasMatch) break;
    taken += 1;
    const counts = type === 'updated' ? !wasMatch : type === 'deleted' || createdAt(object) >= born;
    if (isMatch && counts && watch.changes.includes(change.type)) {
      const key = type === 'updated' ? modifiedKey(subject, object, persisted) : uidOf(object);
      fires.push(fire(subject, change, key));
    }
    if (isMatch && type === 'added') wanted.push(object);
    if (stays !== wasMatch) turned.add(digest);
    if (stays) matching.add(digest);
    else matching.delete(digest);
  }
  const looked = changes.slice(0, taken).map(({ object }) => object);
  const createdUpTo = Math.max(before.createdUpTo, now - SLACK_MS, ...looked.map(createdAt));
  const latest = wanted.filter((object) => createdAt(object) >= createdUpTo).map(digestOf);
  const known = tracks(subject)
    ? matching
    : new Set([...(createdUpTo === before.createdUpTo ? before.known : []), ...latest]);
  const resourceVersion = newestVersion(looked, before.resourceVersion);
  return { fires, progress: { resourceVersion, createdUpTo, known: capped(known) }, taken };
}

/** As the status holds it. */
export function writtenProgress(
  { resourceVersion, createdUpTo, known }: Progress,
  generation: number,
): NonNullable<TriggerStatus['watched']> {
  return {
    generation,
    resourceVersion,
    createdUpTo: new Date(createdUpTo).toISOString(),
    ...(known.size > 0 && { known: [...known].sort().join('') }),
  };
}

export function readProgress(watched: NonNullable<TriggerStatus['watched']>): Progress {
  return {
    resourceVersion: watched.resourceVersion,
    createdUpTo: Date.parse(watched.createdUpTo),
    known: new Set(watched.known?.match(new RegExp(`.{${DIGEST}}`, 'g')) ?? []),
  };
}

/** With a filter over the object alone, the moment counts at which it becomes true; else each change by itself. */
function tracks({ plan }: Subject): boolean {
  return plan.filter !== undefined && !plan.judgesChanges;
}

/** A change that the filter cannot judge, for want of a field, is one that it does not want. */
function matches({ trigger, watch, plan }: Subject, change: Seen): boolean {
  const { labels: found = {} } = change.object.metadata;
  // A Trigger that watches Runs must not start one for its own.
  if (found[labels.triggerUid] === trigger.metadata.uid) return false;
  const wanted = Object.entries(watch.labelSelector?.matchLabels ?? {});
  if (!wanted.every(([name, value]) => found[name] === value)) return false;
  try {
    return passes(trigger, plan, happeningOf(change));
  } catch (error) {
    if (error instanceof TriggerError) return false;
    throw error;
  }
}

function modifiedKey(subject: Subject, object: Readonly<KubeObject>, persisted: string): string {
  // Which version of the object made the filter true is forgotten in a crash; since when it was not is written down.
  const version = tracks(subject) ? `since ${persisted}` : (object.metadata.resourceVersion ?? '');
  return `${uidOf(object)}/${version}`;
}

function fire({ now }: Subject, change: Seen, key: string): Fire {
  const { type, object } = change;
  const text = `${type} ${object.kind} ${object.metadata.name}`;
  return { cause: { key: `watch/${type}/${key}`, text, at: now }, happening: happeningOf(change) };
}

function happeningOf({ type, object, old }: Seen): Happening {
  return { object: jsonOf(object), oldObject: old ? jsonOf(old) : null, change: type };
}

const jsonOf = (object: Readonly<KubeObject>) => object as unknown as Happening[string];
const uidOf = ({ metadata }: Readonly<KubeObject>): string => metadata.uid ?? '';
const createdAt = ({ metadata }: Readonly<KubeObject>): number => Date.parse(metadata.creationTimestamp ?? '') || 0;

const digestOf = (object: Readonly<KubeObject>): string =>
  createHash('sha256').update(uidOf(object)).digest('base64url').slice(0, DIGEST);

const capped = (known: ReadonlySet<string>): ReadonlySet<string> =>
  known.size <= MAX_KNOWN ? known : new Set([...known].slice(-MAX_KNOWN));

const newestVersion = (objects: readonly Readonly<KubeObject>[], least: string): string =>
  objects.reduce((newest, { metadata }) => {
    const version = metadata.resourceVersion ?? '0';
    return newest === '0' || isNewer(version, newest) ? version : newest;
  }, least);

const inOrder = (objects: readonly KubeObject[]): KubeObject[] => [...objects].sort(byVersion);

function byVersion({ metadata: one }: KubeObject, { metadata: other }: KubeObject): number {
  const [left, right] = [one.resourceVersion ?? '', other.resourceVersion ?? ''];
  return isNewer(left, right) ? 1 : isNewer(right, left) ? -1 : 0;
}
