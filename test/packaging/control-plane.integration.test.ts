// The bundled control plane on a real API server, with exactly the rights that config/rbac gives it.
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { bundle, programs } from '../../scripts/bundle.ts';
import { startControlPlane, type ControlPlane } from '../cluster/control-plane.ts';
import { freePort } from '../support/free-port.ts';
import { eventually } from '../support/kubectl.ts';

const root = path.join(import.meta.dirname, '..', '..');
const COLD_MACHINE_MS = 20 * 60_000;

let controlPlane: ControlPlane;
let folder: string;
let kadre: ChildProcess | undefined;
let log = '';
let healthUrl: string;

function kubectl(args: string[], input: object = {}): Promise<string> {
  const all = ['kubectl', '--kubeconfig', controlPlane.adminKubeconfigPath, ...args];
  return new Promise((resolve, reject) => {
    const child = execFile(controlPlane.binaries.kadreCluster, all, { cwd: root }, (error, out, complaint) => {
      if (error) reject(new Error(complaint || error.message));
      else resolve(out);
    });
    child.stdin?.end(JSON.stringify(input));
  });
}

/** The administrator's kubeconfig with the token of Kadre's ServiceAccount in place of the administrator's certificate. */
async function kubeconfigOfKadre(): Promise<string> {
  const token = (await kubectl(['-n', 'kadre-system', 'create', 'token', 'kadre'])).trim();
  const admin = JSON.parse(await kubectl(['config', 'view', '--raw', '--flatten', '-o', 'json'])) as {
    users: { user: object }[];
  };
  const file = path.join(folder, 'kubeconfig');
  await writeFile(
    file,
    JSON.stringify({ ...admin, users: admin.users.map((entry) => ({ ...entry, user: { token } })) }),
    {
      mode: 0o600,
    },
  );
  return file;
}

async function startKadre(): Promise<void> {
  const [health, gateway, server] = [await freePort(), await freePort(), await freePort()];
  await bundle(programs.kadre, path.join(folder, 'app'));
  healthUrl = `http://127.0.0.1:${health}`;
  const started = spawn(process.execPath, [path.join(folder, 'app', 'main.js'), 'all'], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      KUBECONFIG: await kubeconfigOfKadre(),
      KADRE_DATA_DIR: folder,
      KADRE_RUNTIME_IMAGE: 'kadre-agent-runtime:0.1.0',
      KADRE_GATEWAY_URL: 'http://kadre-gateway.kadre-system.svc',
      KADRE_GATEWAY_PORT: `${gateway}`,
      KADRE_SERVER_PORT: `${server}`,
      KADRE_HEALTH_PORT: `${health}`,
      POD_NAMESPACE: 'kadre-system',
      POD_NAME: 'kadre-0',
    },
  });
  for (const stream of [started.stdout, started.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => (log += text));
  }
  kadre = started;
  await eventually('Kadre ready', async () => (await fetch(`${healthUrl}/readyz`)).ok, 60).catch((error: unknown) => {
    throw new Error(`${String(error)}\n${log.slice(-4000)}`);
  });
}

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'kadre-packaging-'));
  controlPlane = await startControlPlane();
  await kubectl(['apply', '--server-side', '-k', 'config/default']);
  await kubectl([
    'wait',
    '--for=condition=Established',
    'crd',
    '-l',
    'app.kubernetes.io/part-of=kadre',
    '--timeout=60s',
  ]);
  await startKadre();
}, COLD_MACHINE_MS);

afterAll(async () => {
  if (kadre?.exitCode === null && kadre.signalCode === null) {
    kadre.kill('SIGKILL');
    await once(kadre, 'close');
  }
  await controlPlane.stop();
  await rm(folder, { recursive: true, force: true });
});

const agent = {
  apiVersion: 'kadre.dev/v1alpha1',
  kind: 'Agent',
  metadata: { name: 'writer' },
  spec: {
    model: 'assistant',
    instructions: 'Write.',
    serving: { autoscaling: { minReplicas: 2, maxReplicas: 3 }, expose: { host: 'a.example.com', ingress: {} } },
  },
};
const workflow = {
  apiVersion: 'kadre.dev/v1alpha1',
  kind: 'Workflow',
  metadata: { name: 'train' },
  spec: { steps: [{ name: 'train', container: { image: 'busybox:1.37', gpu: { pool: 'a100' } } }] },
};
const pool = { apiVersion: 'kadre.dev/v1alpha1', kind: 'GpuPool', metadata: { name: 'a100' }, spec: {} };
const run = {
  apiVersion: 'kadre.dev/v1alpha1',
  kind: 'Run',
  metadata: { name: 'train-1' },
  spec: { workflow: { name: 'train' } },
};

describe('with no more than its rights, the control plane', () => {
  test('makes all that an Agent becomes', async () => {
    await kubectl(['apply', '-f', 'examples/models/simulated.yaml']);
    await kubectl(['create', '-f', '-'], agent);
    const kinds = ['deployment', 'service', 'serviceaccount', 'networkpolicy', 'hpa', 'ingress', 'poddisruptionbudget'];
    for (const kind of kinds) {
      await eventually(`the ${kind} of the agent`, async () =>
        (await kubectl(['get', kind, '-o', 'name', '-l', 'app.kubernetes.io/managed-by=kadre'])).includes('writer'),
      );
    }
  });

  test('makes the Job of a step, and writes how far the run is', async () => {
    for (const object of [pool, workflow, run]) await kubectl(['create', '-f', '-'], object);
    await eventually('the Job', async () => (await kubectl(['get', 'jobs', '-o', 'name'])).trim() !== '');
    await eventually(
      'the phase of the run',
      async () => (await kubectl(['get', 'run', 'train-1', '-o', 'jsonpath={.status.phase}'])) === 'Running',
    );
  });

  test('asks Tools, reads their Secrets, and writes what it found', async () => {
    const secretRef = { name: 'shop', key: 'api-key' };
    const spec = {
      description: 'Looks up an order.',
      http: { url: 'https://shop.example.com/{id}', auth: { secretRef }, input: { schema: {} } },
    };
    const secret = { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'shop' }, stringData: { 'api-key': 'x' } };
    await kubectl(['create', '-f', '-'], secret);
    await kubectl(['create', '-f', '-'], { ...pool, kind: 'Tool', metadata: { name: 'order' }, spec });
    await kubectl(['wait', '--for=condition=Ready', 'tool/order', '--timeout=60s']);
  });

  test('keeps a GpuPool that is in use', async () => {
    await eventually('the finalizer of the pool', async () =>
      (await kubectl(['get', 'gpupool', 'a100', '-o', 'jsonpath={.metadata.finalizers}'])).includes('kadre.dev/in-use'),
    );
  });

  test('is never refused anything', () => {
    expect(log.split('\n').filter((line) => /forbidden/i.test(line))).toEqual([]);
  });

  test('stops when it is asked to, with everything in its place', async () => {
    const closed = kadre && once(kadre, 'close');
    kadre?.kill('SIGTERM');
    expect(await closed).toEqual([0, null]);
  });
});
