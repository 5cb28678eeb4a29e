// An API server for tests: enough of Kubernetes to list, watch and write, over real HTTP, and as ill-behaved as asked.
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { KubeConfig } from '@kubernetes/client-node';
import { createKubeClient } from './client.ts';
import type { KubeClient } from './client.ts';
import type { Clock } from './clock.ts';
import { createCredentials } from './credentials.ts';
import type { KubeMetrics } from './metrics.ts';
import type { KubeObject } from './plan.ts';
import { createTransport } from './transport.ts';

export interface Seen {
  method: string;
  path: string;
  query: Record<string, string>;
  headers: IncomingMessage['headers'];
  body: unknown;
}

/** What to do instead of answering. `lose`: carry it out, then cut the connection. `hang`: never answer. */
export type Fault =
  'hang' | 'reset' | 'lose' | { status: number; headers?: Record<string, string>; body?: object | string };

interface Rule {
  matches: (seen: Seen) => boolean;
  fault: Fault;
  times: number;
}

export interface OpenWatch {
  path: string;
  query: Record<string, string>;
  /** Raw bytes into the stream. */
  write(chunk: string | Buffer): void;
  send(type: string, object: unknown): void;
  end(): void;
  reset(): void;
  /** Events are kept back from now on, although the connection stays: half-open. */
  freeze(): void;
}

interface Watching extends OpenWatch {
  frozen: boolean;
}

/** A Status as the API server sends it. */
export const status = (code: number, reason: string, details: object = {}) => ({
  kind: 'Status',
  apiVersion: 'v1',
  status: 'Failure',
  code,
  reason,
  message: `${reason} by the fake`,
  details,
});

export class FakeApiServer {
  readonly requests: Seen[] = [];
  readonly watches: OpenWatch[] = [];
  /** Objects by path, such as /api/v1/namespaces/default/configmaps/a. */
  readonly objects = new Map<string, KubeObject>();
  /** Collections served: root path and resource to kind. */
  private readonly kinds = new Map<string, { apiVersion: string; kind: string }>();
  private readonly rules: Rule[] = [];
  private readonly history: { version: number; path: string; type: string; object: KubeObject }[] = [];
  private readonly server: Server = createServer((request, response) => void this.serve(request, response));
  private version = 100;
  supportsWatchList = true;

  async start(): Promise<this> {
    await new Promise<void>((resolve) => this.server.listen(0, '127.0.0.1', resolve));
    this.addKind('v1', 'ConfigMap', 'configmaps');
    this.addKind('coordination.k8s.io/v1', 'Lease', 'leases');
    this.addKind('events.k8s.io/v1', 'Event', 'events');
    this.addKind('apps/v1', 'Deployment', 'deployments');
    this.addKind('batch/v1', 'Job', 'jobs');
    return this;
  }

  addKind(apiVersion: string, kind: string, resource: string): void {
    this.kinds.set(`${rootOf(apiVersion)} ${resource}`, { apiVersion, kind });
  }

  removeKind(apiVersion: string, resource: string): void {
    this.kinds.delete(`${rootOf(apiVersion)} ${resource}`);
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  client(options: { clock?: Clock; metrics?: KubeMetrics; timeoutMs?: number; token?: string } = {}): KubeClient {
    const load = () => {
      const config = new KubeConfig();
      const cluster = { name: 'fake', server: this.url, skipTLSVerify: true };
      config.loadFromClusterAndUser(cluster, { name: 'me', ...(options.token ? { token: options.token } : {}) });
      return config;
    };
    const credentials = createCredentials({ load, ...options });
    const transport = createTransport({ ...options, credentials, random: () => 0 });
    return createKubeClient({ transport, ...options });
  }

  /** The next `times` requests that match get the fault. */
  fail(matches: (seen: Seen) => boolean, fault: Fault, times = 1): void {
    this.rules.push({ matches, fault, times });
  }

  /** What was written, by whatever method. */
  get writes(): Seen[] {
    return this.requests.filter(({ method }) => method !== 'GET');
  }

  /** Stores an object as some other client would, and tells the watches. */
  put(path: string, object: KubeObject): KubeObject {
    const old = this.objects.get(path);
    const uid = old?.metadata.uid ?? object.metadata.uid ?? `uid-${++this.version}`;
    const stored = { ...object, metadata: { ...object.metadata, uid, resourceVersion: String(++this.version) } };
    this.objects.set(path, stored);
    this.tell(path, old ? 'MODIFIED' : 'ADDED', stored);
    return stored;
  }

  remove(path: string): void {
    const old = this.objects.get(path);
    if (!old) return;
    this.objects.delete(path);
    this.tell(path, 'DELETED', { ...old, metadata: { ...old.metadata, resourceVersion: String(++this.version) } });
  }

  /** The latest resourceVersion. */
  get resourceVersion(): string {
    return String(this.version);
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  private tell(path: string, type: string, object: KubeObject): void {
    this.history.push({ version: this.version, path, type, object });
    for (const watch of this.watches as Watching[]) {
      if (!watch.frozen && isWithin(path, watch.path)) watch.send(type, object);
    }
  }

  private async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', this.url);
    const parts: Buffer[] = [];
    for await (const part of request as AsyncIterable<Buffer>) parts.push(part);
    const text = Buffer.concat(parts).toString();
    const seen: Seen = {
      method: request.method ?? '',
      path: url.pathname,
      query: Object.fromEntries(url.searchParams),
      headers: request.headers,
      body: text === '' ? undefined : JSON.parse(text),
    };
    this.requests.push(seen);
    const rule = this.rules.find((each) => each.times > 0 && each.matches(seen));
    if (rule) rule.times--;
    if (!rule) this.answer(seen, response);
    else if (rule.fault === 'reset') request.socket.destroy();
    else if (rule.fault === 'lose') {
      this.answer(seen, undefined);
      request.socket.destroy();
    } else if (rule.fault !== 'hang') {
      const { status: code, headers = {}, body = '' } = rule.fault;
      reply(response, code, body, headers);
    }
  }

  private answer(seen: Seen, response: ServerResponse | undefined): void {
    const { root, resource, name, sub } = parsePath(seen.path);
    if (resource === undefined) {
      reply(response, ...this.discover(root));
      return;
    }
    const kind = this.kinds.get(`${root} ${resource}`);
    if (!kind) reply(response, 404, '404 page not found\n');
    else if (seen.query.watch === 'true') this.watch(seen, response);
    else if (name === undefined && seen.method === 'GET') reply(response, 200, this.list(seen, kind));
    else reply(response, ...this.act(seen, name, sub));
  }

  private discover(root: string): [number, object | string] {
    const own = [...this.kinds].filter(([key]) => key.startsWith(`${root} `));
    if (own.length === 0) return [404, '404 page not found\n'];
    const resources = own.map(([key, { kind }]) => ({ name: key.split(' ')[1], kind, namespaced: true }));
    return [200, { kind: 'APIResourceList', resources }];
  }

  private list(seen: Seen, kind: { kind: string }): object {
    const all = [...this.objects].filter(([path]) => isWithin(path, seen.path));
    const from = Number(seen.query.continue ?? 0);
    const limit = Number(seen.query.limit ?? all.length);
    // As the real one: items of a list carry no apiVersion and kind.
    const items = all.slice(from, from + limit).map(([, { metadata, data, spec }]) => ({ metadata, data, spec }));
    const more = from + limit < all.length ? { continue: String(from + limit) } : {};
    return { kind: `${kind.kind}List`, metadata: { resourceVersion: this.resourceVersion, ...more }, items };
  }

  private watch(seen: Seen, response: ServerResponse | undefined): void {
    if (seen.query.sendInitialEvents && !this.supportsWatchList) {
      reply(response, 422, status(422, 'Invalid'));
      return;
    }
    response?.writeHead(200, { 'content-type': 'application/json' });
    response?.flushHeaders();
    const watch: Watching = {
      path: seen.path,
      query: seen.query,
      frozen: false,
      write: (chunk) => void response?.write(chunk),
      send: (type, object) => watch.write(`${JSON.stringify({ type, object })}\n`),
      end: () => void response?.end(),
      reset: () => void response?.destroy(),
      freeze: () => (watch.frozen = true),
    };
    this.watches.push(watch);
    response?.on('close', () => this.watches.splice(this.watches.indexOf(watch), 1));
    if (seen.query.sendInitialEvents === 'true') this.sendInitialEvents(watch);
    else this.catchUp(watch, Number(seen.query.resourceVersion ?? this.version));
  }

  private sendInitialEvents(watch: Watching): void {
    for (const [path, object] of this.objects) if (isWithin(path, watch.path)) watch.send('ADDED', object);
    const annotations = { 'k8s.io/initial-events-end': 'true' };
    watch.send('BOOKMARK', { metadata: { resourceVersion: this.resourceVersion, annotations } });
  }

  private catchUp(watch: Watching, since: number): void {
    for (const { version, path, type, object } of this.history) {
      if (version > since && isWithin(path, watch.path)) watch.send(type, object);
    }
  }

  private act(seen: Seen, name: string | undefined, sub: string | undefined): [number, object] {
    const body = (seen.body ?? {}) as Partial<KubeObject> & { preconditions?: { uid?: string } };
    const path =
      name === undefined
        ? `${seen.path}/${body.metadata?.name ?? ''}`
        : seen.path.replace(`/${sub ?? ''}`, sub ? '' : '/');
    const old = this.objects.get(path);
    if (seen.method === 'POST')
      return old ? [409, status(409, 'AlreadyExists')] : [201, this.put(path, body as KubeObject)];
    const apply = seen.headers['content-type']?.includes('apply-patch') === true && sub === undefined;
    if (!old && !apply) return [404, status(404, 'NotFound', { name })];
    const wanted = body.preconditions?.uid ?? body.metadata?.uid;
    if (old && wanted !== undefined && wanted !== old.metadata.uid) return [409, status(409, 'Conflict')];
    const version = body.metadata?.resourceVersion;
    if (old && version !== undefined && version !== old.metadata.resourceVersion) return [409, status(409, 'Conflict')];
    if (seen.method === 'GET') return [200, old ?? {}];
    if (seen.method === 'DELETE') {
      this.remove(path);
      return [200, status(200, '')];
    }
    return [200, this.put(path, seen.method === 'PATCH' ? (merge(old, body) as KubeObject) : (body as KubeObject))];
  }
}

const rootOf = (apiVersion: string) => (apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`);

function parsePath(path: string) {
  const parts = path.split('/').filter(Boolean);
  const rootLength = parts[0] === 'api' ? 2 : 3;
  const root = `/${parts.slice(0, rootLength).join('/')}`;
  const rest = parts.slice(parts[rootLength] === 'namespaces' ? rootLength + 2 : rootLength);
  return { root, resource: rest[0], name: rest[1], sub: rest[2] };
}

/** Whether the object at `path` belongs to the collection, which may be that of one namespace or of all. */
function isWithin(path: string, collection: string): boolean {
  const { root, resource } = parsePath(path);
  const of = parsePath(collection);
  if (root !== of.root || resource !== of.resource) return false;
  return path.startsWith(`${collection}/`) || !collection.includes('/namespaces/');
}

function merge(old: unknown, patch: unknown): unknown {
  if (typeof patch !== 'object' || patch === null || Array.isArray(patch)) return patch;
  const base = typeof old === 'object' && old !== null && !Array.isArray(old) ? { ...old } : {};
  const result = base as Record<string, unknown>;
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) result[name] = undefined;
    else result[name] = merge(result[name], value);
  }
  return result;
}

function reply(
  response: ServerResponse | undefined,
  code: number,
  body: object | string,
  headers: Record<string, string> = {},
): void {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  response?.writeHead(code, { 'content-type': 'application/json', ...headers });
  response?.end(text);
}
