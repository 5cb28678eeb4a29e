// The verbs of the Kubernetes API on plain JSON.
import type { Clock } from './clock.ts';
import { createDiscovery } from './discovery.ts';
import type { Discovery, KindRef, KnownKind, ResourcePath } from './discovery.ts';
import { isKindNotServed, isNotFound } from './errors.ts';
import type { KubeObject, ObjectRef } from './plan.ts';
import type { Query, Transport, TransportRequest } from './transport.ts';
import { decodeWatch } from './watch-decoder.ts';
import type { WatchEvent } from './watch-decoder.ts';

export interface Selection {
  namespace?: string;
  labelSelector?: string;
  fieldSelector?: string;
}

export interface CallOptions {
  signal?: AbortSignal | undefined;
  /** For each attempt, in milliseconds. */
  timeoutMs?: number;
  /** How many attempts may follow the first one. */
  retries?: number;
}

export interface WriteOptions extends CallOptions {
  fieldManager?: string;
  dryRun?: boolean;
}

export interface ListOptions extends CallOptions, Selection {
  resourceVersion?: string;
  resourceVersionMatch?: 'Exact' | 'NotOlderThan';
  /** Objects on each page. */
  pageSize?: number;
}

interface WatchOptions extends Selection {
  resourceVersion?: string;
  /** Watch-list: start with synthetic ADDED events and a bookmark that ends them. */
  sendInitialEvents?: boolean;
  timeoutSeconds?: number;
  signal?: AbortSignal;
}

interface ObjectList {
  items: KubeObject[];
  resourceVersion: string;
}

interface DeleteOptions extends CallOptions {
  propagationPolicy?: 'Background' | 'Foreground' | 'Orphan';
}

export interface KubeClient {
  /** Undefined when the object is not there. */
  get(ref: ObjectRef, options?: CallOptions): Promise<KubeObject | undefined>;
  /** All pages. Their resourceVersion is that of the first page: all pages show that one moment. */
  list(kind: KindRef, options?: ListOptions): Promise<ObjectList>;
  create(object: KubeObject, options?: WriteOptions): Promise<KubeObject>;
  /** Replaces the object; conflicts unless `metadata.resourceVersion` is the latest. */
  replace(object: KubeObject, options?: WriteOptions): Promise<KubeObject>;
  /** Server-side apply with force. A `metadata.uid` makes sure that no namesake is touched or made. */
  apply(object: KubeObject, options?: WriteOptions & { subresource?: string }): Promise<KubeObject>;
  /** JSON merge patch. A `metadata.resourceVersion` in it makes it conditional. */
  patch(ref: ObjectRef, patch: object, options?: WriteOptions & { subresource?: string }): Promise<KubeObject>;
  /** Deletes if `ref.uid` (when given) is the object's. False when the object is not there. */
  delete(ref: ObjectRef, options?: DeleteOptions): Promise<boolean>;
  watch(kind: KindRef, options?: WatchOptions): Promise<{ events: AsyncIterable<WatchEvent>; close: () => void }>;
  /** Whether the API server serves the kind now; an answer holds 10 s. */
  hasResource(apiVersion: string, kind: string): Promise<boolean>;
  /** How the kind is called in paths; undefined when the API server does not serve it. */
  resourceOf(apiVersion: string, kind: string): Promise<KnownKind | undefined>;
  /** The same client, but what writes leaves only while `gate` says so; else reason NotLeader. */
  gated(gate: () => boolean): KubeClient;
  close(): Promise<void>;
}

export interface KubeClientOptions {
  transport: Transport;
  /** Kinds besides the built-in ones whose paths need no discovery. */
  known?: KnownKind[];
  clock?: Clock;
  fieldManager?: string;
}

const defaultPageSize = 500;

export function createKubeClient(options: KubeClientOptions): KubeClient {
  const discovery = createDiscovery(options.transport, options);
  return clientOf(options.transport, discovery, options.fieldManager ?? 'kadre', undefined);
}

type Gate = (() => boolean) | undefined;
type Call = Omit<TransportRequest, 'path'>;

function clientOf(transport: Transport, discovery: Discovery, fieldManager: string, gate: Gate): KubeClient {
  /** A kind that has vanished, or moved to another path, is discovered again. */
  const at = async <T>(target: ResourcePath, act: (path: string) => Promise<T>): Promise<T> => {
    try {
      return await act(await discovery.path(target));
    } catch (error) {
      if (isKindNotServed(error)) discovery.forget(target.apiVersion);
      throw error;
    }
  };
  const read = (target: ResourcePath, call: Omit<Call, 'method'>) =>
    at(target, (path) => transport.json({ ...call, method: 'GET', path, idempotent: true }));
  const write = (target: ResourcePath, call: Call) =>
    at(target, (path) => transport.json({ ...call, path, gate })) as Promise<KubeObject>;
  const writeQuery = (given: WriteOptions): Query => ({
    fieldManager: given.fieldManager ?? fieldManager,
    fieldValidation: 'Strict',
    dryRun: given.dryRun ? 'All' : undefined,
  });

  return {
    get: (ref, given = {}) =>
      read(ref, callOf(given)).then(
        (found) => found as KubeObject,
        (error: unknown) => absentOr(error, undefined),
      ),
    list: (kind, given = {}) =>
      listAll(kind, given, (query) => read({ ...kind, namespace: given.namespace }, { ...callOf(given), query })),
    create: (object, given = {}) =>
      write(collectionOf(object), { ...callOf(given), method: 'POST', body: object, query: writeQuery(given) }),
    replace: (object, given = {}) =>
      write(refOf(object), { ...callOf(given), method: 'PUT', body: object, query: writeQuery(given) }),
    apply: (object, given = {}) =>
      write(
        { ...refOf(object), subresource: given.subresource },
        {
          ...callOf(given),
          method: 'PATCH',
          body: object,
          // YAML is a superset of JSON, and the API server reads both under this type.
          contentType: 'application/apply-patch+yaml',
          query: { ...writeQuery(given), force: true },
          idempotent: true,
        },
      ),
    patch: (ref, body, given = {}) =>
      write(
        { ...ref, subresource: given.subresource },
        {
          ...callOf(given),
          method: 'PATCH',
          body,
          contentType: 'application/merge-patch+json',
          query: writeQuery(given),
          idempotent: true,
        },
      ),
    delete: (ref, given = {}) =>
      write(ref, {
        ...callOf(given),
        method: 'DELETE',
        body: deleteOptions(ref, given),
        // Without a UID a second attempt could hit a namesake that was made in between.
        idempotent: ref.uid !== undefined,
      }).then(
        () => true,
        (error: unknown) => absentOr(error, false),
      ),
    watch: (kind, given = {}) =>
      at({ ...kind, namespace: given.namespace }, async (path) => {
        const query = watchQuery(given);
        const { body, close } = await transport.stream({
          method: 'GET',
          path,
          query,
          retries: 0,
          signal: given.signal,
        });
        return { events: decodeWatch(body), close };
      }),
    hasResource: (apiVersion, kind) => discovery.hasResource(apiVersion, kind),
    resourceOf: (apiVersion, kind) => discovery.resourceOf(apiVersion, kind),
    gated: (next) => clientOf(transport, discovery, fieldManager, next),
    close: () => transport.close(),
  };
}

function absentOr<T>(error: unknown, absent: T): T {
  if (isNotFound(error) && !isKindNotServed(error)) return absent;
  throw error;
}

const callOf = ({ signal, timeoutMs, retries }: CallOptions) => ({
  signal,
  ...(timeoutMs === undefined ? {} : { timeoutMs }),
  ...(retries === undefined ? {} : { retries }),
});

const collectionOf = ({ apiVersion, kind, metadata }: KubeObject) => ({
  apiVersion,
  kind,
  namespace: metadata.namespace,
});

const refOf = (object: KubeObject) => ({ ...collectionOf(object), name: object.metadata.name });

const deleteOptions = (ref: ObjectRef, given: DeleteOptions) => ({
  apiVersion: 'v1',
  kind: 'DeleteOptions',
  propagationPolicy: given.propagationPolicy ?? 'Background',
  ...(ref.uid === undefined ? {} : { preconditions: { uid: ref.uid } }),
});

const selectorQuery = ({ labelSelector, fieldSelector }: Selection): Query => ({ labelSelector, fieldSelector });

const watchQuery = (given: WatchOptions): Query => ({
  ...selectorQuery(given),
  watch: true,
  allowWatchBookmarks: true,
  resourceVersion: given.resourceVersion,
  timeoutSeconds: given.timeoutSeconds,
  ...(given.sendInitialEvents ? { sendInitialEvents: true, resourceVersionMatch: 'NotOlderThan' } : {}),
});

interface Page {
  metadata?: { resourceVersion?: string; continue?: string };
  items?: KubeObject[];
}

async function listAll(
  kind: KindRef,
  given: ListOptions,
  read: (query: Query) => Promise<unknown>,
): Promise<ObjectList> {
  const items: KubeObject[] = [];
  const selector = selectorQuery(given);
  const version = { resourceVersion: given.resourceVersion, resourceVersionMatch: given.resourceVersionMatch };
  let query: Query = { ...selector, ...version, limit: given.pageSize ?? defaultPageSize };
  for (;;) {
    const page = (await read(query)) as Page;
    // The API server leaves apiVersion and kind out of the items of built-in lists.
    for (const item of page.items ?? []) items.push({ ...item, apiVersion: kind.apiVersion, kind: kind.kind });
    const next = page.metadata?.continue;
    if (!next) return { items, resourceVersion: page.metadata?.resourceVersion ?? '' };
    query = { ...selector, limit: given.pageSize ?? defaultPageSize, continue: next };
  }
}
