import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { createHmac, randomUUID } from 'node:crypto';
import { eventually, field, KADRE, startMs } from '../operator/bed.ts';
import { startTriggerBed, triggersIn, type TriggerBed } from './bed.ts';

const SECRET = 'whsec-for-tests';
let bed: TriggerBed;
let servers: { url: string; stop: () => Promise<void> }[];
let ours: ReturnType<typeof triggersIn>;
let namespace: string;
let count = 0;

beforeAll(async () => {
  bed = await startTriggerBed();
  await bed.startOperator();
  servers = [await bed.startServer(), await bed.startServer()];
}, startMs);
afterAll(() => bed.stop());
beforeEach(async () => {
  bed.resetClock();
  namespace = await bed.namespace(`webhooks-${++count}`);
  ours = triggersIn(bed, namespace);
  await bed.apply({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 'hook', namespace },
    stringData: { secret: SECRET },
  });
});

const github = (more: object = {}, start: object = { workflow: { name: 'triage' }, input: '$(body)' }) => ({
  webhook: {
    auth: {
      hmac: { secretRef: { name: 'hook', key: 'secret' }, header: 'X-Hub-Signature-256', prefix: 'sha256=' },
    },
    idempotencyKey: "$(headers['x-github-delivery'])",
    ...more,
  },
  start,
});

async function send(body: string, delivery: string, server = servers[0], secret = SECRET) {
  const response = await fetch(`${server?.url ?? ''}/v1/namespaces/${namespace}/triggers/t`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      'x-github-delivery': delivery,
      'x-hub-signature-256': `sha256=${createHmac('sha256', secret).update(body).digest('hex')}`,
    },
    body,
  });
  const answer = (await response.json()) as { outcome?: string; run?: { name: string }; error?: { message: string } };
  return { status: response.status, ...answer };
}

/** Once the servers have heard of the Trigger, and it lets the sender in. */
const admitted = (delivery: string = randomUUID()) =>
  eventually('the Trigger known to both servers', async () => {
    const answers = await Promise.all(servers.map((server) => send('{"probe":1}', delivery, server)));
    return answers.every(({ status }) => status !== 401) && answers;
  });

describe('a delivery', () => {
  test('that reaches two replicas at once starts one Run, and both tell its name', async () => {
    await ours.apply(github());
    const answers = await admitted();
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 202]);
    const many = await Promise.all(Array.from({ length: 20 }, (_, i) => send('{"n":1}', 'same', servers[i % 2])));
    expect(many.filter(({ status }) => status === 202)).toHaveLength(1);
    expect(new Set(many.map(({ run }) => run?.name)).size).toBe(1);
    await ours.count(2);
  });

  test('is known to a server that was started anew', async () => {
    await ours.apply(github());
    await admitted();
    const first = await send('{"n":1}', 'again');
    await servers[0]?.stop();
    servers[0] = await bed.startServer();
    expect(await send('{"n":1}', 'again')).toMatchObject({ status: 200, run: first.run });
  });

  test('shows in the status of its Trigger, with the address that it goes to', async () => {
    await ours.apply(github());
    await admitted();
    const status = await eventually('the Run in the status', async () => {
      const now = await ours.status();
      return now?.lastRun && now;
    });
    expect(status).toMatchObject({
      cause: 'Webhook',
      active: 1,
      url: `http://kadre-server.kadre-system.svc/v1/namespaces/${namespace}/triggers/t`,
    });
  });

  test('from a stranger starts nothing', async () => {
    await ours.apply(github());
    await admitted();
    expect(await send('{}', 'x', servers[0], 'guess')).toMatchObject({ status: 401 });
    await ours.count(1);
  });

  test('that the API server refuses is told why', async () => {
    await ours.apply(github({}, { workflow: { name: 'triage' }, limits: { steps: 1 }, input: '$(body.probe)' }));
    await admitted();
    expect(await send('{"other":1}', 'x')).toMatchObject({
      status: 422,
      error: { message: expect.stringMatching(/spec\.start\.input: there is no field 'probe'/) },
    });
  });

  test('does not take the place of a Run that somebody else made', async () => {
    await ours.apply(github());
    await admitted();
    const { run } = await send('{}', 'mine');
    const name = run?.name ?? '';
    await bed.client.delete(ours.run(name));
    await bed.apply({
      apiVersion: KADRE,
      kind: 'Run',
      metadata: { name, namespace },
      spec: { workflow: { name: 'other' } },
    });
    expect(await send('{}', 'mine')).toMatchObject({ status: 422, error: { message: expect.stringContaining(name) } });
  });

  test('publishes an event once', async () => {
    await ours.apply(github({}, { event: { name: 'deployed', payload: '$(body)' } }));
    const answers = await admitted();
    expect(answers.map(({ outcome }) => outcome).sort()).toEqual(['AlreadyPublished', 'Published']);
    expect(await bed.store.publishedEvents(namespace, 'deployed', 0)).toMatchObject([{ payload: { probe: 1 } }]);
  });
});

test('finished Runs are kept as long as a delivery is remembered, and go then', async () => {
  const keepNone = { historyLimit: { successful: 0, failed: 0 } };
  await ours.apply({ ...github({ remember: '2h' }), ...keepNone });
  await admitted('first');
  const [run] = await ours.count(1);
  if (run) await ours.end(run, 'Succeeded');
  await eventually('the end in the status', async () => (await ours.status())?.lastRun?.phase === 'Succeeded');
  bed.forward(1.9 * 3_600_000);
  await ours.settled();
  expect(await send('{"probe":1}', 'first')).toMatchObject({ status: 200 });
  bed.forward(0.2 * 3_600_000);
  await ours.poke();
  await ours.count(0);
});

test('a Trigger whose Secret is missing says so, and lets in whoever has it once it is there', async () => {
  await bed.client.delete({ apiVersion: 'v1', kind: 'Secret', name: 'hook', namespace });
  await ours.apply(github());
  expect((await ours.ready('SecretNotFound')).message).toMatch(/Secret hook/);
  await bed.apply({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 'hook', namespace },
    stringData: { secret: SECRET },
  });
  bed.forward(60_000);
  await admitted();
});

describe('whoever makes a Trigger', () => {
  const role = (name: string, rules: object[]) => ({
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'Role',
    metadata: { name, namespace },
    rules,
  });
  const binding = (name: string, user: string) => ({
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'RoleBinding',
    metadata: { name, namespace },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name },
    subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: user }],
  });
  const can = async (user: string, name: string, rule: object): Promise<void> => {
    await bed.apply(role(name, [rule]));
    await bed.apply(binding(name, user));
  };
  const triggers = { apiGroups: ['kadre.dev'], resources: ['triggers'], verbs: ['create', 'get', 'patch', 'update'] };
  const runs = { apiGroups: ['kadre.dev'], resources: ['runs'], verbs: ['create'] };
  const secret = { apiGroups: [''], resources: ['secrets'], resourceNames: ['hook'], verbs: ['use'] };
  const maps = { apiGroups: [''], resources: ['configmaps'], verbs: ['list', 'watch'] };
  const policies = { apiGroups: ['networking.k8s.io'], resources: ['networkpolicies'], verbs: ['list', 'watch'] };
  const tick = { schedule: { cron: '0 6 * * *' }, start: { workflow: { name: 'w' } } };
  const watching = (apiVersion: string, kind: string, resource?: string) => ({
    watch: { apiVersion, kind, changes: ['Added'], ...(resource !== undefined && { resource }) },
    start: { workflow: { name: 'w' } },
  });

  test.each<[string, object, object, RegExp]>([
    ['may create runs', tick, runs, /you may not create runs in this namespace/],
    ['may use the Secret', github(), secret, /you may neither get nor use Secret hook/],
    ['may see the objects', watching('v1', 'ConfigMap'), maps, /you may not list and watch configmaps/],
    [
      'may see the objects, whose plural ends in ies',
      watching('networking.k8s.io/v1', 'NetworkPolicy'),
      policies,
      /you may not list and watch networkpolicies/,
    ],
  ])('%s', async (_what, spec, right, refusal) => {
    const user = `dora-${count}`;
    await can(user, 'triggers', triggers);
    if (right !== runs) await can(user, 'runs', runs);
    const manifest = JSON.stringify({ apiVersion: KADRE, kind: 'Trigger', metadata: { name: 't', namespace }, spec });
    const create = () => bed.kubectl(['create', '--dry-run=server', '-f', '-'], manifest, user);
    await eventually('the policy at work', () =>
      create().then(
        () => false,
        (error: unknown) => refusal.test(String(error)) || Promise.reject(error as Error),
      ),
    );
    await can(user, 'missing', right);
    await eventually('the right at work', () => create().then(() => true));
  });

  test('cannot see what another right is for by calling it so', async () => {
    const user = `mallory-${count}`;
    for (const [name, rule] of Object.entries({ triggers, runs, maps })) await can(user, name, rule);
    const spec = watching('v1', 'Pod', 'configmaps');
    const manifest = JSON.stringify({ apiVersion: KADRE, kind: 'Trigger', metadata: { name: 't', namespace }, spec });
    await eventually('the right at work', () => bed.kubectl(['create', '-f', '-'], manifest, user).then(() => true));
    await ours.ready('ResourceMismatch');
  });
});

test('a Run says for which delivery it is, and nothing of what proved it', async () => {
  await ours.apply(github({}, { workflow: { name: 'triage' }, input: { body: '$(body)', headers: '$(headers)' } }));
  await admitted('d-42');
  const [run] = await ours.count(1);
  expect(run?.metadata.annotations?.['kadre.dev/cause']).toBe('delivery d-42');
  expect(JSON.stringify(field(run, 'spec'))).not.toMatch(/sha256=|x-hub-signature/);
});
