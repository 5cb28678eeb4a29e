// Puts the machinery together: one cache for each kind and selection, controllers that start when this process leads,
// and an end in order: stop intake, let work finish, flush events.
import { ObjectCache } from './cache.ts';
import type { Cache, IndexBy, Named } from './cache.ts';
import type { KubeClient, Selection } from './client.ts';
import { systemClock, within } from './clock.ts';
import type { Clock } from './clock.ts';
import { startController } from './controller.ts';
import type { Controller, ControllerOptions } from './controller.ts';
import type { KindRef } from './discovery.ts';
import { createEventRecorder } from './events.ts';
import type { EventRecorder } from './events.ts';
import { createExecutor } from './execute.ts';
import type { Executor } from './execute.ts';
import { silentLog } from './log.ts';
import type { Log } from './log.ts';
import type { KubeMetrics } from './metrics.ts';
import type { KubeObject } from './plan.ts';
import { Reflector } from './reflector.ts';
import type { ReflectorOptions } from './reflector.ts';

export interface CacheOptions<T> extends Selection {
  indexes?: Record<string, IndexBy<T>>;
  /** The kind may be absent from the cluster: nobody waits for it, and it is there from when it appears. */
  optional?: boolean;
}

export interface ManagerOptions {
  client: KubeClient;
  /** Whether writes may leave, asked before each. Absent: always. */
  gate?: () => boolean;
  /** Resolves when this process leads; controllers start then. Absent: at once. */
  elected?: Promise<unknown>;
  /** Prefix of our finalizers and annotations. Default kadre.dev. */
  domain?: string;
  /** Name of this process in Events, such as the pod's. */
  instance: string;
  /** Field manager of children, and the last part of the name in Events. Default kadre. */
  name?: string;
  clock?: Clock;
  log?: Log;
  metrics?: KubeMetrics;
  /** Of all reflectors; for tests. */
  watch?: Pick<ReflectorOptions, 'silenceMs' | 'relistMs' | 'absentRetryMs' | 'random'>;
}

type Registration = Omit<ControllerOptions, 'clock' | 'log' | 'metrics'>;

interface Watching {
  cache: ObjectCache;
  optional: boolean;
  run: (signal: AbortSignal) => Promise<void>;
}

export class Manager {
  /** Reads are free, writes leave only while the gate is open. */
  readonly client: KubeClient;
  readonly recorder: EventRecorder;
  readonly executor: Executor;
  private readonly options: ManagerOptions & { clock: Clock; log: Log };
  private readonly caches = new Map<string, Watching>();
  private readonly registrations: Registration[] = [];
  private readonly controllers: Controller[] = [];
  private readonly stopping = new AbortController();
  private readonly watches: Promise<void>[] = [];
  private started: Promise<void> | undefined;

  constructor(options: ManagerOptions) {
    const { name = 'kadre', domain = 'kadre.dev', clock = systemClock, log = silentLog } = options;
    this.options = { ...options, clock, log };
    this.client = options.gate ? options.client.gated(options.gate) : options.client;
    const reporter = { controller: `${domain}/${name}`, instance: options.instance };
    this.recorder = createEventRecorder({ client: this.client, ...reporter, clock, log, metrics: options.metrics });
    this.executor = createExecutor({
      client: this.client,
      recorder: this.recorder,
      cached: (kind, objectNamespace, objectName) => this.cached(kind, objectNamespace, objectName),
      domain,
      manager: name,
    });
  }

  /** The cache of a kind and selection; the same one for the same arguments. Call it before `start`. */
  cache<T extends Named = KubeObject>(kind: KindRef, options: CacheOptions<NoInfer<T>> = {}): Cache<T> {
    const { indexes = {}, optional = false, ...selection } = options;
    const key = JSON.stringify([
      kind.apiVersion,
      kind.kind,
      selection.namespace,
      selection.labelSelector,
      selection.fieldSelector,
    ]);
    const known = this.caches.get(key);
    const watching = known ?? this.watching(kind, selection, optional);
    this.caches.set(key, watching);
    watching.optional &&= optional;
    const cache = watching.cache as unknown as ObjectCache<T>;
    for (const [name, indexBy] of Object.entries(indexes)) cache.addIndex(name, indexBy);
    return cache;
  }

  /** Registers a controller that runs while this process leads. Call it before `start`. */
  controller(registration: Registration): void {
    if (this.started) throw new Error(`Controller ${registration.name} came after the manager had started`);
    this.registrations.push(registration);
  }

  /** Fills the caches, and once they are full and this process leads, starts the controllers. Rejects never. */
  start(): Promise<void> {
    this.started ??= this.run();
    return this.started;
  }

  /** True once all caches that must be there have synced. For readiness probes. */
  get hasSynced(): boolean {
    return [...this.caches.values()].every(({ cache, optional }) => optional || cache.hasSynced);
  }

  /** Stops intake, waits for work under way until the deadline, aborts what is left of it, then flushes events. */
  async stop(deadlineMs = 20_000): Promise<void> {
    const { clock } = this.options;
    this.stopping.abort();
    const force = new AbortController();
    const stopped = Promise.all(this.controllers.map((each) => each.stop(force.signal)));
    const cancel = clock.after(deadlineMs * 0.75, () => force.abort());
    await within(clock, deadlineMs, stopped);
    cancel();
    await this.recorder.flush(Math.max(1000, deadlineMs * 0.1));
    await within(clock, 1000, Promise.all(this.watches));
  }

  private async run(): Promise<void> {
    const { elected, clock, log, metrics } = this.options;
    for (const { run } of this.caches.values()) this.watches.push(run(this.stopping.signal));
    const required = [...this.caches.values()].filter(({ optional }) => !optional);
    const ready = Promise.all([elected, ...required.map(({ cache }) => cache.synced())]);
    await Promise.race([ready, aborted(this.stopping.signal)]);
    if (this.stopping.signal.aborted) return;
    for (const each of this.registrations) this.controllers.push(startController({ ...each, clock, log, metrics }));
    log.info({ controllers: this.registrations.map(({ name }) => name) }, 'The controllers are running');
  }

  private watching(kind: KindRef, selection: Selection, optional: boolean): Watching {
    const { client, clock, log, metrics, watch } = this.options;
    const cache = new ObjectCache(kind, { log });
    const { namespace, labelSelector, fieldSelector } = selection;
    const name = [kind.kind, namespace, labelSelector, fieldSelector].filter((part) => part !== undefined).join(' ');
    const reflector = new Reflector({ client, kind, selection, sink: cache, clock, log, metrics, name, ...watch });
    return { cache, optional, run: (signal) => reflector.run(signal) };
  }

  /** Of several caches of one kind with different selections, any may hold the object. */
  private cached(kind: KindRef, namespace: string | undefined, name: string): KubeObject | undefined {
    for (const { cache } of this.caches.values()) {
      if (cache.kind.kind !== kind.kind || cache.kind.apiVersion !== kind.apiVersion) continue;
      const object = cache.get(namespace, name);
      if (object) return object;
    }
    return undefined;
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
