// The chart with mode=separate: each role a Deployment of its own, their store a real PostgreSQL beside the cluster. The demo's
// workflow runs there while an engine is killed. Afterwards the control plane is what it was before.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { BlockList } from 'node:net';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { ensureHelm } from '../packaging/helm.ts';
import { SYSTEM_NAMESPACE } from '../support/install.ts';
import { capture, eventually, kubectlFor, type KubeObject, type Kubectl } from '../support/kubectl.ts';
import {
  createRun,
  example,
  finished,
  kubeconfig,
  makeNamespace,
  ready,
  removeNamespace,
} from '../support/namespace.ts';
import { startPostgres, type PostgresServer } from '../support/postgres.ts';

const root = join(import.meta.dirname, '..', '..');
const roles = ['operator', 'engine', 'gateway', 'server'];
const system = kubectlFor(kubeconfig(), SYSTEM_NAMESPACE);
const address = await addressForPods();
// A cluster elsewhere can't reach a database on this machine.
const describeWhereReachable = address === undefined ? describe.skip : describe;

/** Of this machine, in the network that the nodes are in. */
async function addressForPods(): Promise<string | undefined> {
  const nodes = (await system.list('nodes')) as { status?: { addresses: { type: string; address: string }[] } }[];
  const node = nodes[0]?.status?.addresses.find(({ type }) => type === 'InternalIP')?.address ?? '';
  const own = Object.values(networkInterfaces()).flatMap((found) => found ?? []);
  return own.find(({ family, cidr }) => family === 'IPv4' && cidr !== null && contains(cidr, node))?.address;
}

function contains(cidr: string, other: string): boolean {
  const [net = '', bits = ''] = cidr.split('/');
  const list = new BlockList();
  list.addSubnet(net, Number(bits));
  return list.check(other);
}

const pods = (role: string) => system.list('pods', '-l', `kadre.dev/role=${role}`);

async function rolledOut(...names: string[]): Promise<void> {
  for (const name of names) await system.run(['rollout', 'status', `deployment/${name}`, '--timeout=240s']);
}

describeWhereReachable('with roles of their own on PostgreSQL', () => {
  let postgres: PostgresServer;
  let kubectl: Kubectl;
  let run: KubeObject;

  beforeAll(async () => {
    postgres = await startPostgres(address);
    const url = postgres.url().replace('127.0.0.1', address ?? '');
    await system.run(['scale', 'deployment/kadre', '--replicas=0']);
    await eventually('the former control plane gone', async () => {
      const left = await system.list('pods', '-l', 'app.kubernetes.io/component=control-plane');
      return left.length === 0;
    });
    const secret = { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'kadre-postgres' }, stringData: { url } };
    await system.apply(JSON.stringify(secret));
    await system.apply(await rendered());
    await rolledOut(...roles.map((role) => `kadre-${role}`));

    kubectl = await makeNamespace('kadre-e2e-postgres');
    for (const path of ['models/simulated', 'article/gpu-pool', 'article/agents', 'article/workflow'])
      await kubectl.apply(await example(path));
    for (const agent of ['researcher', 'writer', 'critic']) await ready(kubectl, 'agent', agent);
    const input = { topics: ['GPU', 'CEL', 'A2A'] };
    const name = await createRun(kubectl, 'article-', { workflow: { name: 'article' }, input });
    await eventually('a step done', async () => {
      const steps = ((await kubectl.get('run', name))?.['status']?.steps ?? []) as { phase: string }[];
      return steps.some(({ phase }) => phase === 'Succeeded');
    });
    const [engine] = await pods('engine');
    await system.run(['delete', 'pod', engine?.metadata.name ?? '', '--force', '--grace-period=0']);
    run = await finished(kubectl, name);
  }, 600_000);

  afterAll(async () => {
    await removeNamespace(kubectl);
    const names = roles.map((role) => `kadre-${role}`);
    await system.run(['delete', 'deployment,poddisruptionbudget', ...names, '--ignore-not-found']);
    await system.run(['delete', 'serviceaccount,clusterrolebinding', ...names, '--ignore-not-found']);
    await system.run(['delete', 'secret', 'kadre-postgres', '--ignore-not-found']);
    await system.run(['apply', '--server-side', '--force-conflicts', '-k', join(root, 'config', 'default')]);
    await system.run(['scale', 'deployment/kadre', '--replicas=1']);
    await rolledOut('kadre');
    await postgres.remove();
  }, 300_000);

  /** Without Helm's own records: the objects are there already, and stay when this is over. */
  async function rendered(): Promise<string> {
    const sets = ['mode=separate', 'store.postgres.existingSecret=kadre-postgres', 'server.replicas=1'];
    const flags = [...sets, `networkPolicy.postgres.port=${postgres.port}`].flatMap((set) => ['--set', set]);
    return capture(await ensureHelm(console.log), [
      'template',
      'kadre',
      join(root, 'charts', 'kadre'),
      '--namespace',
      SYSTEM_NAMESPACE,
      ...flags,
    ]);
  }

  test('the article is written, though an engine was killed meanwhile: each step once, each Job once', async () => {
    const { phase, output, steps, usage } = run['status'];
    expect(phase).toBe('Succeeded');
    expect(output.article).toMatch(/facts say/);
    expect((steps as { attempt?: number }[]).filter(({ attempt = 1 }) => attempt !== 1)).toEqual([]);
    expect(usage.inputTokens).toBeGreaterThan(0);
    expect(await kubectl.list('jobs')).toHaveLength(2);
  });

  test('the database has all that was recorded, and says nothing of it twice', async () => {
    const twice = await postgres.query(
      "SELECT run, data FROM kadre.events WHERE type = 'StepSucceeded' GROUP BY run, data HAVING count(*) > 1",
    );
    expect(twice).toEqual([]);
    const [{ calls } = { calls: '0' }] = await postgres.query<{ calls: string }>(
      'SELECT count(*) AS calls FROM kadre.usage',
    );
    expect(Number(calls)).toBeGreaterThan(0);
  });

  test('no role asks for more than it may have', async () => {
    for (const role of roles) {
      for (const { metadata } of await pods(role)) {
        expect([role, await system.run(['logs', metadata.name])]).toEqual([
          role,
          expect.not.stringMatching(/forbidden/i),
        ]);
      }
    }
  });

  test('one operator leads, and the other stands by, ready', async () => {
    const lease = await system.get('lease', 'kadre');
    const operators = await pods('operator');
    expect(operators.map(({ metadata }) => metadata.name)).toContain(lease?.['spec'].holderIdentity);
    expect(operators.map((pod) => pod['status'].containerStatuses[0].ready as boolean)).toEqual([true, true]);
  });
});
