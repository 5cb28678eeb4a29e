// Whatever happens to any one of the writes of a plan, trying again ends in the same world.
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { joinKey, splitKey } from './cache.ts';
import { FakeApiServer, status } from './fake-api-server.ts';
import type { Fault } from './fake-api-server.ts';
import { FakeClock, eventually } from './fake-clock.ts';
import { Manager } from './manager.ts';
import type { KubeObject, Plan } from './plan.ts';

const ownerKind = { apiVersion: 'v1', kind: 'ConfigMap' };
const ownerPath = '/api/v1/namespaces/ns/configmaps/owner';
const oldPath = '/api/v1/namespaces/ns/configmaps/old';

function planFor(owner: KubeObject): Plan {
  const reference = { ...ownerKind, name: 'owner', uid: owner.metadata.uid ?? '', controller: true };
  const metadata = { namespace: 'ns', ownerReferences: [reference] };
  return {
    finalizers: ['k.dev/in-use'],
    create: [{ apiVersion: 'batch/v1', kind: 'Job', metadata: { ...metadata, name: 'job' }, spec: { parallelism: 1 } }],
    apply: [
      {
        apiVersion: 'apps/v1',
        kind: 'Deployment',
        metadata: { ...metadata, name: 'deployment' },
        spec: { replicas: 2 },
      },
    ],
    delete: [{ ...ownerKind, namespace: 'ns', name: 'old', uid: 'old-uid' }],
    status: { phase: 'Ready' },
  };
}

/** Runs the controller with the fault at the n-th write, until it rests. Returns the end state, and how often it wrote. */
async function scenario(n: number, fault: Fault): Promise<{ world: unknown; writes: number }> {
  const server = await new FakeApiServer().start();
  const clock = new FakeClock();
  const client = server.client({ clock, timeoutMs: 1000 });
  server.put(ownerPath, { ...ownerKind, metadata: { namespace: 'ns', name: 'owner', uid: 'owner-uid' } });
  server.put(oldPath, { ...ownerKind, metadata: { namespace: 'ns', name: 'old', uid: 'old-uid' } });
  let write = 0;
  server.fail(({ method }) => method !== 'GET' && ++write === n, fault);
  const manager = new Manager({ client, instance: 'test', clock, domain: 'k.dev' });
  const owners = manager.cache(ownerKind);
  manager.cache({ apiVersion: 'batch/v1', kind: 'Job' });
  manager.cache({ apiVersion: 'apps/v1', kind: 'Deployment' });
  let rests = 0;
  manager.controller({
    name: 'c',
    for: owners,
    reconcile: async (key) => {
      const { namespace, name } = splitKey(key);
      const owner = owners.get(namespace, name);
      if (!owner || name === 'old') return;
      const before = server.writes.length;
      const plan = planFor(owner);
      await manager.executor.execute(owner, owners.get('ns', 'old') ? plan : { ...plan, delete: [] });
      rests = server.writes.length === before ? rests + 1 : 0;
      return 1000;
    },
  });
  await manager.start();
  await eventually(
    () => rests >= 3,
    () => clock.advance(500),
  );
  const stopped = manager.stop(100);
  await clock.advance(5000);
  await stopped;
  await client.close();
  await server.stop();
  return { world: normalized(server), writes: server.writes.length };
}

/** All objects without what differs from run to run. */
function normalized(server: FakeApiServer) {
  return [...server.objects.values()]
    .map((object) => {
      const metadata = { ...object.metadata, resourceVersion: '', uid: '' };
      return { key: joinKey(object.kind, object.metadata.name), ...object, metadata };
    })
    .sort((a, b) => a.key.localeCompare(b.key));
}

let golden: { world: unknown; writes: number };
const errors: unknown[] = [];
const onError = (error: unknown) => void errors.push(error);

beforeAll(async () => {
  process.on('unhandledRejection', onError);
  golden = await scenario(0, 'reset');
});
afterAll(() => {
  process.off('unhandledRejection', onError);
});

test('without faults each thing is written once', () => {
  expect(golden.writes).toBe(5);
  expect(golden.world).toMatchObject([
    { key: 'ConfigMap/owner', metadata: { finalizers: ['k.dev/in-use'] }, status: { phase: 'Ready' } },
    { key: 'Deployment/deployment', spec: { replicas: 2 } },
    { key: 'Job/job', spec: { parallelism: 1 } },
  ]);
});

const faults: [string, Fault][] = [
  ['is cut off before it is carried out', 'reset'],
  ['is carried out, but its answer is lost', 'lose'],
  ['is not answered in time', 'hang'],
  ['conflicts', { status: 409, body: status(409, 'Conflict') }],
  ['is put off with 429', { status: 429, headers: { 'retry-after': '1' }, body: status(429, 'TooManyRequests') }],
  ['fails with 500', { status: 500, body: status(500, 'InternalError') }],
];

test.each(faults)('when any one write %s, the end is the same', async (_name, fault) => {
  for (let n = 1; n <= golden.writes; n++) {
    const { world } = await scenario(n, fault);
    expect({ n, world }).toEqual({ n, world: golden.world });
  }
  expect(errors).toEqual([]);
});
