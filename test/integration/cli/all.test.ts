// `kadre all` as a process of its own against a real API server: how it starts, leads, dies and hands over.
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'yaml';
import { startControlPlane, type ControlPlane } from '../../cluster/control-plane.ts';
import { freePort } from '../../support/free-port.ts';
import { eventually } from '../../support/kubectl.ts';

const root = join(import.meta.dirname, '..', '..', '..');
const API = '/apis/kadre.dev/v1alpha1/namespaces/default';
const LEASE = '/apis/coordination.k8s.io/v1/namespaces/kadre-system/leases/kadre';

let controlPlane: ControlPlane;
let data: string;
const processes: ChildProcess[] = [];

beforeAll(async () => {
  controlPlane = await startControlPlane();
  for (const file of await readdir(join(root, 'crds', 'manifests'))) {
    const crd = parse(await readFile(join(root, 'crds', 'manifests', file), 'utf8')) as { metadata: { name: string } };
    await controlPlane.api.apply(`/apis/apiextensions.k8s.io/v1/customresourcedefinitions/${crd.metadata.name}`, crd);
  }
  const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'kadre-system' } };
  await controlPlane.api.apply('/api/v1/namespaces/kadre-system', namespace);
  data = await mkdtemp(join(tmpdir(), 'kadre-all-'));
}, 1_200_000);
afterEach(() => {
  for (const child of processes.splice(0)) child.kill('SIGKILL');
});
afterAll(async () => {
  await controlPlane.stop();
  await rm(data, { recursive: true });
});

interface Replica {
  child: ChildProcess;
  url: string;
  output: () => string;
  exit: Promise<number | null>;
  ready: () => Promise<boolean>;
}

async function start(name: string, folder: string, change: NodeJS.ProcessEnv = {}): Promise<Replica> {
  const healthPort = await freePort();
  const child = spawn(process.execPath, [join(root, 'cli', 'src', 'main.ts'), 'all'], {
    env: {
      PATH: process.env['PATH'],
      KUBECONFIG: controlPlane.adminKubeconfigPath,
      POD_NAME: name,
      POD_NAMESPACE: 'kadre-system',
      KADRE_DATA_DIR: folder,
      KADRE_RUNTIME_IMAGE: 'kadre-agent-runtime:test',
      KADRE_GATEWAY_URL: 'http://gateway.test',
      KADRE_GATEWAY_PORT: String(await freePort()),
      KADRE_HEALTH_PORT: String(healthPort),
      ...change,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  processes.push(child);
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const url = `http://127.0.0.1:${healthPort}`;
  const ready = () =>
    fetch(`${url}/readyz`).then(
      (response) => response.ok,
      () => false,
    );
  const exit = once(child, 'exit').then(([code]) => code as number | null);
  return { child, url, output: () => output, exit, ready };
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
    const metrics = await (await fetch(`${replica.url}/metrics`)).text();
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
