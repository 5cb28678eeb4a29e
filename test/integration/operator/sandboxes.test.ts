// Sandboxes in a real API server. Nothing runs the pods: the test says what becomes of them.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Operator } from '@kadre/operator';
import { sandboxPool, type Store } from '@kadre/store';
import { conditionOf, eventually, field, KADRE, startBed, startMs, type Bed, type Ref, type Seen } from './bed.ts';

const NAMESPACE = 'code';
const POOL = 'kadre.dev/sandbox-pool';
const TTL = 600_000;
const spec = { memory: '64Mi', cpu: '100m' };
const pool = sandboxPool(spec);

let bed: Bed;
let operator: Operator;
/** Every offer that an operator has made, of all that there were. */
const offers: string[] = [];
const watched = (store: Store): Store => ({
  ...store,
  offerSandbox: async (offer) => {
    const first = await store.offerSandbox(offer);
    if (first) offers.push(offer.id);
    return first;
  },
});
beforeAll(async () => {
  bed = await startBed();
  await bed.namespace(NAMESPACE);
  operator = await bed.startOperator(watched);
}, startMs);
afterAll(() => bed.stop());

const ref: Ref = { apiVersion: KADRE, kind: 'Tool', name: 'code', namespace: NAMESPACE };
const tool = (code: object, name = 'code'): Promise<Seen> =>
  bed.apply({
    apiVersion: KADRE,
    kind: 'Tool',
    metadata: { name, namespace: NAMESPACE },
    spec: { builtin: { code: { ...spec, ...code } } },
  });
const pods = async (): Promise<Seen[]> =>
  (await bed.list('v1', 'Pod', NAMESPACE)).filter(({ metadata }) => metadata.labels?.[POOL] !== undefined);
const count = (number: number): Promise<Seen[]> =>
  eventually(`${number} pods`, async () => {
    const all = await pods();
    if (all.length === number) return all;
    throw new Error(`there are ${all.length}`);
  });
/** What a kubelet says of those that it has started. */
async function start(started: readonly Seen[]): Promise<void> {
  const conditions = [{ type: 'Ready', status: 'True', lastTransitionTime: new Date().toISOString() }];
  for (const [index, pod] of started.entries()) {
    const podIP = `10.0.0.${index + 1}`;
    await bed.setPodStatus(pod, { phase: 'Running', podIP, podIPs: [{ ip: podIP }], conditions });
  }
}
const states = async (of = pool): Promise<string[]> =>
  (await bed.store.sandboxPool(NAMESPACE, of)).offered.map(({ state }) => state).sort();
const offered = (number: number): Promise<true | undefined> =>
  eventually(`${number} offered`, async () => {
    const free = (await states()).filter((state) => state === 'free').length;
    if (free === number) return true;
    throw new Error(`${free} are free`);
  });
const claim = (id: string, of = spec) => bed.store.claimSandbox({ id, namespace: NAMESPACE, spec: of }, TTL);
const walls = async (): Promise<Seen[]> =>
  (await bed.list('networking.k8s.io/v1', 'NetworkPolicy', NAMESPACE)).filter(
    ({ metadata }) => metadata.labels?.[POOL] !== undefined,
  );

describe('sandboxes', () => {
  test('as many as a Tool wants are made, behind a wall, and offered once when they are ready', async () => {
    await tool({ warm: 2 });
    const made = await count(2);
    expect(made.map((pod) => field(pod, 'spec.containers.0.image'))).toEqual(made.map(() => 'kadre-sandbox:test'));
    expect((await walls()).map((wall) => field(wall, 'spec.egress'))).toEqual([undefined]);
    await bed.condition(ref, 'Ready', 'True');
    await start(made);
    await offered(2);
    expect(offers.sort()).toEqual(made.map(({ metadata }) => metadata.uid).sort());
    await eventually('the status', async () => field(await bed.get(ref), 'status.warm') === 2);
    const place = await claim('a');
    expect(place?.url).toMatch(/^http:\/\/10\.0\.0\.\d:8080$/);
    const keys = made.map((pod) => field(pod, 'spec.containers.0.env.0.value'));
    expect(keys).toContain(place?.key);
    expect(new Set(keys).size).toBe(2);
  });

  test('one that was used is deleted, and another one takes its place', async () => {
    const before = await count(3);
    await bed.store.releaseSandbox('a');
    const after = await count(2);
    await eventually('only the one to be forgotten', async () => (await states()).join() === 'free');
    await start(after.filter((pod) => field(pod, 'status.phase') !== 'Running'));
    await offered(2);
    expect(before.length - after.length).toBe(1);
  });

  test('an operator that comes after another finds all as it was, and offers none twice', async () => {
    await bed.stopOperator(operator);
    const known = (await pods()).map(({ metadata }) => metadata.name).sort();
    // Meanwhile one is used, and one dies.
    const place = await claim('b');
    await bed.store.releaseSandbox('b');
    operator = await bed.startOperator(watched);
    await eventually('the used one is gone', async () =>
      (await pods()).every(({ metadata }) => metadata.uid !== place?.id),
    );
    const now = await count(2);
    expect(now.filter(({ metadata }) => known.includes(metadata.name))).toHaveLength(1);
    await start(now.filter((pod) => field(pod, 'status.phase') !== 'Running'));
    await offered(2);
    expect(new Set(offers).size).toBe(offers.length);
  });

  test('whoever waits for another kind gets one, and when nobody wants it any more it is gone', async () => {
    const other = { memory: '128Mi', cpu: '100m' };
    expect(await claim('c', other)).toBeUndefined();
    const made = await eventually('its pod', async () =>
      (await pods()).find(({ metadata }) => metadata.labels?.[POOL] === sandboxPool(other)),
    );
    expect(field(made, 'spec.containers.0.resources.limits.memory')).toBe(String(192 * 1024 * 1024));
    await start([made]);
    await eventually('a place', () => claim('c', other));
    await bed.store.releaseSandbox('c');
    await eventually('nothing is left', async () => (await count(2)).length === 2 && (await walls()).length === 1);
    expect(await states(sandboxPool(other))).toEqual([]);
  });

  test('a Tool says why its sandboxes do not come about', async () => {
    await tool({ warm: 1, runtimeClassName: 'there-is-none' }, 'walled');
    const walled = { ...ref, name: 'walled' };
    const rejected = await bed.condition(walled, 'Ready', 'False', 'SandboxRejected');
    expect(conditionOf(rejected, 'Ready')?.message).toMatch(/there-is-none/);
    await bed.client.delete(walled);
  });

  test('what a Tool wants no more goes: another size, fewer, none', async () => {
    const old = await count(2);
    await tool({ warm: 1, cpu: '200m' });
    const [made] = await count(1);
    expect(old.map(({ metadata }) => metadata.uid)).not.toContain(made?.metadata.uid);
    await bed.client.delete(ref);
    await count(0);
    await eventually('no wall', async () => (await walls()).length === 0);
    expect(await bed.store.sandboxPools().then((all) => all.filter(({ pool: one }) => one === pool))).toEqual([]);
  });
});
