// Sandboxes are for one program each, whoever asks, however often, and whatever dies on the way.
import type { SandboxSpec } from '@kadre/crds';
import { expect, test } from '@jest/globals';
import { sandboxPool, type SandboxClaim, type SandboxOffer } from '../sandboxes.ts';
import type { Store } from '../store.ts';
import { eventually, type StoreUnderTest } from './fixtures.ts';

const TTL = 600_000;
const OVER = -1;
const spec: SandboxSpec = { memory: '256Mi', cpu: '500m' };
const pool = sandboxPool(spec);

const offer = (id: string, other: Partial<SandboxOffer> = {}): SandboxOffer => ({
  id,
  namespace: 'team',
  pool,
  url: `http://${id}:8080`,
  key: `key of ${id}`,
  ...other,
});
const placeOf = (id: string) => ({ id, url: `http://${id}:8080`, key: `key of ${id}` });
const claim = (id: string, other: Partial<SandboxClaim> = {}): SandboxClaim => ({
  id,
  namespace: 'team',
  spec,
  ...other,
});

export function describeSandboxes(it: () => StoreUnderTest): void {
  const statesOf = async (store: Store = it().store) =>
    Object.fromEntries((await store.sandboxPool('team', pool)).offered.map(({ id, state }) => [id, state]));
  const waiting = async () => (await it().store.sandboxPool('team', pool)).waiting;

  test('those who come get the oldest that is free, and keep it however often they ask', async () => {
    expect(await it().store.offerSandbox(offer('p1'))).toBe(true);
    expect(await it().store.offerSandbox(offer('p2'))).toBe(true);
    expect(await it().store.claimSandbox(claim('a'), TTL)).toEqual(placeOf('p1'));
    expect(await it().store.claimSandbox(claim('b'), TTL)).toEqual(placeOf('p2'));
    expect(await it().store.claimSandbox(claim('a'), TTL)).toEqual(placeOf('p1'));
    expect(await it().store.claimSandbox(claim('c'), TTL)).toBeUndefined();
    expect(await statesOf()).toEqual({ p1: 'taken', p2: 'taken' });
  });

  test('whoever finds none waits in line, as it was asked for, until there is one', async () => {
    const other = { ...spec, runtimeClassName: 'gvisor', image: 'numpy:1' };
    expect(await it().store.claimSandbox(claim('a'), TTL)).toBeUndefined();
    expect(await it().store.claimSandbox(claim('b'), TTL)).toBeUndefined();
    expect(await it().store.claimSandbox(claim('c', { spec: other }), TTL)).toBeUndefined();
    expect(await waiting()).toEqual([claim('a'), claim('b')]);
    expect((await it().store.sandboxPool('team', sandboxPool(other))).waiting).toEqual([claim('c', { spec: other })]);
    await it().store.offerSandbox(offer('p1'));
    expect(await it().store.claimSandbox(claim('a'), TTL)).toEqual(placeOf('p1'));
    expect(await waiting()).toEqual([claim('b')]);
  });

  test('a sandbox of another namespace, or of another pool, is nobody else’s', async () => {
    await it().store.offerSandbox(offer('p1', { namespace: 'others' }));
    await it().store.offerSandbox(offer('p2', { pool: sandboxPool({ ...spec, memory: '1Gi' }) }));
    expect(await it().store.claimSandbox(claim('a'), TTL)).toBeUndefined();
    const known = (await it().store.sandboxPools()).map((one) => `${one.namespace}/${one.pool}`).sort();
    expect(known).toHaveLength(3);
    expect(known).toContain(`team/${pool}`);
  });

  test('what was given back is spent, and offered to nobody again', async () => {
    await it().store.offerSandbox(offer('p1'));
    await it().store.claimSandbox(claim('a'), TTL);
    for (let twice = 0; twice < 2; twice++) await it().store.releaseSandbox('a');
    expect(await statesOf()).toEqual({ p1: 'spent' });
    expect(await it().store.offerSandbox(offer('p1'))).toBe(false);
    expect(await it().store.claimSandbox(claim('b'), TTL)).toBeUndefined();
    await it().store.forgetSandbox('p1');
    expect(await statesOf()).toEqual({});
  });

  test('a claim that is given back while it waits waits no longer', async () => {
    await it().store.claimSandbox(claim('a'), TTL);
    await it().store.releaseSandbox('a');
    await it().store.releaseSandbox('never heard of');
    expect(await waiting()).toEqual([]);
  });

  test('what is withdrawn is claimed by nobody, and what somebody has is not withdrawn', async () => {
    await it().store.offerSandbox(offer('p1'));
    for (let twice = 0; twice < 2; twice++) expect(await it().store.withdrawSandbox('p1')).toBe(true);
    expect(await it().store.claimSandbox(claim('a'), TTL)).toBeUndefined();
    await it().store.offerSandbox(offer('p2'));
    await it().store.claimSandbox(claim('a'), TTL);
    expect(await it().store.withdrawSandbox('p2')).toBe(false);
    expect(await it().store.withdrawSandbox('never heard of')).toBe(false);
    expect(await statesOf()).toEqual({ p1: 'spent', p2: 'taken' });
  });

  test('the claim of a gateway that died ends by itself: its sandbox is spent, its place in the line is free', async () => {
    await it().store.offerSandbox(offer('p1'));
    await it().store.claimSandbox(claim('a'), OVER);
    await it().store.claimSandbox(claim('b'), OVER);
    expect(await statesOf()).toEqual({ p1: 'spent' });
    expect(await waiting()).toEqual([]);
    await it().store.claimSandbox(claim('c', { namespace: 'others' }), OVER);
    await it().store.prune(Date.now() + 1000);
    expect(await it().store.sandboxPools()).toEqual([{ namespace: 'team', pool }]);
    await it().store.forgetSandbox('p1');
    expect(await it().store.sandboxPools()).toEqual([]);
  });

  test('of many who ask at once in two places, each sandbox goes to one', async () => {
    const second = await it().second();
    const ids = ['p1', 'p2', 'p3', 'p4', 'p5'];
    await Promise.all(ids.map((id) => it().store.offerSandbox(offer(id))));
    const claims = Array.from({ length: 16 }, (_, index) => claim(`c${index}`));
    const asked = claims.flatMap((one) => [it().store.claimSandbox(one, TTL), second.claimSandbox(one, TTL)]);
    const places = await Promise.all(asked);
    const first = places.filter((_, index) => index % 2 === 0);
    // Whoever asks again sees what it got, and nobody got two or shares one.
    const final = await Promise.all(claims.map((one) => second.claimSandbox(one, TTL)));
    const given = final.flatMap((place) => place?.id ?? []).sort();
    expect(given).toEqual(ids);
    expect(first.every((place, index) => !place || place.id === final[index]?.id)).toBe(true);
    await second.close();
  });

  test('a claim tells the operator, and an offer tells the gateways', async () => {
    const [claims, offers]: string[][] = [[], []];
    it().store.subscribe('sandbox-claims', (key) => claims?.push(key));
    it().store.subscribe('sandboxes', (key) => offers?.push(key));
    await it().store.claimSandbox(claim('a'), TTL);
    await eventually(() => claims?.at(0));
    await it().store.offerSandbox(offer('p1'));
    await eventually(() => offers?.at(0));
    expect([claims?.[0], offers?.[0]]).toEqual([`team/${pool}`, `team/${pool}`]);
  });

  test('asking again with nothing new tells nobody', async () => {
    await it().store.claimSandbox(claim('a'), TTL);
    const told: string[] = [];
    it().store.subscribe('sandbox-claims', (key) => told.push(key));
    await it().store.claimSandbox(claim('a'), TTL);
    await it().store.claimSandbox(claim('last'), TTL);
    await eventually(() => told.at(0));
    expect(told).toHaveLength(1);
  });

  test('all of it outlives the process', async () => {
    await it().store.offerSandbox(offer('p1'));
    await it().store.claimSandbox(claim('a'), TTL);
    await it().store.claimSandbox(claim('b'), TTL);
    const store = await it().reopen();
    expect(await statesOf(store)).toEqual({ p1: 'taken' });
    expect((await store.sandboxPool('team', pool)).waiting).toEqual([claim('b')]);
  });
}
