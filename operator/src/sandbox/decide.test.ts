import { describe, expect, test } from '@jest/globals';
import type { OfferedSandbox } from '@kadre/store';
import * as sample from '../build/samples.ts';
import { violations } from '../build/restricted.ts';
import type { Pod, PodSpec } from '../build/wire.ts';
import { decidePool, type PoolSnapshot } from './decide.ts';
import { desiredPod, desiredPolicy, placeOf } from './desired/pod.ts';

const NOW = Date.parse('2026-11-21T12:00:00Z');
const IMAGE = 'kadre-sandbox:1';
const spec = { memory: '256Mi', cpu: '500m' };
const settings = { ...sample.settings, sandboxImage: IMAGE };
const identity = { namespace: 'team', pool: 'abc', spec };

interface Made {
  ready?: boolean;
  phase?: string;
  image?: string;
  ageMs?: number;
  leaving?: boolean;
}

function pod(uid: string, { ready = false, phase = 'Running', image = IMAGE, ageMs = 1000, leaving }: Made = {}): Pod {
  const made = desiredPod(identity, { ...settings, sandboxImage: image }, { suffix: uid, key: `key-${uid}` }) as Pod;
  const creationTimestamp = new Date(NOW - ageMs).toISOString();
  const gone = leaving && { deletionTimestamp: new Date(NOW).toISOString() };
  return {
    ...made,
    metadata: { ...made.metadata, uid, creationTimestamp, ...gone },
    status: { phase, podIP: '10.0.0.7', conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }] },
  };
}

const ready = (uid: string, other: Made = {}): Pod => pod(uid, { ready: true, ...other });
const known = (states: Record<string, OfferedSandbox['state']>): OfferedSandbox[] =>
  Object.entries(states).map(([id, state]) => ({ id, state }));

/** What is done, by UID; how many pods are made. */
function decide(snapshot: Partial<PoolSnapshot>) {
  const whole = { pods: [], offered: [], waiting: 0, warm: 0, image: IMAGE, unseen: 0, ...snapshot };
  const { create, forget, ...pods } = decidePool(whole, NOW);
  const uids = Object.entries(pods).map(([what, list]) => [what, list.map(({ metadata }) => metadata.uid)] as const);
  const done = uids.filter(([, list]) => list.length > 0);
  return { ...Object.fromEntries(done), ...(forget.length > 0 && { forget }), ...(create > 0 && { create }) };
}

describe('the sandboxes of a pool', () => {
  test.each<[string, Partial<PoolSnapshot>, object]>([
    ['nothing is wanted, nothing is there', {}, {}],
    ['as many are made as shall be warm', { warm: 3 }, { create: 3 }],
    ['one more for each who waits', { warm: 1, waiting: 2 }, { create: 3 }],
    ['of very many who wait, some at a time', { waiting: 500 }, { create: 20 }],
    ['those on their way count', { warm: 3, pods: [pod('a')], unseen: 1 }, { create: 1 }],
    ['one that is ready is offered', { warm: 1, pods: [ready('a')] }, { offer: ['a'] }],
    ['one that was offered is left alone', { warm: 1, pods: [ready('a')], offered: known({ a: 'free' }) }, {}],
    ['one that is taken makes room', { warm: 1, pods: [ready('a')], offered: known({ a: 'taken' }) }, { create: 1 }],
    [
      'one that is taken stays, even when nobody wants it any more',
      { pods: [ready('a')], offered: known({ a: 'taken' }), image: undefined },
      {},
    ],
    [
      'one whose program is over waits for whoever has it',
      { pods: [pod('a', { phase: 'Succeeded' })], offered: known({ a: 'taken' }) },
      {},
    ],
    [
      'one that is spent goes, and another one comes',
      { warm: 1, pods: [ready('a')], offered: known({ a: 'spent' }) },
      { remove: ['a'], create: 1 },
    ],
    [
      'one that died while nobody had it is withdrawn first',
      { warm: 1, pods: [pod('a', { phase: 'Failed' })], offered: known({ a: 'free' }) },
      { withdraw: ['a'], create: 1 },
    ],
    [
      'one that somebody deletes is withdrawn',
      { warm: 1, pods: [ready('a', { leaving: true })], offered: known({ a: 'free' }) },
      { withdraw: ['a'], create: 1 },
    ],
    ['one on its way out counts no more', { warm: 1, pods: [ready('a', { leaving: true })] }, { create: 1 }],
    [
      'another image replaces those that nobody has',
      {
        warm: 3,
        pods: ['a', 'b', 'c'].map((uid) => ready(uid, { image: 'old' })),
        offered: known({ a: 'free', b: 'taken' }),
      },
      { withdraw: ['a'], remove: ['c'], create: 3 },
    ],
    [
      'an old one is replaced before its time is up',
      { warm: 1, pods: [ready('a', { ageMs: 5 * 3_600_000 })], offered: known({ a: 'free' }) },
      { withdraw: ['a'], create: 1 },
    ],
    [
      'one that fails at once keeps its place for a while',
      { warm: 1, pods: [pod('a', { phase: 'Failed', ageMs: 5000 })] },
      {},
    ],
    [
      'and is replaced after that',
      { warm: 1, pods: [pod('a', { phase: 'Failed', ageMs: 60_000 })] },
      { remove: ['a'], create: 1 },
    ],
    [
      'too many: those on their way go first, then the youngest',
      {
        warm: 1,
        pods: [ready('old', { ageMs: 9000 }), ready('young'), pod('coming')],
        offered: known({ old: 'free', young: 'free' }),
      },
      { withdraw: ['young'], remove: ['coming'] },
    ],
    [
      'without a Tool all go that nobody has',
      { pods: [ready('a'), pod('b'), ready('c')], offered: known({ a: 'free', c: 'taken' }), image: undefined },
      { withdraw: ['a'], remove: ['b'] },
    ],
    [
      'what is gone is forgotten',
      { offered: known({ a: 'free', b: 'spent', c: 'taken' }) },
      { forget: ['a', 'b', 'c'] },
    ],
  ])('%s', (_what, snapshot, expected) => expect(decide(snapshot)).toEqual(expected));

  test('what was decided and done once is not decided again', () => {
    const before = { warm: 2, pods: [ready('a'), ready('b')] };
    expect(decide(before)).toEqual({ offer: ['a', 'b'] });
    expect(decide({ ...before, offered: known({ a: 'free', b: 'free' }) })).toEqual({});
  });
});

describe('the pod of a sandbox', () => {
  const made = desiredPod({ ...identity, spec: { ...spec, runtimeClassName: 'gvisor' } }, settings, {
    suffix: 'x',
    key: '$(HOME)',
  }) as Pod & { spec: PodSpec };

  test('breaks none of the rules, has no network to ask and nothing that says where it is', () => {
    expect(violations(made.spec)).toEqual([]);
    expect(made.spec).toMatchObject({
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      restartPolicy: 'Never',
      hostname: 'sandbox',
      dnsPolicy: 'None',
      runtimeClassName: 'gvisor',
    });
    expect(made.spec.volumes).toEqual([{ name: 'work', emptyDir: { sizeLimit: '256Mi' } }]);
  });

  test('gets what it was promised, and room for its runner', () => {
    const { requests, limits } = made.spec.containers[0]?.resources ?? {};
    expect(limits).toMatchObject({ cpu: '500m', memory: String((256 + 64) * 1024 * 1024) });
    expect(requests).toMatchObject({ cpu: limits?.['cpu'], memory: limits?.['memory'] });
  });

  test('has a key that nothing is put into', () => {
    expect(made.spec.containers[0]?.env).toEqual([{ name: 'KADRE_SANDBOX_KEY', value: '$$(HOME)' }]);
  });

  test('is found at its address', () => {
    expect(placeOf(ready('a'))).toEqual({ url: 'http://10.0.0.7:8080', key: 'key-a' });
    expect(placeOf({ ...ready('a'), status: { podIP: 'fd00::7' } })?.url).toBe('http://[fd00::7]:8080');
    expect(placeOf({ ...ready('a'), status: {} })).toBeUndefined();
  });

  test('lets nobody in but the control plane, and nothing out', () => {
    expect(desiredPolicy(identity, settings).spec).toEqual({
      podSelector: { matchLabels: { 'kadre.dev/sandbox-pool': 'abc' } },
      policyTypes: ['Ingress', 'Egress'],
      ingress: [
        {
          ports: [{ port: 8080, protocol: 'TCP' }],
          from: [
            {
              namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': settings.systemNamespace } },
              podSelector: { matchLabels: { 'app.kubernetes.io/name': 'kadre' } },
            },
          ],
        },
      ],
      egress: [],
    });
  });
});
