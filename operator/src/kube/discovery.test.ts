import { afterEach, beforeEach, expect, test } from '@jest/globals';
import type { KubeClient } from './client.ts';
import { FakeApiServer } from './fake-api-server.ts';
import { FakeClock } from './fake-clock.ts';

const route = { apiVersion: 'gateway.networking.k8s.io/v1', kind: 'HTTPRoute' };
let server: FakeApiServer;
let client: KubeClient;
let clock: FakeClock;

beforeEach(async () => {
  server = await new FakeApiServer().start();
  clock = new FakeClock();
  client = server.client({ clock });
});
afterEach(async () => {
  await client.close();
  await server.stop();
});

test('a kind that appears later is noticed, and usable at once', async () => {
  expect(await client.hasResource(route.apiVersion, route.kind)).toBe(false);
  await expect(client.get({ ...route, namespace: 'ns', name: 'a' })).rejects.toMatchObject({ reason: 'KindNotServed' });
  server.addKind(route.apiVersion, route.kind, 'httproutes');
  await clock.advance(10_000);
  expect(await client.hasResource(route.apiVersion, route.kind)).toBe(true);
  const created = await client.create({ ...route, metadata: { namespace: 'ns', name: 'a' } });
  expect(created.metadata.uid).toBeDefined();
});

test('a kind that goes away is noticed by the first request that fails', async () => {
  server.addKind(route.apiVersion, route.kind, 'httproutes');
  expect(await client.get({ ...route, namespace: 'ns', name: 'a' })).toBeUndefined();
  server.removeKind(route.apiVersion, 'httproutes');
  await expect(client.get({ ...route, namespace: 'ns', name: 'a' })).rejects.toMatchObject({ reason: 'KindNotServed' });
  expect(await client.hasResource(route.apiVersion, route.kind)).toBe(false);
});

test('many questions at once are one request', async () => {
  await Promise.all(Array.from({ length: 20 }, () => client.hasResource(route.apiVersion, route.kind)));
  expect(server.requests).toHaveLength(1);
});

test('a failure to ask is an error, not a "no"', async () => {
  server.fail(() => true, { status: 403, body: '' });
  await expect(client.hasResource(route.apiVersion, route.kind)).rejects.toMatchObject({ code: 403 });
  expect(await client.hasResource(route.apiVersion, route.kind)).toBe(false);
});

test('names cannot lead out of their place in the path', async () => {
  await client.get({ apiVersion: 'v1', kind: 'ConfigMap', namespace: 'a/../b', name: '../../secrets/x' });
  expect(server.requests[0]?.path).toBe('/api/v1/namespaces/a%2F..%2Fb/configmaps/..%2F..%2Fsecrets%2Fx');
});
