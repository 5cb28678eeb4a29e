// Works off a queue of keys: looks at one object at a time and brings the world in line with it. A key says only which
// object to look at, never what happened to it, so that lost, merged and repeated events do no harm.
import type { Cache } from './cache.ts';
import { keyOf } from './cache.ts';
import { systemClock } from './clock.ts';
import type { Clock } from './clock.ts';
import { KubeError, TerminalError, WaitError, isConflict, isNotLeader, isTerminating, messageOf } from './errors.ts';
import { silentLog } from './log.ts';
import type { Log } from './log.ts';
import type { KubeMetrics } from './metrics.ts';
import { WorkQueue } from './work-queue.ts';

/** Another cache whose changes concern objects of the controller. */
export interface Watched {
  /** Calls back with the keys that each change concerns; returns what ends it. All present objects count as changed. */
  subscribe(enqueue: (key: string) => void): () => void;
}

/**
 * Changes in `cache`, mapped to the keys they concern.
 * For an update the keys of both the old and the new object are taken.
 */
export function watching<T>(cache: Cache<T>, toKeys: (object: Readonly<T>) => Iterable<string>): Watched {
  return {
    subscribe: (enqueue) => {
      const stop = cache.onChange(({ object, old }) => {
        for (const key of new Set([...(old ? toKeys(old) : []), ...toKeys(object)])) enqueue(key);
      });
      for (const key of new Set(cache.list().flatMap((object) => [...toKeys(object)]))) enqueue(key);
      return stop;
    },
  };
}

export interface ReconcileContext {
  /** Aborted when the reconciliation takes too long or the controller stops at once. */
  signal: AbortSignal;
  log: Log;
}

/** Milliseconds after which to look again even if nothing changes; nothing to wait for an event. */
// eslint-disable-next-line @typescript-eslint/no-invalid-void-type -- a reconcile that returns nothing is the usual case
export type ReconcileResult = number | undefined | void;

export interface ControllerOptions {
  /** In metrics and logs; unique in the process. */
  name: string;
  /** The cache whose objects are reconciled. Absent: keys come from `watches` alone, and name something else. */
  for?: Cache<{ metadata: { namespace?: string; name: string } }>;
  watches?: Watched[];
  /** Objects worked on at once. Default 4. */
  concurrency?: number;
  /** For one reconciliation, in milliseconds. Default 60,000. */
  timeoutMs?: number;
  /** The object may be gone: then there is mostly nothing to do. */
  reconcile(key: string, context: ReconcileContext): Promise<ReconcileResult>;
  /** Back-off of failing keys (ms). Default 5 to 1,000,000. */
  baseDelayMs?: number;
  maxDelayMs?: number;
  clock?: Clock;
  log?: Log;
  metrics?: KubeMetrics | undefined;
}

export interface Controller {
  readonly name: string;
  /** Looks at the object soon, for reasons outside the caches. */
  enqueue(key: string): void;
  /** Takes nothing more in and waits for what is under way. When `force` is aborted, that is aborted too. */
  stop(force?: AbortSignal): Promise<void>;
}

interface Work {
  options: ControllerOptions;
  clock: Clock;
  log: Log;
  queue: WorkQueue;
  abort: AbortController;
}

/** Starts at once; the caches should have synced before. */
export function startController(options: ControllerOptions): Controller {
  const { name, metrics, clock = systemClock, log = silentLog, concurrency = 4 } = options;
  const queue = new WorkQueue({ ...options, name, clock });
  const abort = new AbortController();
  const work: Work = { options, clock, log, queue, abort };
  const enqueue = (key: string) => queue.add(key);
  const own = options.for && watching(options.for, (object) => [keyOf(object)]);
  const subscriptions = [...(own ? [own] : []), ...(options.watches ?? [])].map((watched) =>
    watched.subscribe(enqueue),
  );
  metrics?.maxConcurrent.set({ controller: name }, concurrency);
  const workers = Array.from({ length: concurrency }, () => runWorker(work));

  return {
    name,
    enqueue,
    stop: async (force) => {
      for (const unsubscribe of subscriptions) unsubscribe();
      const onForce = () => abort.abort();
      if (force?.aborted) onForce();
      force?.addEventListener('abort', onForce, { once: true });
      await Promise.all([queue.shutDown(), ...workers]);
      force?.removeEventListener('abort', onForce);
      abort.abort();
    },
  };
}

async function runWorker(work: Work): Promise<void> {
  for (;;) {
    const key = await work.queue.take();
    if (key === undefined) return;
    await handle(work, key);
  }
}

/** Never rejects: whatever goes wrong with one key must not stop the others. */
async function handle(work: Work, key: string): Promise<void> {
  const { options, clock, metrics, name, controller } = { ...work, ...labelsOf(work) };
  const timeoutMs = options.timeoutMs ?? 60_000;
  const timeout = new AbortController();
  const expired = Promise.withResolvers<never>();
  const began = clock.monotonic();
  metrics?.activeWorkers.inc(controller);
  const cancel = clock.after(timeoutMs, () => {
    metrics?.reconcileTimeouts.inc(controller);
    const error = new KubeError(`${name} took longer than ${timeoutMs} ms`, { code: 0, reason: 'ReconcileTimeout' });
    timeout.abort(error);
    expired.reject(error);
  });
  const log = work.log;
  const run = reconcile(options, key, { signal: AbortSignal.any([timeout.signal, work.abort.signal]), log });
  try {
    settle(work, key, await Promise.race([run, expired.promise]));
  } catch (error) {
    fail(work, key, error);
  } finally {
    cancel();
    metrics?.activeWorkers.dec(controller);
    metrics?.reconcileTime.observe(controller, (clock.monotonic() - began) / 1000);
    // The key stays taken until the work has really ended, so that no two reconciliations of it ever overlap.
    void run.then(
      () => work.queue.done(key),
      () => work.queue.done(key),
    );
  }
}

/** Turns what is thrown synchronously into a rejection. */
async function reconcile(options: ControllerOptions, key: string, context: ReconcileContext): Promise<ReconcileResult> {
  return options.reconcile(key, context);
}

const labelsOf = ({ options }: Work) => ({
  metrics: options.metrics,
  name: options.name,
  controller: { controller: options.name },
});

function settle(work: Work, key: string, requeueAfter: ReconcileResult): void {
  const { metrics, name } = labelsOf(work);
  work.queue.forget(key);
  const after = typeof requeueAfter === 'number' ? requeueAfter : undefined;
  if (after !== undefined) work.queue.addAfter(key, after);
  metrics?.reconciles.inc({ controller: name, result: after === undefined ? 'success' : 'requeue_after' });
}

function fail(work: Work, key: string, error: unknown): void {
  const { metrics, name, controller } = labelsOf(work);
  const { queue, log } = work;
  if (error instanceof WaitError) {
    queue.forget(key);
    queue.addAfter(key, error.requeueAfter);
    log.debug({ controller: name, key }, error.message);
    metrics?.reconciles.inc({ controller: name, result: 'requeue_after' });
    return;
  }
  if (isConflict(error) || isNotLeader(error)) {
    // Our cache lags behind, or we are about to end; neither is worth a line in a log.
    queue.addRateLimited(key);
    log.debug({ controller: name, key }, messageOf(error));
    metrics?.reconciles.inc({ controller: name, result: 'requeue' });
    return;
  }
  if (isTerminating(error)) {
    // The object goes with its namespace; the watch will say so.
    queue.forget(key);
    log.debug({ controller: name, key }, messageOf(error));
    metrics?.reconciles.inc({ controller: name, result: 'success' });
    return;
  }
  metrics?.reconciles.inc({ controller: name, result: 'error' });
  metrics?.reconcileErrors.inc(controller);
  if (error instanceof TerminalError) {
    queue.forget(key);
    metrics?.terminalErrors.inc(controller);
    log.warn({ controller: name, key, err: error }, `Not tried again until something changes: ${error.message}`);
    return;
  }
  log.error({ controller: name, key, retries: queue.retries(key), err: error }, `Failed: ${messageOf(error)}`);
  queue.addRateLimited(key, error instanceof KubeError ? error.retryAfter : undefined);
}
