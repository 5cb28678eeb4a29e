import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { ObjectCache } from './cache.ts';
import type { KubeClient } from './client.ts';
import { createExecutor } from './execute.ts';
import type { Executor } from './execute.ts';
import { FakeApiServer, status } from './fake-api-server.ts';
import type { KubeObject, Plan, PlannedEvent } from './plan.ts';

const ownerPath = '/api/v1/namespaces/ns/configmaps/owner';
const jobPath = '/apis/batch/v1/namespaces/ns/jobs/child';
const deploymentPath = '/apis/apps/v1/namespaces/ns/deployments/child';
const event: PlannedEvent = { type: 'Normal', reason: 'Done', action: 'Do', note: 'done' };

let server: FakeApiServer;
let client: KubeClient;
let executor: Executor;
let owner: KubeObject;
let caches: Map<string, ObjectCache>;
let recorded: string[];

beforeEach(async () => {
  server = await new FakeApiServer().start();
  client = server.client();
  recorded = [];
  caches = new Map(['ConfigMap', 'Job', 'Deployment'].map((kind) => [kind, new ObjectCache({ apiVersion: '', kind })]));
  owner = server.put(ownerPath, { apiVersion: 'v1', kind: 'ConfigMap', metadata: { namespace: 'ns', name: 'owner' } });
  executor = createExecutor({
    client,
    recorder: { record: (_regarding, { reason }) => recorded.push(reason), flush: () => Promise.resolve() },
    cached: (kind, namespace, name) => caches.get(kind.kind)?.get(namespace, name),
    domain: 'k.dev',
    manager: 'k',
  });
  catchUp();
});
afterEach(async () => {
  await client.close();
  await server.stop();
});

/** The caches see what the API server holds. */
function catchUp() {
  for (const [kind, cache] of caches) cache.replace([...server.objects.values()].filter((each) => each.kind === kind));
  owner = server.objects.get(ownerPath) ?? owner;
}

const ownedBy = (uid: string | undefined) => [
  { apiVersion: 'v1', kind: 'ConfigMap', name: 'owner', uid: uid ?? '', controller: true },
];
const child = (kind: 'Job' | 'Deployment', spec: object = {}, uid = owner.metadata.uid): KubeObject => ({
  apiVersion: kind === 'Job' ? 'batch/v1' : 'apps/v1',
  kind,
  metadata: { namespace: 'ns', name: 'child', ownerReferences: ownedBy(uid) },
  spec,
});
const run = (plan: Plan) => executor.execute(owner, plan);
const sent = () => server.writes.map(({ method, path }) => `${method} ${path}`);

test('does all in order: finalizers, creates, applies, deletes, status, events', async () => {
  server.put('/api/v1/namespaces/ns/configmaps/old', {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { namespace: 'ns', name: 'old' },
  });
  const after = await run({
    requeueAfter: 5000,
    events: [event],
    status: { phase: 'Ready' },
    delete: [{ apiVersion: 'v1', kind: 'ConfigMap', namespace: 'ns', name: 'old' }],
    apply: [child('Deployment')],
    create: [child('Job')],
    finalizers: ['k.dev/in-use'],
  });
  expect(after).toBe(5000);
  expect(sent()).toEqual([
    `PATCH ${ownerPath}`,
    'POST /apis/batch/v1/namespaces/ns/jobs',
    `PATCH ${deploymentPath}`,
    'DELETE /api/v1/namespaces/ns/configmaps/old',
    `PATCH ${ownerPath}/status`,
  ]);
  expect(recorded).toEqual(['Done']);
});

test('the first failure ends it: nothing after it is done, and nothing is said', async () => {
  server.fail(({ path }) => path === deploymentPath, { status: 422, body: status(422, 'Invalid') });
  const plan = { apply: [child('Deployment')], status: { phase: 'Ready' }, events: [event] };
  await expect(run(plan)).rejects.toMatchObject({ reason: 'Invalid' });
  expect(sent()).toEqual([`PATCH ${deploymentPath}`]);
  expect(recorded).toEqual([]);
});

describe('once all is as it should be', () => {
  const plan = (): Plan => ({
    finalizers: ['k.dev/in-use'],
    apply: [child('Deployment', { replicas: 1, strategy: {} })],
    create: [child('Job')],
    status: { phase: 'Ready', conditions: [{ type: 'Ready' }], nothing: undefined },
  });

  test('nothing is written any more', async () => {
    await run(plan());
    catchUp();
    server.requests.length = 0;
    await run(plan());
    expect(server.requests).toEqual([]);
  });

  test('nor while the cache has not caught up, but for what only a live read can tell', async () => {
    const before = owner;
    await run({ apply: [child('Deployment')], status: { phase: 'Ready' } });
    const seen = server.objects.get(deploymentPath);
    // The cache sees an older version of the child than the one we made.
    caches.get('Deployment')?.replace([
      {
        ...child('Deployment'),
        metadata: { ...child('Deployment').metadata, uid: seen?.metadata.uid ?? '', resourceVersion: '1' },
      },
    ]);
    server.requests.length = 0;
    await executor.execute(before, { apply: [child('Deployment')], status: { phase: 'Ready' } });
    expect(server.requests).toEqual([]);
  });
});

describe('apply', () => {
  test('mends what somebody else changed', async () => {
    await run({ apply: [child('Deployment', { replicas: 1 })] });
    server.put(deploymentPath, { ...(server.objects.get(deploymentPath) as KubeObject), spec: { replicas: 9 } });
    catchUp();
    await run({ apply: [child('Deployment', { replicas: 1 })] });
    expect(server.objects.get(deploymentPath)?.spec).toEqual({ replicas: 1 });
    expect(server.writes.at(-1)?.query).toMatchObject({ fieldManager: 'k', force: 'true' });
  });

  test('sends what has lost a field, so that the API server takes the field away', async () => {
    await run({ apply: [child('Deployment', { replicas: 1, paused: true })] });
    catchUp();
    server.requests.length = 0;
    await run({ apply: [child('Deployment', { replicas: 1 })] });
    expect(sent()).toEqual([`PATCH ${deploymentPath}`]);
  });

  test('does not send again what the API server stores in another form', async () => {
    const odd = child('Deployment', { duration: '60s' });
    await run({ apply: [odd] });
    const live = server.objects.get(deploymentPath) as KubeObject;
    caches.get('Deployment')?.replace([{ ...live, spec: { duration: '1m0s' } }]);
    server.requests.length = 0;
    await run({ apply: [odd] });
    expect(sent()).toEqual([]);
  });

  test.each([
    ['of another owner', 'somebody-else'],
    ['without an owner', undefined],
  ])('refuses to take over a namesake %s', async (_name, uid) => {
    const theirs = child('Deployment', { replicas: 3 }, uid ?? '');
    if (uid === undefined) delete theirs.metadata.ownerReferences;
    server.put(deploymentPath, theirs);
    catchUp();
    await expect(run({ apply: [child('Deployment')] })).rejects.toMatchObject({ reason: 'ForeignObject' });
    expect(sent()).toEqual([]);
  });

  test('leaves alone what is on its way out', async () => {
    const metadata = { ...child('Deployment').metadata, deletionTimestamp: '2026-01-01T00:00:00Z' };
    server.put(deploymentPath, { ...child('Deployment'), metadata });
    catchUp();
    await run({ apply: [child('Deployment', { replicas: 1 })] });
    expect(sent()).toEqual([]);
  });
});

describe('create', () => {
  test('a Job that is already there and ours is fine, although the cache does not know it yet', async () => {
    server.put(jobPath, child('Job'));
    await run({ create: [child('Job')] });
    expect(server.objects.size).toBe(2);
  });

  test('a namesake of another owner is an error that says what to do', async () => {
    server.put(jobPath, child('Job', {}, 'another'));
    await expect(run({ create: [child('Job')] })).rejects.toMatchObject({
      reason: 'ForeignObject',
      message: expect.stringContaining('rename or delete'),
    });
  });

  test('is not sent twice when its answer was lost', async () => {
    server.fail(({ method }) => method === 'POST', 'lose');
    await expect(run({ create: [child('Job')] })).rejects.toMatchObject({ reason: 'NetworkError' });
    await run({ create: [child('Job')] });
    expect(server.writes.filter(({ path }) => path.endsWith('/jobs'))).toHaveLength(2);
    expect(server.objects.has(jobPath)).toBe(true);
  });
});

describe('delete', () => {
  const ref = { apiVersion: 'batch/v1', kind: 'Job', namespace: 'ns', name: 'child' };

  test('what is not there is fine', async () => {
    await run({ delete: [ref] });
  });

  test('a namesake that came later stays', async () => {
    server.put(jobPath, child('Job'));
    await run({ delete: [{ ...ref, uid: 'the-one-before' }] });
    expect(server.objects.has(jobPath)).toBe(true);
  });

  test('is sent with the UID, and lets the API server clean up behind', async () => {
    const job = server.put(jobPath, child('Job'));
    await run({ delete: [{ ...ref, uid: job.metadata.uid ?? '' }] });
    expect(server.writes[0]?.body).toMatchObject({
      preconditions: { uid: job.metadata.uid },
      propagationPolicy: 'Background',
    });
    expect(server.objects.has(jobPath)).toBe(false);
  });

  test('is not repeated while the object is on its way out', async () => {
    server.put(jobPath, {
      ...child('Job'),
      metadata: { ...child('Job').metadata, deletionTimestamp: '2026-01-01T00:00:00Z' },
    });
    catchUp();
    await run({ delete: [ref] });
    expect(sent()).toEqual([]);
  });
});

describe('status', () => {
  test('is applied under a field manager of its own, to this very object', async () => {
    await run({ status: { phase: 'Ready' } });
    expect(server.writes[0]).toMatchObject({
      path: `${ownerPath}/status`,
      query: { fieldManager: 'k-status', force: 'true' },
      body: { metadata: { uid: owner.metadata.uid }, status: { phase: 'Ready' } },
    });
  });

  test('of an object that has gone is dropped', async () => {
    server.remove(ownerPath);
    await run({ status: { phase: 'Ready' } });
    expect(sent()).toHaveLength(1);
  });

  test('of a namesake that came later is not touched', async () => {
    caches.get('ConfigMap')?.replace([{ ...owner, metadata: { ...owner.metadata, uid: 'new' } }]);
    await run({ status: { phase: 'Ready' } });
    expect(sent()).toEqual([]);
  });
});

describe('finalizers', () => {
  test('are written on condition that nobody else wrote in between', async () => {
    server.put(ownerPath, { ...owner, metadata: { ...owner.metadata, finalizers: ['x.dev/theirs'] } });
    await expect(run({ finalizers: ['k.dev/mine'] })).rejects.toMatchObject({ reason: 'Conflict' });
    catchUp();
    await run({ finalizers: ['k.dev/mine'] });
    expect(server.objects.get(ownerPath)?.metadata.finalizers).toEqual(['x.dev/theirs', 'k.dev/mine']);
  });

  test('ours are removed, those of others stay', async () => {
    owner = server.put(ownerPath, { ...owner, metadata: { ...owner.metadata, finalizers: ['x.dev/a', 'k.dev/b'] } });
    await run({ finalizers: [] });
    expect(server.objects.get(ownerPath)?.metadata.finalizers).toEqual(['x.dev/a']);
  });
});
