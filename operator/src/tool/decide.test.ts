import { describe, expect, test } from '@jest/globals';
import { labels, type Tool, type ToolSpec, type ToolStatus } from '@kadre/crds';
import { ToolError, type Described } from '@kadre/tools';
import { APPLIED_ANNOTATION } from '../build/metadata.ts';
import { violations } from '../build/restricted.ts';
import { judged, settings, tool } from '../build/samples.ts';
import type { DeploymentSpec, PodSpec } from '../build/wire.ts';
import { withAppliedHash } from '../kube/apply.ts';
import type { KubeObject } from '../kube/plan.ts';
import { decideServer, serverChildren } from './server.ts';
import { FakeClock, settle } from '../kube/fake-clock.ts';
import { decideTool } from './decide.ts';
import { observeTool, type Observer } from './observe.ts';
import { dueAt, type Look, type ServerParts } from './snapshot.ts';

const usual = { trust: 'untrusted' as const, consequential: false };
const keyed = {
  mcp: { url: 'http://search.tools.svc/mcp', auth: { scheme: 'bearer', secretRef: { name: 's', key: 'k' } } },
};
const mcp = (more: object = {}) => tool({ ...keyed, ...usual, ...more } as ToolSpec);
const calculator = (more: object = {}) => tool({ builtin: { calculator: {} }, ...usual, ...more });
const openapi = tool({ openapi: { document: '{' }, ...usual });
const ruled = (...rules: string[]) => ({ policy: { rules: rules.map((rule) => ({ rule })) } });

const operation = (name: string, description = `Does ${name}.`) => ({ name, description, inputSchema: {} });
const two: Described = { server: 'files 1.2', operations: [operation('write_file'), operation('read_file')] };
const failing =
  (fault: ToolError['fault'], message: string, retry = false) =>
  () =>
    Promise.reject(new ToolError(fault, message, { retry }));

const none: ServerParts = { children: [], pods: [], foreign: [] };

interface World {
  secret?: Record<string, string>;
  describe?: Observer['describe'];
  clock?: FakeClock;
}

function observe(subject: Tool, world: World, before?: Look, signal = new AbortController().signal) {
  const { secret = 'secret' in world ? undefined : { k: 'token' }, clock = new FakeClock() } = world;
  const describe = world.describe ?? (() => Promise.resolve(two));
  const observer = { describe, readSecret: () => Promise.resolve(secret), clock, server: none, isDown: false };
  return observeTool(subject, before, observer, signal);
}

async function decide(subject: Tool, world: World = {}) {
  const plan = decideTool(await observe(subject, world), { settings, now: new Date(0) });
  const status = plan.status as ToolStatus;
  const holding = status.conditions?.find(({ type, status: held }) => type !== 'Ready' && held === 'True');
  return { ...plan, status, state: holding?.type, ready: status.conditions?.find(({ type }) => type === 'Ready') };
}

describe('a Tool is ready', () => {
  test('and says what agents can call, in an order that stays', async () => {
    const { status, ready } = await decide(mcp());
    expect(ready).toMatchObject({ status: 'True', message: 'Agents can call 2 of 2 operations.' });
    expect(status).toMatchObject({ server: 'files 1.2', checkedAt: new Date(new FakeClock().now()).toISOString() });
    expect(status.operations).toEqual([
      { name: 'read_file', description: 'Does read_file.' },
      { name: 'write_file', description: 'Does write_file.' },
    ]);
  });

  test('with the operations that are allowed, and names what nothing fits', async () => {
    const { status, ready } = await decide(mcp({ allow: ['read_*', 'delte_file'] }));
    expect(status.operations?.map(({ name }) => name)).toEqual(['read_file']);
    expect(ready?.message).toBe('Agents can call 1 of 2 operations. In spec.allow, nothing fits delte_file.');
  });

  test('without a server, which was then never asked', async () => {
    const { status, ready } = await decide(calculator(ruled('size(args) > 0')), {
      describe: () => Promise.resolve({ operations: [{ description: 'Computes.', inputSchema: {} }] }),
    });
    expect(ready).toMatchObject({ status: 'True', message: 'Agents can call it.' });
    expect(status).not.toHaveProperty('checkedAt');
    expect(status).not.toHaveProperty('operations');
  });

  test('though a server says more than a status holds, and in halves of characters', async () => {
    const many = Array.from({ length: 300 }, (_, index) => operation(`op_${index}`, `${'x'.repeat(255)}😀`));
    const { status } = await decide(mcp(), {
      describe: () =>
        Promise.resolve({
          server: 'y'.repeat(500),
          operations: [...many, operation('z'.repeat(300))],
          leftOut: many.map(({ name }) => `${name}: its schema is none`),
        }),
    });
    expect(status.operations).toHaveLength(256);
    expect(status.operations?.[0]?.description?.isWellFormed()).toBe(true);
    expect(status.server).toHaveLength(253);
  });
});

describe('a Tool is not ready, and says how to mend it', () => {
  test.each<[string, Tool, World, string | undefined, string, RegExp]>([
    [
      'without its Secret',
      mcp(),
      { secret: undefined as never },
      'Stalled',
      'SecretNotFound',
      /no Secret s in .* key k/,
    ],
    [
      'without the key in it',
      mcp(),
      { secret: { other: 'x' } },
      'Stalled',
      'SecretNotFound',
      /nothing under the key k/,
    ],
    [
      'with a rule that is none',
      calculator(ruled('true', 'arg.x')),
      {},
      'Stalled',
      'InvalidPolicy',
      /rules\[1\]\.rule: Unk/,
    ],
    [
      'with a rule about approval that is none',
      calculator({ approval: { when: 'arg.x' } }),
      {},
      'Stalled',
      'InvalidPolicy',
      /spec\.approval\.when: Unk/,
    ],
    [
      'when its server is gone',
      mcp(),
      { describe: failing('unreachable', 'It cannot be reached.') },
      'Reconciling',
      'Unreachable',
      /network policy/,
    ],
    [
      'when its server takes no key',
      mcp(),
      { describe: failing('unauthorized', 'Set another.') },
      'Stalled',
      'Unauthorized',
      /Set another/,
    ],
    [
      'when its server has a bad time',
      mcp(),
      { describe: failing('status', 'The server fails (HTTP 503).', true) },
      'Reconciling',
      'ServerFailed',
      /asked again/,
    ],
    ['at an address that is refused', mcp(), { describe: failing('refused', 'Never.') }, 'Stalled', 'Refused', /Never/],
    [
      'with a document that is none',
      openapi,
      { describe: failing('misconfigured', 'No YAML.') },
      'Stalled',
      'InvalidDocument',
      /No YAML/,
    ],
    [
      'when there is nothing to call',
      mcp(),
      { describe: () => Promise.resolve({ operations: [], leftOut: ['a: too odd'] }) },
      'Stalled',
      'NoOperations',
      /a: too odd/,
    ],
    [
      'when nothing of it is allowed',
      mcp({ allow: ['send_*'] }),
      {},
      'Stalled',
      'NoOperations',
      /There are: read_file, write_file/,
    ],
  ])('%s', async (_, subject, world, state, reason, message) => {
    const plan = await decide(subject, world);
    expect([plan.state, plan.ready]).toEqual([state, expect.objectContaining({ status: 'False', reason })]);
    expect(plan.ready?.message).toMatch(message);
  });

  test('and raises one event about it, not one each time', async () => {
    const world = { describe: failing('refused', 'Never.') };
    expect((await decide(mcp(), world)).events).toHaveLength(1);
    expect((await decide({ ...mcp(), status: judged(false, 'Refused') }, world)).events).toBeUndefined();
  });

  test('and looks again soon for a missing Secret, which it may not watch', async () => {
    expect((await decide(mcp(), { secret: {} })).requeueAfter).toBe(30_000);
  });
});

describe('the server of a Tool is asked', () => {
  const asked = (world: World & { answers: (() => Promise<Described>)[] }) => {
    const describe = () => (world.answers.shift() ?? (() => Promise.reject(new Error('asked once too often'))))();
    return { ...world, describe };
  };
  const yes = () => Promise.resolve(two);
  const no = failing('unreachable', 'Gone.', true);
  const hanging: Observer['describe'] = (_tool, _secret, signal) =>
    new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)));

  test('no more than once until it is due, whatever makes the operator look', async () => {
    const clock = new FakeClock();
    const world = asked({ clock, answers: [yes, yes] });
    const first = await observe(mcp(), world);
    const second = await observe(mcp(), world, first.look);
    expect(second.look).toBe(first.look);
    await clock.advance(dueAt(first.look as Look) - clock.now());
    expect((await observe(mcp(), world, first.look)).look).toMatchObject({ at: clock.now(), failures: 0 });
  });

  test('at once when the Tool has changed, or was made anew', async () => {
    const world = asked({ answers: [yes, yes, yes] });
    const { look } = await observe(mcp(), world);
    const changed = { ...mcp(), metadata: { ...mcp().metadata, generation: 2 } };
    expect((await observe(changed, world, look)).look).toMatchObject({ generation: 2 });
    const namesake = { ...mcp(), metadata: { ...mcp().metadata, uid: 'other' } };
    expect((await observe(namesake, world, look)).look).toMatchObject({ uid: 'other' });
  });

  test('soon after it failed, then ever later, and what it could do is kept in mind meanwhile', async () => {
    const clock = new FakeClock();
    const world = asked({ clock, answers: [yes, no, no, no, no, no, no, yes] });
    const waits: number[] = [];
    let look: Look | undefined;
    for (let turn = 0; turn < 8; turn += 1) {
      ({ look } = await observe(mcp(), world, look));
      waits.push((dueAt(look as Look) - clock.now()) / 1000);
      expect(look?.described).toBe(two);
      await clock.advance(dueAt(look as Look) - clock.now());
    }
    expect(waits).toEqual([300, 15, 30, 60, 120, 240, 300, 300]);
  });

  test('for no longer than anybody should need to say what they can do', async () => {
    const clock = new FakeClock();
    const pending = observe(mcp(), { clock, describe: hanging });
    await settle();
    await clock.advance(15_000);
    expect((await pending).look?.error).toMatchObject({ fault: 'timeout', message: expect.stringContaining('15s') });
  });

  test('and if the operator stops meanwhile, nothing is learned', async () => {
    const stop = new AbortController();
    const pending = observe(mcp(), { describe: hanging }, undefined, stop.signal);
    await settle();
    stop.abort(new Error('stopped'));
    await expect(pending).rejects.toThrow('stopped');
  });

  test('never, if it needs nobody to say what there is', async () => {
    const clock = new FakeClock();
    const { look } = await observe(calculator(), { clock });
    await clock.advance(86_400_000);
    expect((await observe(calculator(), asked({ clock, answers: [] }), look)).look).toBe(look);
  });

  test('with the key that the Secret holds', async () => {
    const shown: string[] = [];
    const world: World = { describe: async (_tool, secret) => (shown.push(await secret('s', 'k')), two) };
    await observe(mcp(), world);
    expect(shown).toEqual(['token']);
  });
});

describe('a Tool whose server Kadre runs', () => {
  const image = (more: object = {}) =>
    tool({ mcp: { server: { image: 'crm:1', port: 8080, path: '/mcp', replicas: 1, ...more } }, ...usual });
  const children = (subject: Tool, available: number): KubeObject[] =>
    serverChildren(subject, settings).map((child) => ({
      ...withAppliedHash(child, APPLIED_ANNOTATION),
      ...(child.kind === 'Deployment' && {
        status: { replicas: 1, updatedReplicas: 1, availableReplicas: available, observedGeneration: 1 },
      }),
    }));
  const look = async (subject: Tool, parts: Partial<ServerParts>) => {
    const server = { ...none, ...parts };
    const isDown = decideServer(subject, server, settings).health !== undefined;
    let asked = 0;
    const describe = () => Promise.resolve((asked++, two));
    const readSecret = () => Promise.resolve(undefined);
    const observer = { describe, readSecret, clock: new FakeClock(), server, isDown };
    const snapshot = await observeTool(subject, undefined, observer, new AbortController().signal);
    const plan = decideTool(snapshot, { settings, now: new Date(0) });
    const ready = (plan.status as ToolStatus).conditions?.find(({ type }) => type === 'Ready');
    return { plan, ready, asked };
  };

  test('gets pods that fit restricted Pod Security, a Service, and a wall with the ways out that it names', async () => {
    const egress = [{ cidr: '203.0.113.0/24', except: ['203.0.113.7/32'], ports: [443] }];
    const { plan, ready, asked } = await look(image({ args: ['--name', '$(X)'], egress, port: 9000 }), {});
    const [policy, service, deployment] = plan.apply ?? [];
    const pod = (deployment?.['spec'] as DeploymentSpec).template.spec as PodSpec;
    expect(violations(pod)).toEqual([]);
    expect(pod.volumes?.map(({ name }) => name)).toEqual(['tmp']);
    expect(pod.containers[0]).toMatchObject({ args: ['--name', '$$(X)'], ports: [{ containerPort: 9000 }] });
    expect(service).toMatchObject({
      metadata: { name: 'tool-search' },
      spec: { ports: [{ port: 80, targetPort: 'mcp' }] },
    });
    expect(policy).toMatchObject({
      spec: {
        policyTypes: ['Ingress', 'Egress'],
        ingress: [{ ports: [{ port: 9000 }], from: [{ podSelector: { matchLabels: { [labels.name]: 'kadre' } } }] }],
        egress: [
          { to: [{ namespaceSelector: {} }, {}] },
          { ports: [{ port: 443 }], to: [{ ipBlock: { cidr: '203.0.113.0/24', except: ['203.0.113.7/32'] } }] },
        ],
      },
    });
    expect(ready).toMatchObject({ status: 'False', reason: 'Applying' });
    expect(asked).toBe(0);
  });

  test('is asked what it can do once its pods are there, and not before', async () => {
    const subject = image();
    expect(await look(subject, { children: children(subject, 0) })).toMatchObject({
      asked: 0,
      ready: { status: 'False', reason: 'RollingOut' },
    });
    expect(await look(subject, { children: children(subject, 1) })).toMatchObject({
      asked: 1,
      ready: { status: 'True' },
    });
  });

  test('touches nothing of a namesake, and says whose name it is', async () => {
    const { plan, ready } = await look(image(), { foreign: ['Service/tool-search'] });
    expect(plan.apply?.map(({ kind }) => kind)).toEqual(['NetworkPolicy', 'Deployment']);
    expect(ready).toMatchObject({ reason: 'NameConflict', message: expect.stringContaining('Service/tool-search') });
    expect(plan.requeueAfter).toBeGreaterThan(0);
  });

  test('loses its server when its spec names a URL instead', async () => {
    const { plan } = await look(mcp(), { children: children(image(), 1) });
    expect(plan.delete?.map(({ kind }) => kind).sort()).toEqual(['Deployment', 'NetworkPolicy', 'Service']);
  });
});
