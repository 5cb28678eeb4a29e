import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { ObjectCache } from './cache.ts';
import { startController, watching } from './controller.ts';
import type { Controller, ControllerOptions, ReconcileContext, ReconcileResult } from './controller.ts';
import { KubeError, TerminalError, WaitError, type KubeStatus } from './errors.ts';
import { FakeClock, eventually, settle } from './fake-clock.ts';
import { createKubeMetrics } from './metrics.ts';
import type { KubeObject } from './plan.ts';

const object = (name: string, resourceVersion = '1', labels = {}): KubeObject => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { namespace: 'ns', name, uid: name, resourceVersion, labels },
});

let clock: FakeClock;
let cache: ObjectCache;
let controller: Controller;
let metrics: ReturnType<typeof createKubeMetrics>;
let seen: string[];

beforeEach(() => {
  clock = new FakeClock();
  cache = new ObjectCache({ apiVersion: 'v1', kind: 'ConfigMap' });
  metrics = createKubeMetrics();
  seen = [];
});
afterEach(() => controller.stop(AbortSignal.abort()));

type Reconcile = (key: string, context: ReconcileContext) => Promise<ReconcileResult>;

function start(reconcile: Reconcile, options: Partial<ControllerOptions> = {}) {
  controller = startController({
    name: 'c',
    for: cache,
    clock,
    metrics,
    ...options,
    reconcile: (key, context) => {
      seen.push(key);
      return reconcile(key, context);
    },
  });
}

const counted = async (line: string) => (await metrics.registry.metrics()).includes(line);

describe('what is looked at', () => {
  test('all that is there at the start, and then what changes, each once', async () => {
    cache.replace([object('a'), object('b')]);
    start(() => Promise.resolve());
    await settle();
    expect(seen).toEqual(['ns/a', 'ns/b']);
    cache.upsert(object('a', '2'));
    cache.remove(object('b'));
    await settle();
    expect(seen.slice(2)).toEqual(['ns/a', 'ns/b']);
  });

  test('the objects that a change elsewhere concerns, before and after it', async () => {
    const children = new ObjectCache({ apiVersion: 'v1', kind: 'Secret' });
    const parents = watching(children, (child) =>
      child.metadata.labels?.of ? [`ns/${child.metadata.labels.of}`] : [],
    );
    children.replace([object('child', '1', { of: 'a' })]);
    start(() => Promise.resolve(), { watches: [parents] });
    await settle();
    expect(seen).toEqual(['ns/a']);
    children.upsert(object('child', '2', { of: 'b' }));
    await settle();
    expect(seen.slice(1)).toEqual(['ns/a', 'ns/b']);
  });

  test('never one key twice at the same time, but several keys at once', async () => {
    const gates: (() => void)[] = [];
    start(() => new Promise<void>((resolve) => void gates.push(resolve)), { concurrency: 2 });
    cache.replace([object('a'), object('b'), object('c')]);
    await settle();
    cache.upsert(object('a', '2'));
    await settle();
    expect(seen).toEqual(['ns/a', 'ns/b']);
    for (let i = 0; i < 4; i++) {
      gates.shift()?.();
      await settle();
    }
    expect(seen).toEqual(['ns/a', 'ns/b', 'ns/c', 'ns/a']);
  });
});

describe('what comes of it', () => {
  test('a number is a time after which to look again', async () => {
    start(() => Promise.resolve(30_000));
    cache.upsert(object('a'));
    await settle();
    await clock.advance(29_999);
    expect(seen).toHaveLength(1);
    await clock.advance(1);
    expect(seen).toHaveLength(2);
    expect(await counted('controller_runtime_reconcile_total{controller="c",result="requeue_after"} 2')).toBe(true);
  });

  test('a failure is tried again after a growing delay, and success resets it', async () => {
    let fail = true;
    start(() => (fail ? Promise.reject(new Error('broken')) : Promise.resolve()));
    cache.upsert(object('a'));
    await settle();
    await clock.advance(5);
    await clock.advance(10);
    expect(seen).toHaveLength(3);
    fail = false;
    await clock.advance(20);
    fail = true;
    cache.upsert(object('a', '2'));
    await settle();
    expect(clock.nextIn).toBe(5);
    expect(await counted('controller_runtime_reconcile_errors_total{controller="c"} 4')).toBe(true);
  });

  test('a poisonous key does not keep the others from being worked on', async () => {
    const poison: Reconcile = (key) => {
      if (key === 'ns/poison') throw new TypeError('synchronous, too');
      return Promise.resolve();
    };
    start(poison, { concurrency: 1 });
    cache.replace([object('poison'), object('good')]);
    await settle();
    await clock.advance(1000);
    expect(seen).toContain('ns/good');
  });

  test('a terminal error is not tried again until something changes', async () => {
    start(() => Promise.reject(new TerminalError('the spec is wrong')));
    cache.upsert(object('a'));
    await settle();
    await clock.advance(10_000_000);
    expect(seen).toHaveLength(1);
    cache.upsert(object('a', '2'));
    await settle();
    expect(seen).toHaveLength(2);
    expect(await counted('controller_runtime_terminal_reconcile_errors_total{controller="c"} 2')).toBe(true);
  });

  test('waiting is no error', async () => {
    start(() => Promise.reject(new WaitError('not there yet', 2000)));
    cache.upsert(object('a'));
    await settle();
    await clock.advance(2000);
    expect(seen).toHaveLength(2);
    expect(await counted('controller_runtime_reconcile_errors_total{controller="c"}')).toBe(false);
  });

  test('a conflict is tried again without a word', async () => {
    let calls = 0;
    const { log, logged } = loud();
    const conflict = new KubeError('conflict', { code: 409, reason: 'Conflict' });
    start(() => (calls++ === 0 ? Promise.reject(conflict) : Promise.resolve()), { log });
    cache.upsert(object('a'));
    await settle();
    await clock.advance(5);
    expect(seen).toHaveLength(2);
    expect(logged).toEqual([]);
    expect(await counted('controller_runtime_reconcile_errors_total{controller="c"}')).toBe(false);
  });

  test('what goes with its namespace is left alone, without a word', async () => {
    const { log, logged } = loud();
    const status: KubeStatus = { kind: 'Status', details: { causes: [{ reason: 'NamespaceTerminating' }] } };
    start(() => Promise.reject(new KubeError('being terminated', { code: 403, reason: 'Forbidden', status })), { log });
    cache.upsert(object('a'));
    await settle();
    await clock.advance(10_000_000);
    expect(seen).toHaveLength(1);
    expect(logged).toEqual([]);
    expect(await counted('controller_runtime_reconcile_errors_total{controller="c"}')).toBe(false);
  });

  test('Retry-After of the API server is kept to', async () => {
    start(() => Promise.reject(new KubeError('later', { code: 429, reason: 'TooManyRequests', retryAfter: 4000 })));
    cache.upsert(object('a'));
    await settle();
    expect(clock.nextIn).toBe(4000);
  });
});

describe('time', () => {
  test('a reconciliation that takes too long is aborted; its key waits until it has really ended, others go on', async () => {
    let finish: () => void = () => undefined;
    let aborted = false;
    const stuck: Reconcile = (key, { signal }) => {
      if (key !== 'ns/stuck') return Promise.resolve();
      signal.addEventListener('abort', () => (aborted = true));
      return new Promise<void>((resolve) => (finish = resolve));
    };
    start(stuck, { concurrency: 1, timeoutMs: 1000 });
    cache.replace([object('stuck'), object('other')]);
    await settle();
    expect(seen).toEqual(['ns/stuck']);
    await clock.advance(1000);
    expect(aborted).toBe(true);
    expect(seen).toEqual(['ns/stuck', 'ns/other']);
    await clock.advance(1000);
    expect(seen).toHaveLength(2);
    finish();
    await settle();
    expect(seen).toEqual(['ns/stuck', 'ns/other', 'ns/stuck']);
    expect(await counted('controller_runtime_reconcile_timeouts_total{controller="c"} 1')).toBe(true);
    finish();
  });
});

describe('stopping', () => {
  test('waits for what is under way and starts nothing more', async () => {
    let finish: () => void = () => undefined;
    start(() => new Promise<void>((resolve) => (finish = resolve)), { concurrency: 1 });
    cache.replace([object('a'), object('b')]);
    await settle();
    let stopped = false;
    const stop = controller.stop().then(() => (stopped = true));
    await settle();
    expect(stopped).toBe(false);
    finish();
    await stop;
    cache.upsert(object('c'));
    await settle();
    expect(seen).toEqual(['ns/a']);
  });

  test('by force aborts what is under way', async () => {
    const force = new AbortController();
    start((_key, { signal }) => new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve())));
    cache.upsert(object('a'));
    await settle();
    const stop = controller.stop(force.signal);
    force.abort();
    await eventually(() => seen.length === 1);
    await stop;
  });
});

/** A log that tells what is loud in it. */
function loud() {
  const logged: string[] = [];
  const log = {
    debug: () => undefined,
    info: () => undefined,
    warn: () => logged.push('warn'),
    error: () => logged.push('error'),
  } as unknown as NonNullable<ControllerOptions['log']>;
  return { log, logged };
}
