// `kadre all` as a process of its own against a real API server: how it starts, leads, dies and hands over.
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import type { ChildProcess } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startControlPlane, type ControlPlane } from '../../cluster/control-plane.ts';
import { prepareApi, startKadre, type KadreProcess } from '../../support/kadre-process.ts';
import { eventually } from '../../support/kubectl.ts';

const API = '/apis/kadre.dev/v1alpha1/namespaces/default';
const LEASE = '/apis/coordination.k8s.io/v1/namespaces/kadre-system/leases/kadre';

let controlPlane: ControlPlane;
let data: string;
const processes: ChildProcess[] = [];

beforeAll(async () => {
  controlPlane = await startControlPlane();
  await prepareApi(controlPlane);
  data = await mkdtemp(join(tmpdir(), 'kadre-all-'));
}, 1_200_000);
afterEach(() => {
  for (const child of processes.splice(0)) child.kill('SIGKILL');
});
afterAll(async () => {
  await controlPlane.stop();
  await rm(data, { recursive: true });
});

async function start(name: string, folder: string, change: NodeJS.ProcessEnv = {}): Promise<KadreProcess> {
  const replica = await startKadre(controlPlane, 'all', name, { KADRE_DATA_DIR: folder, ...change });
  processes.push(replica.child);
  return replica;
}

async function folder(name: string): Promise<string> {
  return mkdtemp(join(data, name));
}

const holder = async () =>
  (await controlPlane.api.get<{ spec: { holderIdentity?: string } }>(LEASE)).spec.holderIdentity ?? '';

async function seesNewAgents(name: string): Promise<void> {
  const agent = {
    apiVersion: 'kadre.dev/v1alpha1',
    kind: 'Agent',
    metadata: { name, namespace: 'default' },
    spec: { model: 'm', instructions: 'x', serving: { replicas: 0 } },
  };
  await controlPlane.api.apply(`${API}/agents/${name}`, agent);
  await eventually(`a Deployment for ${name}`, async () => {
    const answer = await controlPlane.api.call('GET', `/apis/apps/v1/namespaces/default/deployments/agent-${name}`);
    return answer.status === 200;
  });
}

describe('one replica', () => {
  test('becomes ready, leads, acts on Agents, tells its metrics, and leaves the lease when told to stop', async () => {
    const replica = await start('kadre-a', await folder('one'));
    await eventually('ready', replica.ready);
    expect(await holder()).toBe('kadre-a');
    await seesNewAgents('first');
    const metrics = await replica.metrics();
    expect(metrics).toMatch(/controller_runtime_reconcile_total\{[^}]*controller="agent"[^}]*\} [1-9]/);
    expect(metrics).toMatch(/kadre_event_loop_lag_seconds\{[^}]*role="engine"/);
    replica.child.kill('SIGTERM');
    expect(await replica.exit).toBe(0);
    expect(await holder()).toBe('');
  });

  test('that was killed leads again as soon as it is back, with what its store remembers', async () => {
    const store = await folder('killed');
    const replica = await start('kadre-b', store);
    await eventually('ready', replica.ready);
    replica.child.kill('SIGKILL');
    await replica.exit;
    expect(await holder()).toBe('kadre-b');
    const again = await start('kadre-b', store);
    await eventually('ready again', again.ready);
    await seesNewAgents('second');
    again.child.kill('SIGTERM');
    expect(await again.exit).toBe(0);
  });
});

describe('two replicas', () => {
  test('never share a store: the second ends and says what to do', async () => {
    const store = await folder('shared');
    const first = await start('kadre-c', store);
    await eventually('the first ready', first.ready);
    const second = await start('kadre-d', store);
    expect(await second.exit).not.toBe(0);
    expect(second.output()).toMatch(/another process uses the store/);
    expect(await first.ready()).toBe(true);
    first.child.kill('SIGTERM');
    await first.exit;
  });

  test('with stores of their own take turns: the follower leads when the leader leaves', async () => {
    const leader = await start('kadre-e', await folder('e'));
    await eventually('the leader ready', leader.ready);
    const follower = await start('kadre-f', await folder('f'));
    await eventually('the follower ready', follower.ready);
    expect(await holder()).toBe('kadre-e');
    leader.child.kill('SIGTERM');
    await leader.exit;
    await eventually('the follower leading', async () => (await holder()) === 'kadre-f');
    await seesNewAgents('third');
  });

  test('a leader whose lease is taken ends at once, and says so', async () => {
    const leader = await start('kadre-g', await folder('g'));
    await eventually('ready', async () => (await leader.ready()) && (await holder()) === 'kadre-g');
    await controlPlane.api.merge(LEASE, { spec: { holderIdentity: 'somebody-else' } });
    expect(await leader.exit).toBe(1);
    expect(leader.output()).toMatch(/lease is lost/);
    await controlPlane.api.merge(LEASE, { spec: { holderIdentity: '' } });
  });
});

test('an environment that is not complete is refused with the names of the variables', async () => {
  const replica = await start('kadre-h', await folder('h'), { KADRE_RUNTIME_IMAGE: '', POD_NAMESPACE: undefined });
  expect(await replica.exit).toBe(2);
  expect(replica.output()).toMatch(/KADRE_RUNTIME_IMAGE[^]*POD_NAMESPACE/);
  expect(replica.output()).not.toMatch(/ {4}at /);
});
