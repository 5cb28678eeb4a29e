import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { startControlPlane } from '../../cluster/control-plane.ts';
import type { ControlPlane } from '../../cluster/control-plane.ts';
import { ObjectCache } from '../../../operator/src/kube/cache.ts';
import { Reflector } from '../../../operator/src/kube/reflector.ts';
import { configMap, connectTo, namespace, refTo, startTimeout, until } from './bed.ts';
import type { Connected } from './bed.ts';

const kind = { apiVersion: 'v1', kind: 'ConfigMap' };
let controlPlane: ControlPlane;
let writer: Connected;
let reader: Connected;
let cache: ObjectCache;
let stop: AbortController;
let runs: Promise<void>[];

beforeAll(async () => {
  controlPlane = await startControlPlane({ controllerManager: false, scheduler: false });
}, startTimeout);
afterAll(() => controlPlane.stop());

beforeEach(() => {
  writer = connectTo(controlPlane);
  reader = connectTo(controlPlane);
  cache = new ObjectCache(kind);
  stop = new AbortController();
  runs = [];
});
afterEach(async () => {
  stop.abort();
  await Promise.all(runs);
  await Promise.all([writer, reader].map(({ client }) => client.close()));
});

const follow = (into: ObjectCache, labelSelector: string) => {
  const selection = { namespace, labelSelector };
  const reflector = new Reflector({
    client: reader.client,
    kind: into.kind,
    selection,
    sink: into,
    absentRetryMs: 200,
  });
  runs.push(reflector.run(stop.signal));
};

async function createMany(count: number, set: string) {
  const names = Array.from({ length: count }, (_, i) => `${set}-${i}`);
  for (let i = 0; i < count; i += 50) {
    const batch = names.slice(i, i + 50).map((name) => configMap(name, { size: 'größe 😀'.repeat(50) }, { set }));
    await Promise.all(batch.map((each) => writer.client.create(each)));
  }
}

test('syncs 1,200 ConfigMaps by one watch-list request, and follows changes on the same stream', async () => {
  await createMany(1200, 'many');
  follow(cache, 'set=many');
  await until('all are cached', () => cache.hasSynced);
  expect(cache.size).toBe(1200);
  expect(cache.get(namespace, 'many-7')).toMatchObject({ ...kind, data: { size: 'größe 😀'.repeat(50) } });
  expect(cache.get(namespace, 'many-7')?.metadata).not.toHaveProperty('managedFields');

  await writer.client.patch(refTo(configMap('many-7')), { data: { x: 'changed' } });
  await writer.client.delete(refTo(configMap('many-8')));
  await until('the changes are cached', () => cache.size === 1199);
  expect(cache.get(namespace, 'many-7')?.data).toMatchObject({ x: 'changed' });
  expect(await reader.sent('GET')).toBe(1);
}, 120_000);

test('reads pages of the same collection', async () => {
  await createMany(60, 'paged');
  const { items } = await reader.client.list(kind, { labelSelector: 'set=paged', pageSize: 25 });
  expect(items).toHaveLength(60);
  expect(items.every((item) => item.kind === 'ConfigMap')).toBe(true);
  expect(await reader.sent('GET')).toBe(3);
}, 60_000);

test('survives that the API server is killed, and catches up with what happened meanwhile', async () => {
  await createMany(20, 'kill');
  follow(cache, 'set=kill');
  await until('all are cached', () => cache.size === 20);
  await controlPlane.killApiServer();
  await controlPlane.startApiServer();
  await writer.client.create(configMap('kill-new', {}, { set: 'kill' }));
  await writer.client.delete(refTo(configMap('kill-3')));
  await until('the changes are cached', () => cache.get(namespace, 'kill-new') !== undefined && cache.size === 20);
  expect(cache.get(namespace, 'kill-3')).toBeUndefined();
}, 120_000);

describe('a custom kind', () => {
  const crd = {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: 'things.test.kadre.dev' },
    spec: {
      group: 'test.kadre.dev',
      names: { kind: 'Thing', plural: 'things' },
      scope: 'Namespaced',
      versions: [
        {
          name: 'v1',
          served: true,
          storage: true,
          schema: { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } },
        },
      ],
    },
  };
  const thing = { apiVersion: 'test.kadre.dev/v1', kind: 'Thing' };

  test('that is installed later is synced then, without a restart', async () => {
    const things = new ObjectCache(thing);
    expect(await reader.client.hasResource(thing.apiVersion, thing.kind)).toBe(false);
    follow(things, '');
    await writer.client.create(crd);
    await until('the kind is synced', () => things.hasSynced);
    await until('the kind is served', () => reader.client.hasResource(thing.apiVersion, thing.kind));
    await reader.client.create({ ...thing, metadata: { namespace, name: 'a' } });
    await until('the object is cached', () => things.size === 1);
  }, 60_000);
});

test('syncs from pages on an API server without watch-list', async () => {
  const older = await startControlPlane({
    controllerManager: false,
    scheduler: false,
    apiServerFlags: ['--feature-gates=WatchList=false'],
  });
  const connected = connectTo(older);
  try {
    await connected.client.create(configMap('a', {}, { set: 'pages' }));
    const selection = { namespace, labelSelector: 'set=pages' };
    const { client } = connected;
    runs.push(new Reflector({ client, kind, selection, sink: cache }).run(stop.signal));
    await until('the object is cached', () => cache.size === 1);
    await client.create(configMap('b', {}, { set: 'pages' }));
    await until('the next one is cached', () => cache.size === 2);
  } finally {
    stop.abort();
    await connected.client.close();
    await older.stop();
  }
}, 120_000);
