import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { KubeClient } from './client.ts';
import { FakeApiServer, status } from './fake-api-server.ts';
import type { Seen } from './fake-api-server.ts';
import { FakeClock, eventually } from './fake-clock.ts';
import { LeaderElector } from './leader-election.ts';
import type { LeaderElectorOptions } from './leader-election.ts';
import { createKubeMetrics } from './metrics.ts';

const path = '/apis/coordination.k8s.io/v1/namespaces/kadre/leases/operator';
let server: FakeApiServer;
let clients: KubeClient[];
let electors: LeaderElector[];
let clocks: FakeClock[];

beforeEach(async () => {
  server = await new FakeApiServer().start();
  clients = [];
  electors = [];
  clocks = [];
});
afterEach(async () => {
  await Promise.all(electors.map((each) => each.stop()));
  await Promise.all(clients.map((each) => each.close()));
  await server.stop();
});

/** A candidate with a clock of its own, as on a machine of its own. */
function candidate(identity: string, options: Partial<LeaderElectorOptions> = {}) {
  const clock = new FakeClock();
  // What goes wrong on the way is not to be retried by the transport, so its time does not matter here.
  const client = server.client();
  clients.push(client);
  clocks.push(clock);
  const lost: string[] = [];
  let elected = 0;
  const elector = new LeaderElector({
    client,
    namespace: 'kadre',
    name: 'operator',
    identity,
    clock,
    random: () => 0,
    onElected: () => elected++,
    onLost: (reason) => lost.push(reason),
    ...options,
  });
  electors.push(elector);
  elector.start();
  return { elector, clock, lost, elected: () => elected };
}

const spec = () => server.objects.get(path)?.spec as Record<string, string | number> | undefined;
const isWrite = (seen: Seen) => seen.method !== 'GET';
const allTick = async () => {
  for (const clock of clocks) await clock.advance(200);
};

test('the first candidate makes the Lease and leads', async () => {
  const remaining: number[] = [];
  const a = candidate('a', { onRenewed: (ms) => remaining.push(ms) });
  await eventually(() => a.elector.isLeader());
  expect(spec()).toMatchObject({ holderIdentity: 'a', leaseDurationSeconds: 15, leaseTransitions: 0 });
  expect(spec()?.renewTime).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);
  expect(a.elected()).toBe(1);
  expect(remaining).toEqual([10_000]);
});

test('of two candidates one leads, and keeps on leading', async () => {
  const a = candidate('a');
  const b = candidate('b');
  await eventually(() => a.elector.isLeader() || b.elector.isLeader(), allTick);
  for (let i = 0; i < 200; i++) {
    expect([a, b].filter(({ elector }) => elector.isLeader())).toHaveLength(1);
    await allTick();
  }
  expect(a.elected() + b.elected()).toBe(1);
});

test('a leader that stops hands over at once', async () => {
  const a = candidate('a');
  await eventually(() => a.elector.isLeader());
  const b = candidate('b');
  await eventually(() => b.elector.holder === 'a');
  await a.elector.stop();
  expect(a.elector.isLeader()).toBe(false);
  expect(spec()).toMatchObject({ holderIdentity: '' });
  await b.clock.advance(2400);
  await eventually(() => b.elector.isLeader());
  expect(spec()).toMatchObject({ holderIdentity: 'b', leaseTransitions: 1 });
  expect(a.lost).toEqual([]);
});

test('a dead leader is followed once its lease was seen unchanged for its whole duration, and not before', async () => {
  const a = candidate('a');
  await eventually(() => a.elector.isLeader());
  const b = candidate('b');
  await eventually(() => b.elector.holder === 'a');
  for (let ms = 0; ms < 14_000; ms += 1000) await b.clock.advance(1000);
  expect(b.elector.isLeader()).toBe(false);
  await eventually(
    () => b.elector.isLeader(),
    () => b.clock.advance(500),
  );
});

test('the wall clock of another machine does not matter', async () => {
  const a = candidate('a');
  await eventually(() => a.elector.isLeader());
  const b = candidate('b');
  b.clock.setWall(3_600_000);
  await eventually(() => b.elector.holder === 'a');
  await b.clock.advance(2000);
  await b.clock.advance(2000);
  expect(b.elector.isLeader()).toBe(false);
});

describe('fencing', () => {
  test('a leader that was paused beyond its deadline knows at once that it may not write', async () => {
    const a = candidate('a');
    await eventually(() => a.elector.isLeader());
    a.clock.pause(10_001);
    expect(a.elector.isLeader()).toBe(false);
  });

  test('and gives up, even if nobody took the lease meanwhile', async () => {
    const a = candidate('a');
    await eventually(() => a.elector.isLeader());
    a.clock.pause(60_000);
    await a.clock.advance(0);
    await eventually(() => a.lost.length === 1);
    expect(a.elected()).toBe(1);
  });

  test('a wall clock that jumps ahead, as after a sleep of the machine, closes the gate', async () => {
    const a = candidate('a');
    await eventually(() => a.elector.isLeader());
    a.clock.setWall(60_000);
    expect(a.elector.isLeader()).toBe(false);
  });

  test('a leader that cannot renew stops before others may begin', async () => {
    const a = candidate('a');
    await eventually(() => a.elector.isLeader());
    server.fail(isWrite, { status: 500, body: status(500, 'InternalError') }, 1000);
    for (let ms = 0; ms < 9000; ms += 1000) await a.clock.advance(1000);
    expect(a.elector.isLeader()).toBe(true);
    await a.clock.advance(1001);
    expect(a.elector.isLeader()).toBe(false);
    await eventually(
      () => a.lost.length === 1,
      () => a.clock.advance(500),
    );
    expect(a.lost[0]).toContain('could not be renewed');
  });

  test('a lease that somebody else took is lost', async () => {
    const a = candidate('a');
    await eventually(() => a.elector.isLeader());
    const lease = server.objects.get(path);
    if (!lease) throw new Error('no lease');
    server.put(path, { ...lease, spec: { ...spec(), holderIdentity: 'thief' } });
    await eventually(
      () => a.lost.length === 1,
      () => a.clock.advance(500),
    );
    expect(a.lost[0]).toContain('another process');
  });
});

describe('faults', () => {
  test('one lost answer does not cost the leadership', async () => {
    const a = candidate('a');
    await eventually(() => a.elector.isLeader());
    server.fail(isWrite, 'lose');
    for (let i = 0; i < 20; i++) {
      await a.clock.advance(1000);
      await eventually(() => a.elector.isLeader());
    }
    expect(a.lost).toEqual([]);
  });

  test('an API server that is away at the start is waited for', async () => {
    server.fail(() => true, 'reset', 6);
    const a = candidate('a');
    await eventually(
      () => a.elector.isLeader(),
      () => a.clock.advance(1000),
    );
  });

  test('stopping does not take long when the API server does not answer', async () => {
    const a = candidate('a');
    await eventually(() => a.elector.isLeader());
    server.fail(isWrite, 'reset');
    await a.elector.stop();
    expect(a.elector.isLeader()).toBe(false);
  });
});

test('who leads is a metric', async () => {
  const metrics = createKubeMetrics();
  const a = candidate('a', { metrics });
  await eventually(() => a.elector.isLeader());
  expect(await metrics.registry.metrics()).toContain('leader_election_master_status{name="operator"} 1');
  await a.elector.stop();
  expect(await metrics.registry.metrics()).toContain('leader_election_master_status{name="operator"} 0');
});
