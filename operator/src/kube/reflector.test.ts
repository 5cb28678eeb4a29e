import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { ObjectCache } from './cache.ts';
import type { KubeClient } from './client.ts';
import { FakeApiServer, status } from './fake-api-server.ts';
import type { OpenWatch, Seen } from './fake-api-server.ts';
import { FakeClock, eventually } from './fake-clock.ts';
import { createKubeMetrics } from './metrics.ts';
import type { KubeObject } from './plan.ts';
import { Reflector } from './reflector.ts';

const kind = { apiVersion: 'v1', kind: 'ConfigMap' };
const pathOf = (name: string) => `/api/v1/namespaces/default/configmaps/${name}`;
const configMap = (name: string, data: object = {}): KubeObject => ({
  ...kind,
  metadata: { namespace: 'default', name },
  data,
});

let server: FakeApiServer;
let client: KubeClient;
let clock: FakeClock;
let cache: ObjectCache;
let stop: AbortController;
let run: Promise<void>;
const metrics = createKubeMetrics();

beforeEach(async () => {
  server = await new FakeApiServer().start();
  clock = new FakeClock();
  client = server.client({ clock });
  cache = new ObjectCache(kind);
  stop = new AbortController();
});
afterEach(async () => {
  stop.abort();
  await run;
  await client.close();
  await server.stop();
});

function start(selection = {}) {
  const reflector = new Reflector({ client, kind, selection, sink: cache, clock, random: () => 0, metrics });
  run = reflector.run(stop.signal);
}

const names = () =>
  cache
    .list()
    .map(({ metadata }) => metadata.name)
    .sort();
const has = (...expected: string[]) => eventually(() => names().join() === expected.join(), tick);
const tick = () => clock.advance(100);
const isWatch = (seen: Seen) => seen.query.watch === 'true';
const watches = () => server.requests.filter(isWatch);
const openWatch = async (): Promise<OpenWatch> => {
  await eventually(() => server.watches.length === 1, tick);
  const [watch] = server.watches;
  if (!watch) throw new Error('no watch');
  return watch;
};

test('fills the cache from a watch-list, and then follows changes', async () => {
  server.put(pathOf('a'), configMap('a'));
  start();
  await has('a');
  expect(cache.hasSynced).toBe(true);
  server.put(pathOf('b'), configMap('b'));
  await has('a', 'b');
  server.remove(pathOf('a'));
  await has('b');
  expect(server.requests).toHaveLength(1);
  expect(server.requests[0]?.query).toMatchObject({
    watch: 'true',
    sendInitialEvents: 'true',
    allowWatchBookmarks: 'true',
    resourceVersionMatch: 'NotOlderThan',
  });
});

test('selects by namespace and labels', async () => {
  start({ namespace: 'default', labelSelector: 'app=x' });
  await cache.synced();
  expect(server.requests[0]).toMatchObject({
    path: '/api/v1/namespaces/default/configmaps',
    query: { labelSelector: 'app=x' },
  });
});

test('reads pages where the server has no watch-list', async () => {
  server.supportsWatchList = false;
  for (let i = 0; i < 1201; i++) server.put(pathOf(`c${i}`), configMap(`c${i}`));
  start();
  await eventually(() => cache.size === 1201, tick);
  expect(cache.get('default', 'c0')).toMatchObject({ apiVersion: 'v1', kind: 'ConfigMap' });
  const lists = server.requests.filter((seen) => seen.query.limit !== undefined);
  expect(lists.map(({ query }) => query.limit)).toEqual(['500', '500', '500']);
  await openWatch();
  server.put(pathOf('new'), configMap('new'));
  await eventually(() => cache.size === 1202, tick);
});

describe('a watch that ends', () => {
  test('goes on where it stopped, without reading all anew', async () => {
    start();
    const watch = await openWatch();
    server.put(pathOf('a'), configMap('a'));
    await has('a');
    watch.end();
    await eventually(() => watches().length === 2, tick);
    expect(watches()[1]?.query).toMatchObject({ resourceVersion: server.resourceVersion });
    expect(watches()[1]?.query).not.toHaveProperty('sendInitialEvents');
  });

  test('goes on from the latest bookmark, so that quiet kinds do not grow too old', async () => {
    start();
    const watch = await openWatch();
    watch.send('BOOKMARK', { metadata: { resourceVersion: '5000' } });
    await eventually(() => server.watches.length === 1);
    watch.end();
    await eventually(() => watches().length === 2, tick);
    expect(watches()[1]?.query.resourceVersion).toBe('5000');
  });

  test('is not opened over and over when the server ends each at once', async () => {
    start();
    await cache.synced();
    server.fail(isWatch, { status: 200, body: '' }, 1000);
    (await openWatch()).end();
    await eventually(() => watches().length === 2, tick);
    const before = watches().length;
    await clock.advance(10_000);
    expect(watches().length - before).toBeLessThan(10);
  });
});

describe('faults', () => {
  test('410 as an event: all is read anew, and what was deleted meanwhile goes', async () => {
    server.put(pathOf('a'), configMap('a'));
    start();
    const watch = await openWatch();
    await has('a');
    watch.freeze();
    server.remove(pathOf('a'));
    server.put(pathOf('b'), configMap('b'));
    watch.send('ERROR', status(410, 'Expired'));
    await has('b');
  });

  test.each<[string, () => void]>([
    ['500', () => server.fail(isWatch, { status: 500, body: status(500, 'InternalError') }, 8)],
    ['410', () => server.fail(isWatch, { status: 410, body: status(410, 'Expired') }, 3)],
    [
      '429',
      () =>
        server.fail(isWatch, { status: 429, headers: { 'retry-after': '3' }, body: status(429, 'TooManyRequests') }),
    ],
    ['403', () => server.fail(isWatch, { status: 403, body: status(403, 'Forbidden') }, 3)],
    ['a reset connection', () => server.fail(isWatch, 'reset', 3)],
    ['a proxy that answers rubbish', () => server.fail(isWatch, { status: 200, body: '<html>\n' }, 3)],
  ])('%s: goes on trying, and catches up', async (_name, fault) => {
    start();
    const watch = await openWatch();
    watch.freeze();
    server.put(pathOf('a'), configMap('a'));
    fault();
    watch.reset();
    await has('a');
  });

  test('faults at the very start delay the sync, but do not end it', async () => {
    server.put(pathOf('a'), configMap('a'));
    server.fail(isWatch, { status: 500, body: status(500, 'InternalError') }, 5);
    start();
    await has('a');
  });

  test('429 is obeyed: nothing is asked before Retry-After', async () => {
    server.fail(isWatch, { status: 429, headers: { 'retry-after': '7' }, body: status(429, 'TooManyRequests') });
    start();
    await eventually(() => clock.nextIn === 7000);
    await clock.advance(6900);
    expect(watches()).toHaveLength(1);
    await clock.advance(100);
    await cache.synced();
  });

  test('a watch cut off within its initial events leaves the cache as it was', async () => {
    server.put(pathOf('a'), configMap('a'));
    start();
    const watch = await openWatch();
    await has('a');
    server.fail(isWatch, { status: 200, body: `${JSON.stringify({ type: 'ADDED', object: configMap('half') })}\n` });
    watch.send('ERROR', status(410, 'Expired'));
    await eventually(() => watches().length === 2, tick);
    expect(names()).toEqual(['a']);
    await eventually(() => watches().length === 3, tick);
    await has('a');
  });

  test('a half-open watch is noticed by its silence', async () => {
    start();
    const watch = await openWatch();
    watch.freeze();
    server.put(pathOf('a'), configMap('a'));
    await clock.advance(89_000);
    expect(watches()).toHaveLength(1);
    await clock.advance(2_000);
    await has('a');
  });

  test('an event cut in two by a lost connection comes again', async () => {
    start();
    const watch = await openWatch();
    watch.freeze();
    server.put(pathOf('größe'), configMap('größe'));
    watch.write(Buffer.from(JSON.stringify({ type: 'ADDED', object: configMap('größe') })).subarray(0, 70));
    watch.reset();
    await has('größe');
  });

  test('events out of order: all is read anew instead of believing an older state', async () => {
    server.put(pathOf('a'), configMap('a', { v: 'old' }));
    start();
    const watch = await openWatch();
    watch.freeze();
    const now = server.put(pathOf('a'), configMap('a', { v: 'new' }));
    watch.send('MODIFIED', now);
    watch.send('MODIFIED', { ...configMap('a', { v: 'old' }), metadata: { ...now.metadata, resourceVersion: '2' } });
    await eventually(() => watches().length === 2, tick);
    await eventually(() => (cache.get('default', 'a')?.data as { v: string }).v === 'new', tick);
  });

  test('events that were lost on the way are made up for by the regular reading of all', async () => {
    start();
    const watch = await openWatch();
    watch.freeze();
    server.put(pathOf('lost'), configMap('lost'));
    for (let minute = 0; minute < 31; minute++) {
      watch.send('BOOKMARK', { metadata: { resourceVersion: server.resourceVersion } });
      await clock.advance(60_000);
    }
    watch.end();
    await has('lost');
  });
});

describe('a kind that is not there', () => {
  test('is asked for now and then, and syncs once it appears', async () => {
    server.removeKind('v1', 'configmaps');
    start();
    await eventually(() => server.requests.length === 1);
    await clock.advance(60_000);
    const asked = server.requests.length;
    expect(asked).toBeGreaterThan(1);
    expect(asked).toBeLessThan(8);
    expect(cache.hasSynced).toBe(false);
    server.addKind('v1', 'ConfigMap', 'configmaps');
    server.put(pathOf('a'), configMap('a'));
    await has('a');
  });

  test('keeps what is cached while an API server does not serve the kind for a moment', async () => {
    server.put(pathOf('a'), configMap('a'));
    start();
    const watch = await openWatch();
    await has('a');
    server.removeKind('v1', 'configmaps');
    watch.end();
    await eventually(() => watches().length > 1, tick);
    expect(names()).toEqual(['a']);
  });
});

test('the age of a watch is a metric', async () => {
  start();
  await cache.synced();
  await clock.advance(42_000);
  expect(await metrics.registry.metrics()).toContain('kadre_watch_age_seconds{kind="ConfigMap"} 42');
});

test('stops at once, whatever it is doing', async () => {
  server.fail(isWatch, 'hang', 10);
  start();
  await eventually(() => server.requests.length === 1);
  stop.abort();
  await run;
  expect(clock.pending).toBe(0);
});
