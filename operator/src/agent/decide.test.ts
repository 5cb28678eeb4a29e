import { describe, expect, test } from '@jest/globals';
import type { Agent, AgentStatus, Tool, ToolStatus } from '@kadre/crds';
import fc from 'fast-check';
import { agent, judged, model, pool, serving, settings, tool } from '../build/samples.ts';
import { APPLIED_ANNOTATION } from '../build/metadata.ts';
import { violations } from '../build/restricted.ts';
import { isApplied, withAppliedHash } from '../kube/apply.ts';
import { decideAgent } from './decide.ts';
import type { AgentSnapshot } from './observe.ts';
import type { Deployment, DeploymentSpec, Pod } from '../build/wire.ts';
import type { KubeObject } from '../kube/plan.ts';

const now = new Date('2026-01-01T12:00:00.000Z');

const snapshot = (subject: Agent, more: Partial<AgentSnapshot> = {}): AgentSnapshot => ({
  agent: subject,
  settings,
  model: model(),
  tools: [],
  knowledge: [],
  others: [],
  accountMissing: false,
  children: [],
  foreign: [],
  pods: [],
  routes: true,
  ...more,
});

/** The children as the API server holds them once all is applied. */
const applied = (before: AgentSnapshot): KubeObject[] =>
  (decideAgent(before, now).apply ?? []).map((child) => {
    const live = withAppliedHash(child, APPLIED_ANNOTATION);
    return { ...live, metadata: { ...live.metadata, uid: `uid-${child.kind}`, generation: 1 } };
  });

/** The same agent with all children applied, and a Deployment of the given status. */
function settled(
  before: AgentSnapshot,
  status: Deployment['status'] = available(1),
  more: Partial<AgentSnapshot> = {},
) {
  const children = applied(before).map((child) => (child.kind === 'Deployment' ? { ...child, status } : child));
  return { ...before, children, ...more };
}

const available = (count: number): Deployment['status'] => ({
  observedGeneration: 1,
  replicas: count,
  updatedReplicas: count,
  readyReplicas: count,
  availableReplicas: count,
});

/** An agent that may use the Tool search. */
const granted = (tools: Tool[], allow?: string[]) =>
  settled(snapshot(agent({ serving: serving(), tools: [{ name: 'search', ...(allow && { allow }) }] }), { tools }));
const found = (status: ToolStatus, ready = true): Tool => ({
  ...tool({ mcp: { url: 'http://search.tools.svc/mcp' }, trust: 'untrusted', consequential: false }),
  status: { ...judged(ready), ...status },
});

const statusOf = (subject: AgentSnapshot) => decideAgent(subject, now).status as AgentStatus;

function health(subject: AgentSnapshot): [state: string, reason: string | undefined] {
  const conditions = statusOf(subject).conditions ?? [];
  const holding = conditions.find(
    ({ type, status }) => ['Ready', 'Reconciling', 'Stalled'].includes(type) && status === 'True',
  );
  return [holding?.type ?? 'none', holding?.reason];
}

const pod = (status: Pod['status']): Pod => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'p' },
  ...(status && { status }),
});
const waiting = (reason: string, message?: string): Pod =>
  pod({
    containerStatuses: [
      {
        name: 'agent',
        image: 'kadre-runtime:1',
        state: { waiting: { reason, ...(message !== undefined && { message }) } },
      },
    ],
  });
const none = { observedGeneration: 1, replicas: 1, updatedReplicas: 1, availableReplicas: 0 };
const late = { ...none, conditions: [{ type: 'Progressing', status: 'False', reason: 'ProgressDeadlineExceeded' }] };

const served = snapshot(agent({ serving: serving() }));
const exposed = snapshot(
  agent({ serving: serving({ expose: { host: 'a.example.com', path: '/', gateway: { name: 'public' } } }) }),
);

function routed(conditions: { type: string; status: string; reason?: string; message?: string }[]): AgentSnapshot {
  const base = settled(exposed);
  const parents = [{ parentRef: { name: 'public' }, conditions }];
  const children = base.children.map((child) =>
    child.kind === 'HTTPRoute' ? { ...child, status: { parents } } : child,
  );
  return { ...base, children };
}

describe('what an agent says of itself', () => {
  const unmodelled = settled(served);
  delete unmodelled.model;
  test.each<[string, AgentSnapshot, string, string]>([
    ['all pods of this generation answer', settled(served), 'Ready', 'Available'],
    ['nothing is made yet', served, 'Reconciling', 'Applying'],
    [
      'the Deployment has not been looked at yet',
      settled(served, { ...available(1), observedGeneration: 0 }),
      'Reconciling',
      'RollingOut',
    ],
    [
      'a pod of the old generation is still there',
      settled(served, { ...available(1), replicas: 2 }),
      'Reconciling',
      'RollingOut',
    ],
    [
      'its image can not be pulled',
      settled(served, none, { pods: [waiting('ErrImagePull')] }),
      'Reconciling',
      'ImagePullBackOff',
    ],
    [
      'its container keeps ending',
      settled(served, none, { pods: [waiting('CrashLoopBackOff')] }),
      'Reconciling',
      'CrashLoopBackOff',
    ],
    [
      'and the rollout has run out of time',
      settled(served, late, { pods: [waiting('CrashLoopBackOff')] }),
      'Stalled',
      'CrashLoopBackOff',
    ],
    [
      'an old pod has trouble, but the new ones answer',
      settled(served, available(1), { pods: [waiting('CrashLoopBackOff')] }),
      'Ready',
      'Available',
    ],
    [
      'a quota keeps pods away',
      settled(served, { ...none, conditions: [{ type: 'ReplicaFailure', status: 'True', message: 'exceeded quota' }] }),
      'Reconciling',
      'PodsRefused',
    ],
    ['its steps run in Jobs', settled(snapshot(agent())), 'Ready', 'RunsInJobs'],
    ['it is paused', settled(snapshot(agent({ serving: serving({ replicas: 0 }) })), available(0)), 'Ready', 'Paused'],
    ['its Model is not there', unmodelled, 'Stalled', 'ModelNotFound'],
    [
      'its Model is broken',
      settled(served, available(1), { model: { ...model(), status: judged(false, 'SecretNotFound') } }),
      'Stalled',
      'SecretNotFound',
    ],
    [
      'its Model was changed a moment ago',
      settled(served, available(1), { model: { ...model(), status: {} } }),
      'Reconciling',
      'ModelPending',
    ],
    ['one of its Tools is not there', granted([]), 'Stalled', 'ToolNotFound'],
    ['one of its Tools fails, which it can do without', granted([found({}, false)]), 'Ready', 'Available'],
    [
      'its instructions fit in no variable',
      snapshot(agent({ instructions: '€'.repeat(50_000) })),
      'Stalled',
      'SpecTooLarge',
    ],
    ['the cluster has no Gateway API', { ...settled(exposed), routes: false }, 'Stalled', 'GatewayApiMissing'],
    ['no Gateway has looked at its route', settled(exposed), 'Reconciling', 'RouteNotAccepted'],
    [
      'the Gateway refuses its route',
      routed([{ type: 'Accepted', status: 'False', reason: 'NoMatchingListenerHostname' }]),
      'Stalled',
      'NoMatchingListenerHostname',
    ],
    [
      'the Gateway accepts its route',
      routed([
        { type: 'Accepted', status: 'True' },
        { type: 'ResolvedRefs', status: 'True' },
      ]),
      'Ready',
      'Available',
    ],
  ])('%s', (_, subject, state, reason) => {
    expect(health(subject)).toEqual([state, reason]);
  });

  test('events come with news, and not without', () => {
    const first = settled(served);
    expect(decideAgent(first, now).events).toMatchObject([{ type: 'Normal', reason: 'Available' }]);
    const known = { ...first, agent: { ...first.agent, status: statusOf(first) } };
    expect(decideAgent(known, now).events).toBeUndefined();
  });

  test('a condition that is no longer spoken of is gone', () => {
    const { agent: subject } = routed([]);
    const hidden = { ...subject, spec: { ...subject.spec, serving: serving() }, status: statusOf(routed([])) };
    const types = statusOf(settled(snapshot(hidden))).conditions?.map(({ type }) => type);
    expect(types).toEqual(['Ready', 'Reconciling', 'Stalled', 'ModelReady']);
  });
});

describe('the Tools of an agent', () => {
  test.each<[string, AgentSnapshot, object | undefined]>([
    ['are not spoken of where there are none', settled(served), undefined],
    ['can all be used', granted([found({})]), { status: 'True', reason: 'Ready' }],
    [
      'are missed by name',
      granted([]),
      { status: 'False', reason: 'ToolNotFound', message: expect.stringContaining('no Tool search in namespace team') },
    ],
    [
      'are told with what is wrong with them',
      granted([found({}, false)]),
      { status: 'False', reason: 'Broken', message: expect.stringContaining('does without it: Said by a test.') },
    ],
    [
      'have not been checked yet',
      granted([tool({ builtin: { calculator: {} }, trust: 'trusted', consequential: false })]),
      { status: 'Unknown', reason: 'ToolPending' },
    ],
    [
      'have none of the operations that are granted',
      granted([found({ operations: [{ name: 'read_file' }] })], ['write_*']),
      { status: 'False', reason: 'NothingAllowed', message: expect.stringContaining('There are: read_file.') },
    ],
    [
      'have one of the operations that are granted',
      granted([found({ operations: [{ name: 'read_file' }, { name: 'x' }] })], ['write_*', 'read_*']),
      { status: 'True' },
    ],
    [
      'have but one operation, where one is granted by name',
      granted([found({})], ['search']),
      { status: 'False', reason: 'NothingAllowed', message: expect.stringContaining('remove allow') },
    ],
  ])('%s', (_, subject, expected) => {
    const fact = statusOf(subject).conditions?.find(({ type }) => type === 'ToolsReady');
    if (expected) expect(fact).toMatchObject(expected);
    else expect(fact).toBeUndefined();
  });
});

describe('a Deployment whose GpuPool is gone', () => {
  test('is neither changed nor deleted: without the pool nobody can say what it should be', () => {
    const subject = agent({ serving: serving(), runtime: { gpu: { pool: 'a100', count: 1 } } });
    const base = settled(snapshot(subject, { pool: pool() }));
    const without = { ...base };
    delete without.pool;
    const plan = decideAgent(without, now);
    expect(plan.apply?.map(({ kind }) => kind)).not.toContain('Deployment');
    expect(plan.delete).toEqual([]);
    expect(health(without)).toEqual(['Stalled', 'GpuPoolNotFound']);
  });
});

const amounts = fc.dictionary(fc.constantFrom('cpu', 'memory', 'ephemeral-storage'), fc.constantFrom('1', '2'));
const resources = fc.record({ requests: amounts, limits: amounts }, { requiredKeys: [] });
const runtime = fc.record(
  {
    image: fc.constant('mine:1'),
    resources,
    gpu: fc.record({ pool: fc.constant('a100'), count: fc.integer({ min: 1, max: 8 }) }),
    runtimeClassName: fc.constant('gvisor'),
    serviceAccountName: fc.constant('trusted'),
    env: fc.array(fc.record({ name: fc.constantFrom('A', 'B'), value: fc.string() })),
  },
  { requiredKeys: [] },
);
const expose = fc.oneof(
  fc.record({
    host: fc.constant('a.example.com'),
    path: fc.constantFrom('/', '/a', '/a/'),
    gateway: fc.constant({ name: 'g' }),
  }),
  fc.record({
    host: fc.constant('a.example.com'),
    path: fc.constantFrom('/', '/a'),
    ingress: fc.constant({ className: 'i' }),
  }),
);
const servings = fc.record(
  {
    replicas: fc.integer({ min: 0, max: 3 }),
    logLevel: fc.constantFrom('info' as const, 'debug' as const),
    autoscaling: fc.constant({ minReplicas: 1, maxReplicas: 4, targetCpu: 70 }),
    expose,
  },
  { requiredKeys: ['replicas', 'logLevel'] },
);
const specs = fc.record(
  { instructions: fc.string({ minLength: 1 }), model: fc.constant('claude'), runtime, serving: servings },
  { requiredKeys: ['instructions', 'model'] },
) as fc.Arbitrary<Agent['spec']>;

describe('whatever the spec says', () => {
  test('pods are restricted, children are the agent’s own, and a converged agent needs no further change', () => {
    fc.assert(
      fc.property(specs, fc.boolean(), (spec, routes) => {
        const before = snapshot(agent(spec), { pool: pool(), routes });
        for (const child of decideAgent(before, now).apply ?? []) {
          expect(child.metadata.ownerReferences).toMatchObject([{ uid: 'uid-writer', controller: true }]);
          if (child.kind !== 'Deployment') continue;
          const podSpec = (child.spec as DeploymentSpec).template.spec;
          expect(podSpec && violations(podSpec)).toEqual([]);
        }
        const after = settled(before);
        const plan = decideAgent(after, now);
        expect(plan.delete).toEqual([]);
        for (const child of plan.apply ?? []) {
          const live = after.children.find(({ kind }) => kind === child.kind);
          expect(live && isApplied(withAppliedHash(child, APPLIED_ANNOTATION), live)).toBe(true);
        }
      }),
    );
  });

  test('going from one spec to another leaves just what the other one wants', () => {
    fc.assert(
      fc.property(specs, specs, (first, second) => {
        const children = applied(snapshot(agent(first), { pool: pool() }));
        const plan = decideAgent(snapshot(agent(second), { pool: pool(), children }), now);
        const deleted = new Set(plan.delete?.map(({ kind }) => kind));
        const left = [...children.filter(({ kind }) => !deleted.has(kind)), ...(plan.apply ?? [])].map(
          ({ kind }) => kind,
        );
        const wanted = (decideAgent(snapshot(agent(second), { pool: pool() }), now).apply ?? []).map(
          ({ kind }) => kind,
        );
        expect([...new Set(left)].sort()).toEqual(wanted.sort());
      }),
    );
  });
});
