import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { startControlPlane } from '../../cluster/control-plane.ts';
import type { ControlPlane } from '../../cluster/control-plane.ts';
import { LeaderElector, systemClock } from '../../../operator/src/kube/index.ts';
import type { Clock, LeaderElectorOptions } from '../../../operator/src/kube/index.ts';
import { configMap, connectTo, namespace, refTo, startTimeout, until } from './bed.ts';
import type { Connected } from './bed.ts';

let controlPlane: ControlPlane;
let connections: Connected[];
let electors: LeaderElector[];
let lease: string;
let serial = 0;

beforeAll(async () => {
  controlPlane = await startControlPlane({ controllerManager: false, scheduler: false });
}, startTimeout);
afterAll(() => controlPlane.stop());

beforeEach(() => {
  connections = [];
  electors = [];
  lease = `lease-${++serial}`;
});
afterEach(async () => {
  await Promise.all(electors.map((each) => each.stop()));
  await Promise.all(connections.map(({ client }) => client.close()));
});

function candidate(identity: string, options: Partial<LeaderElectorOptions> = {}) {
  const connected = connectTo(controlPlane);
  connections.push(connected);
  const { client } = connected;
  const times = { leaseDurationMs: 3000, renewDeadlineMs: 2000, retryPeriodMs: 300 };
  const lost: string[] = [];
  const onLost = (reason: string) => lost.push(reason);
  const elector = new LeaderElector({ client, namespace, name: lease, identity, onLost, ...times, ...options });
  electors.push(elector);
  elector.start();
  return { elector, lost, client: client.gated(() => elector.isLeader()) };
}

/** A clock whose process can be stopped as by SIGSTOP: time goes on, but nothing runs. */
function pausableClock(): Clock & { pause(): void; resume(): void } {
  let paused = false;
  const held: (() => void)[] = [];
  return {
    ...systemClock,
    after: (ms, action) => systemClock.after(ms, () => (paused ? void held.push(action) : action())),
    pause: () => (paused = true),
    resume: () => {
      paused = false;
      for (const action of held.splice(0)) action();
    },
  };
}

const leaseNow = async () => {
  const found = await connectTo(controlPlane).client.get({
    apiVersion: 'coordination.k8s.io/v1',
    kind: 'Lease',
    namespace,
    name: lease,
  });
  return found?.spec as Record<string, unknown> | undefined;
};

test('hands over from one to the other when the leader stops', async () => {
  const a = candidate('a');
  await until('a leads', () => a.elector.isLeader());
  const b = candidate('b');
  await until('b sees a', () => b.elector.holder === 'a');
  expect(b.elector.isLeader()).toBe(false);
  await expect(b.client.create(configMap(`${lease}-b`))).rejects.toMatchObject({ reason: 'NotLeader' });
  await a.elector.stop();
  expect(await leaseNow()).toMatchObject({ holderIdentity: '' });
  await until('b leads', () => b.elector.isLeader());
  expect(await leaseNow()).toMatchObject({ holderIdentity: 'b', leaseTransitions: 1 });
  await b.client.create(configMap(`${lease}-b`));
}, 60_000);

test('a leader that was paused writes nothing once it goes on, while the other leads', async () => {
  const clock = pausableClock();
  const a = candidate('a', { clock });
  await until('a leads', () => a.elector.isLeader());
  await a.client.create(configMap(lease));
  const b = candidate('b');
  clock.pause();
  await until('b leads', () => b.elector.isLeader());
  await b.client.patch(refTo(configMap(lease)), { data: { by: 'b' } });
  expect(a.elector.isLeader()).toBe(false);
  const late = a.client.patch(refTo(configMap(lease)), { data: { by: 'a' } });
  await expect(late).rejects.toMatchObject({ reason: 'NotLeader' });
  clock.resume();
  await until('a knows', () => a.lost.length === 1);
  expect((await b.client.get(refTo(configMap(lease))))?.data).toEqual({ by: 'b' });
}, 60_000);

test('a leader stays the leader while the API server restarts within the deadline, or gives up, but never two lead', async () => {
  const a = candidate('a', { leaseDurationMs: 60_000, renewDeadlineMs: 50_000 });
  const b = candidate('b', { leaseDurationMs: 60_000, renewDeadlineMs: 50_000 });
  await until('one leads', () => a.elector.isLeader() || b.elector.isLeader());
  const leader = a.elector.isLeader() ? a : b;
  await controlPlane.restartApiServer();
  const before = (await leaseNow())?.renewTime;
  await until('it is renewed', async () => (await leaseNow())?.renewTime !== before);
  expect(leader.elector.isLeader()).toBe(true);
  expect([a, b].filter(({ elector }) => elector.isLeader())).toHaveLength(1);
}, 120_000);
