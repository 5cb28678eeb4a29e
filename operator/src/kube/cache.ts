// What the API server holds, as last heard: frozen objects by name, and by whatever index a controller needs.
import { messageOf } from './errors.ts';
import type { KindRef } from './discovery.ts';
import { silentLog } from './log.ts';
import type { Log } from './log.ts';
import type { KubeObject } from './plan.ts';

/** Anything with a name; `KubeObject`, or one of the kinds with a type of its own. */
export interface Named {
  apiVersion: string;
  kind: string;
  metadata: { name: string; namespace?: string; uid?: string; resourceVersion?: string };
}

export type Change<T> =
  | { type: 'added'; object: T; old?: undefined }
  | { type: 'updated'; object: T; old: T }
  /** `object` is the last state that was seen. */
  | { type: 'deleted'; object: T; old: T };

/** Values under which an object is found; none leaves it out of the index. */
export type IndexBy<T> = (object: T) => readonly string[];

/** Read-only view, for controllers. */
export interface Cache<T = KubeObject> {
  readonly kind: KindRef;
  /** Undefined for cluster-scoped objects as `namespace`. */
  get(namespace: string | undefined, name: string): Readonly<T> | undefined;
  list(namespace?: string): Readonly<T>[];
  /** Objects with that value under the named index; throws when there is no such index. */
  byIndex(index: string, value: string): Readonly<T>[];
  addIndex(name: string, indexBy: IndexBy<T>): void;
  onChange(listener: (change: Change<Readonly<T>>) => void): () => void;
  /** True once the whole collection has been seen. */
  readonly hasSynced: boolean;
  /** Resolves once `hasSynced`. */
  synced(): Promise<void>;
  readonly size: number;
}

/** Index values: the UIDs of all owners. */
export const byOwnerUid: IndexBy<{ metadata: { ownerReferences?: { uid: string }[] } }> = (object) =>
  (object.metadata.ownerReferences ?? []).map((owner) => owner.uid);

/** Index values: the value of one label. */
export function byLabel(label: string): IndexBy<{ metadata: { labels?: Record<string, string> } }> {
  return (object) => {
    const value = object.metadata.labels?.[label];
    return value === undefined ? [] : [value];
  };
}

/** `namespace/name`, or `name` alone for what is cluster-scoped. */
export const keyOf = (object: { metadata: { namespace?: string; name: string } }) =>
  joinKey(object.metadata.namespace, object.metadata.name);

export const joinKey = (namespace: string | undefined, name: string) => (namespace ? `${namespace}/${name}` : name);

export function splitKey(key: string): { namespace?: string; name: string } {
  const slash = key.indexOf('/');
  return slash < 0 ? { name: key } : { namespace: key.slice(0, slash), name: key.slice(slash + 1) };
}

class Index<T> {
  private readonly keys = new Map<string, Set<string>>();
  private readonly indexBy: IndexBy<T>;

  constructor(indexBy: IndexBy<T>) {
    this.indexBy = indexBy;
  }

  add(key: string, object: T): void {
    for (const value of this.indexBy(object)) {
      const keys = this.keys.get(value) ?? new Set();
      this.keys.set(value, keys.add(key));
    }
  }

  remove(key: string, object: T): void {
    for (const value of this.indexBy(object)) {
      const keys = this.keys.get(value);
      keys?.delete(key);
      if (keys?.size === 0) this.keys.delete(value);
    }
  }

  find(value: string): Iterable<string> {
    return this.keys.get(value) ?? [];
  }
}

/** The cache as its reflector sees it. */
export class ObjectCache<T extends Named = KubeObject> implements Cache<T> {
  readonly kind: KindRef;
  private readonly log: Log;
  private readonly objects = new Map<string, T>();
  private readonly namespaces = new Index<T>((object) => [object.metadata.namespace ?? '']);
  private readonly indexes = new Map<string, Index<T>>();
  private readonly listeners = new Set<(change: Change<Readonly<T>>) => void>();
  private readonly sync = Promise.withResolvers<undefined>();
  hasSynced = false;

  constructor(kind: KindRef, options: { indexes?: Record<string, IndexBy<NoInfer<T>>>; log?: Log } = {}) {
    this.kind = kind;
    this.log = options.log ?? silentLog;
    for (const [name, indexBy] of Object.entries(options.indexes ?? {})) this.addIndex(name, indexBy);
  }

  get size(): number {
    return this.objects.size;
  }

  get(namespace: string | undefined, name: string): T | undefined {
    return this.objects.get(joinKey(namespace, name));
  }

  list(namespace?: string): T[] {
    return namespace === undefined ? [...this.objects.values()] : this.pick(this.namespaces.find(namespace));
  }

  byIndex(index: string, value: string): T[] {
    const found = this.indexes.get(index);
    if (!found) throw new Error(`The cache of ${this.kind.kind} has no index ${index}`);
    return this.pick(found.find(value));
  }

  addIndex(name: string, indexBy: IndexBy<T>): void {
    if (this.indexes.has(name)) throw new Error(`The cache of ${this.kind.kind} already has an index ${name}`);
    const index = new Index(this.guarded(name, indexBy));
    for (const [key, object] of this.objects) index.add(key, object);
    this.indexes.set(name, index);
  }

  onChange(listener: (change: Change<Readonly<T>>) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  synced(): Promise<void> {
    return this.sync.promise;
  }

  /** Takes the whole collection as it now is: what is missing in it is gone. Readers never see half of it. */
  replace(objects: readonly T[]): void {
    const changes: Change<T>[] = [];
    const present = new Set(objects.map(keyOf));
    for (const [key, old] of [...this.objects]) {
      if (!present.has(key)) changes.push(this.drop(key, old));
    }
    for (const object of objects) changes.push(...this.put(object));
    this.hasSynced = true;
    for (const change of changes) this.emit(change);
    this.sync.resolve(undefined);
  }

  upsert(object: T): void {
    for (const change of this.put(object)) this.emit(change);
  }

  remove(object: T): void {
    const key = keyOf(object);
    const old = this.objects.get(key);
    if (old) this.emit(this.drop(key, old, object));
  }

  private put(object: T): Change<T>[] {
    const key = keyOf(object);
    const old = this.objects.get(key);
    if (old && isSame(old, object)) return [];
    const stored = freeze(withoutManagedFields(object));
    if (old) this.unindex(key, old);
    this.objects.set(key, stored);
    for (const index of this.allIndexes()) index.add(key, stored);
    if (!old) return [{ type: 'added', object: stored }];
    if (old.metadata.uid === stored.metadata.uid) return [{ type: 'updated', object: stored, old }];
    // A namesake: the deletion in between was missed.
    return [
      { type: 'deleted', object: old, old },
      { type: 'added', object: stored },
    ];
  }

  private drop(key: string, old: T, last: T = old): Change<T> {
    this.unindex(key, old);
    this.objects.delete(key);
    return { type: 'deleted', object: last === old ? old : freeze(withoutManagedFields(last)), old };
  }

  private unindex(key: string, object: T): void {
    for (const index of this.allIndexes()) index.remove(key, object);
  }

  private allIndexes(): Index<T>[] {
    return [this.namespaces, ...this.indexes.values()];
  }

  private pick(keys: Iterable<string>): T[] {
    const found: T[] = [];
    for (const key of keys) {
      const object = this.objects.get(key);
      if (object) found.push(object);
    }
    return found;
  }

  /** An object of a shape that an index does not expect is left out of it, and harms nobody else. */
  private guarded(name: string, indexBy: IndexBy<T>): IndexBy<T> {
    return (object) => {
      try {
        return indexBy(object);
      } catch (error) {
        this.log.error({ index: name, key: keyOf(object), err: error }, 'An object could not be indexed');
        return [];
      }
    };
  }

  private emit(change: Change<T>): void {
    for (const listener of [...this.listeners]) {
      try {
        listener(change);
      } catch (error) {
        const about = { kind: this.kind.kind, key: keyOf(change.object), err: error };
        this.log.error(about, `A listener failed: ${messageOf(error)}`);
      }
    }
  }
}

function isSame(old: Named, object: Named): boolean {
  const version = object.metadata.resourceVersion;
  return version !== undefined && version === old.metadata.resourceVersion && object.metadata.uid === old.metadata.uid;
}

/** managedFields are often half of an object, and no reconciler reads them. */
function withoutManagedFields<T extends Named>(object: T): T {
  if (!('managedFields' in object.metadata)) return object;
  const metadata: Record<string, unknown> & T['metadata'] = { ...object.metadata };
  delete metadata.managedFields;
  return { ...object, metadata };
}

function freeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value;
  for (const nested of Object.values(value)) freeze(nested);
  return Object.freeze(value);
}
