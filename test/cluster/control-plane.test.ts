import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { capture } from './command.ts';
import { type ControlPlane, startControlPlane } from './control-plane.ts';
import { until } from './until.ts';

// Building the programs takes minutes on a machine that has not done so before.
const startMs = 20 * 60_000;

interface Pods {
  readonly items: readonly { readonly spec: { readonly nodeName?: string } }[];
}

describe('a control plane', () => {
  let controlPlane: ControlPlane;
  beforeAll(async () => {
    controlPlane = await startControlPlane();
  }, startMs);
  afterAll(() => controlPlane.stop());

  test('answers kubectl with its kubeconfig', async () => {
    const { binaries, adminKubeconfigPath } = controlPlane;
    const namespaces = await capture(binaries.kadreCluster, ['kubectl', 'get', 'namespaces', '-o', 'name'], {
      KUBECONFIG: adminKubeconfigPath,
    });
    expect(namespaces).toContain('namespace/kube-system');
  });

  test('places a Job that asks for a GPU on the fake node that has one', async () => {
    await controlPlane.addNode({ name: 'plain' });
    await controlPlane.addNode({ name: 'gpu', capacity: { 'nvidia.com/gpu': '2' } });
    const container = { name: 'train', image: 'none', resources: { limits: { 'nvidia.com/gpu': '1' } } };
    await controlPlane.api.apply('/apis/batch/v1/namespaces/default/jobs/train', {
      apiVersion: 'batch/v1',
      kind: 'Job',
      metadata: { name: 'train' },
      spec: { template: { spec: { restartPolicy: 'Never', containers: [container] } } },
    });
    const placed = await until(async () => {
      const pods = await controlPlane.api.get<Pods>('/api/v1/namespaces/default/pods?labelSelector=job-name%3Dtrain');
      return pods.items[0]?.spec.nodeName;
    });
    expect(placed).toBe('gpu');
  }, 60_000);

  test('keeps what was written when its API server is killed and started again', async () => {
    const configMap = '/api/v1/namespaces/default/configmaps/kept';
    await controlPlane.api.apply(configMap, { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'kept' } });
    await controlPlane.killApiServer();
    await expect(controlPlane.api.get(configMap)).rejects.toThrow('ECONNREFUSED');
    await controlPlane.startApiServer();
    await expect(controlPlane.api.get(configMap)).resolves.toMatchObject({ metadata: { name: 'kept' } });
  }, 180_000);

  test('enforces restricted Pod Security where a namespace asks for it', async () => {
    const labels = { 'pod-security.kubernetes.io/enforce': 'restricted' };
    await controlPlane.api.apply('/api/v1/namespaces/strict', {
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name: 'strict', labels },
    });
    const serviceAccount = '/api/v1/namespaces/strict/serviceaccounts/default';
    await until(async () => ((await controlPlane.api.call('GET', serviceAccount)).status === 200 ? true : undefined));
    const answer = await controlPlane.api.call('POST', '/api/v1/namespaces/strict/pods?dryRun=All', {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'lax' },
      spec: { containers: [{ name: 'lax', image: 'none' }] },
    });
    expect(answer).toMatchObject({ status: 403, body: { message: expect.stringContaining('restricted') } });
  });

  test('refuses an API server flag that does not exist, with the log that says so', async () => {
    await expect(startControlPlane({ apiServerFlags: ['--no-such-flag'] })).rejects.toThrow('unknown flag');
  });
});

describe('control planes', () => {
  test(
    'run side by side without seeing each other, and leave nothing behind',
    async () => {
      const both = await Promise.all([startControlPlane(), startControlPlane()]);
      const [first, second] = both;
      const path = '/api/v1/namespaces/only-in-first';
      await first.api.apply(path, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'only-in-first' } });
      const seen = await second.api.call('GET', path);
      expect(seen.status).toBe(404);

      await Promise.all(both.map((controlPlane) => controlPlane.stop()));
      for (const { adminKubeconfigPath } of both) expect(remainsOf(directoryOf(adminKubeconfigPath))).toEqual([]);
    },
    startMs,
  );

  test(
    'end with the process that started them, even if it is killed',
    async () => {
      const module = path.join(import.meta.dirname, 'control-plane.ts');
      const script = `
      const { startControlPlane } = await import(${JSON.stringify(module)});
      console.log((await startControlPlane()).adminKubeconfigPath);
      setInterval(() => {}, 1000);`;
      const parent = spawn(process.execPath, ['--input-type=module', '-e', script], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const directory = directoryOf(await firstLine(parent));
      expect(remainsOf(directory).length).toBeGreaterThan(4);
      parent.kill('SIGKILL');
      await until(() => Promise.resolve(remainsOf(directory).length === 0 || undefined));
      expect(remainsOf(directory)).toEqual([]);
    },
    startMs,
  );
});

const directoryOf = (kubeconfig: string): string => path.dirname(kubeconfig);

/** The directory itself, if it is still there, and each process that works in it or has it in its arguments. */
function remainsOf(directory: string): string[] {
  const processes = readdirSync('/proc').filter((entry) => {
    try {
      return /^\d+$/.test(entry) && readFileSync(`/proc/${entry}/cmdline`, 'utf8').includes(directory);
    } catch {
      return false; // It has ended meanwhile.
    }
  });
  return [...(existsSync(directory) ? [directory] : []), ...processes];
}

async function firstLine(child: ChildProcess): Promise<string> {
  if (child.stdout === null) throw new Error('the child has no standard output');
  for await (const line of createInterface(child.stdout)) return line;
  throw new Error('the child ended without a word');
}
