import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { byOwnerUid, keyOf, splitKey } from './cache.ts';
import type { KubeClient } from './client.ts';
import { watching } from './controller.ts';
import { FakeApiServer } from './fake-api-server.ts';
import { FakeClock, eventually, settle } from './fake-clock.ts';
import { Manager } from './manager.ts';
import type { ManagerOptions } from './manager.ts';
import type { KubeObject } from './plan.ts';

const configMaps = { apiVersion: 'v1', kind: 'ConfigMap' };
const jobs = { apiVersion: 'batch/v1', kind: 'Job' };
const pathOf = (name: string) => `/api/v1/namespaces/ns/configmaps/${name}`;
const configMap = (name: string): KubeObject => ({ ...configMaps, metadata: { namespace: 'ns', name } });

let server: FakeApiServer;
let client: KubeClient;
let manager: Manager;
let clock: FakeClock;

beforeEach(async () => {
  server = await new FakeApiServer().start();
  clock = new FakeClock();
  client = server.client();
});
afterEach(async () => {
  const stopped = manager.stop(100);
  await clock.advance(20_000);
  await stopped;
  await client.close();
  await server.stop();
});

/** Makes one Job for each ConfigMap. */
function start(options: Partial<ManagerOptions> = {}) {
  manager = new Manager({ client, instance: 'test', clock, ...options });
  const owners = manager.cache(configMaps);
  const children = manager.cache(jobs, { indexes: { owner: byOwnerUid } });
  manager.controller({
    name: 'maker',
    for: owners,
    watches: [watching(children, (job) => (job.metadata.ownerReferences ?? []).map(({ name }) => `ns/${name}`))],
    reconcile: async (key, { signal }) => {
      const { namespace, name } = splitKey(key);
      const owner = owners.get(namespace, name);
      if (!owner) return;
      const reference = { ...configMaps, name, uid: owner.metadata.uid ?? '', controller: true };
      const job = { ...jobs, metadata: { namespace: 'ns', name, ownerReferences: [reference] } };
      const status = { jobs: children.byIndex('owner', owner.metadata.uid ?? '').map(keyOf) };
      return manager.executor.execute(owner, { create: [job], status }, { signal });
    },
  });
  return manager.start();
}

const statusOf = (name: string) => server.objects.get(pathOf(name))?.status;

test('brings the world in line, before and after the start, and then rests', async () => {
  server.put(pathOf('a'), configMap('a'));
  await start();
  server.put(pathOf('b'), configMap('b'));
  await eventually(() => ['a', 'b'].every((name) => JSON.stringify(statusOf(name)) === `{"jobs":["ns/${name}"]}`));
  await settle();
  const writes = server.writes.length;
  server.put('/api/v1/namespaces/ns/configmaps/unrelated', { ...configMap('unrelated'), status: { jobs: [] } });
  server.put('/apis/batch/v1/namespaces/ns/jobs/unrelated', {
    ...jobs,
    metadata: { namespace: 'ns', name: 'unrelated' },
  });
  await settle();
  expect(
    server.writes.slice(writes).filter(({ path }) => !path.includes('unrelated') && !path.endsWith('/jobs')),
  ).toEqual([]);
});

describe('leadership', () => {
  test('caches fill on standby, controllers start once this process leads', async () => {
    const { promise, resolve } = Promise.withResolvers<undefined>();
    server.put(pathOf('a'), configMap('a'));
    void start({ elected: promise });
    await eventually(() => manager.hasSynced);
    await settle();
    expect(server.writes).toEqual([]);
    resolve(undefined);
    await eventually(() => server.writes.length > 0);
  });

  test('no write leaves once the lease is lost', async () => {
    let leads = true;
    await start({ gate: () => leads });
    server.put(pathOf('a'), configMap('a'));
    await eventually(() => statusOf('a') !== undefined);
    await settle();
    leads = false;
    const writes = server.writes.length;
    server.put(pathOf('b'), configMap('b'));
    await settle();
    await clock.advance(10_000);
    expect(server.writes).toHaveLength(writes);
  });
});

describe('optional kinds', () => {
  test('nobody waits for them, and they are there once they appear', async () => {
    manager = new Manager({ client, instance: 'test', clock });
    const routes = manager.cache({ apiVersion: 'x.dev/v1', kind: 'Route' }, { optional: true });
    await manager.start();
    expect(manager.hasSynced).toBe(true);
    expect(routes.hasSynced).toBe(false);
    server.addKind('x.dev/v1', 'Route', 'routes');
    server.put('/apis/x.dev/v1/namespaces/ns/routes/r', {
      apiVersion: 'x.dev/v1',
      kind: 'Route',
      metadata: { namespace: 'ns', name: 'r' },
    });
    await eventually(
      () => routes.size === 1,
      () => clock.advance(1000),
    );
  });
});

test('the same kind and selection is one cache and one watch', async () => {
  manager = new Manager({ client, instance: 'test', clock });
  const first = manager.cache(configMaps, { indexes: { one: () => [] } });
  const second = manager.cache(configMaps, { indexes: { two: () => [] } });
  expect(second).toBe(first);
  expect(manager.cache(configMaps, { labelSelector: 'a=b' })).not.toBe(first);
  await manager.start();
  expect(server.requests).toHaveLength(2);
});

test('stopping lets work under way finish, within its deadline, and delivers its Events', async () => {
  manager = new Manager({ client, instance: 'test', clock });
  const cache = manager.cache(configMaps);
  const { promise, resolve } = Promise.withResolvers<undefined>();
  let busy = false;
  manager.controller({
    name: 'slow',
    for: cache,
    reconcile: async (key) => {
      busy = true;
      await promise;
      const { namespace, name } = splitKey(key);
      const owner = cache.get(namespace, name);
      if (owner) manager.recorder.record(owner, { type: 'Normal', reason: 'Done', action: 'Do', note: 'done' });
    },
  });
  server.put(pathOf('a'), configMap('a'));
  await manager.start();
  await eventually(() => busy);
  const stopped = manager.stop(10_000);
  await settle();
  resolve(undefined);
  await stopped;
  expect([...server.objects.values()].some(({ reason }) => reason === 'Done')).toBe(true);
});

test('stopping ends at its deadline, even when work under way ignores that it is aborted', async () => {
  manager = new Manager({ client, instance: 'test', clock });
  const cache = manager.cache(configMaps);
  let busy = false;
  manager.controller({
    name: 'stuck',
    for: cache,
    reconcile: () => {
      busy = true;
      return new Promise(() => undefined);
    },
  });
  server.put(pathOf('a'), configMap('a'));
  await manager.start();
  await eventually(() => busy);
  let over = false;
  void manager.stop(10_000).then(() => (over = true));
  await eventually(
    () => over,
    () => clock.advance(1000),
  );
});

test('stopping before all caches are full ends the start', async () => {
  server.fail(() => true, 'hang', 100);
  const started = start();
  await eventually(() => server.requests.length > 0);
  const stopped = manager.stop(100);
  await clock.advance(2000);
  await Promise.all([started, stopped]);
  expect(server.writes).toEqual([]);
});
