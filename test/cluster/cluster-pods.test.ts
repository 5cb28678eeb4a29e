import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { ensureBinaries } from './binaries.ts';
import { capture } from './command.ts';
import { until } from './until.ts';

const main = path.join(import.meta.dirname, 'main.ts');
const namespace = `cluster-pods-${process.pid}`;
const image = 'localhost/kadre/witness:test';
const directory = mkdtempSync(path.join(tmpdir(), 'kadre-pods-'));

const cluster = (...args: readonly string[]): Promise<string> => capture(process.execPath, [main, ...args]);
const kubectl = (...args: readonly string[]): Promise<string> => cluster('kubectl', '-n', namespace, ...args);
const inWeb = async (...witness: readonly string[]): Promise<string> =>
  (await kubectl('exec', 'deployment/web', '--', '/witness', ...witness)).trim();

/** A container that restricted Pod Security lets in. */
const container = (name: string, args: readonly string[], more: object = {}): object => ({
  name,
  image,
  args,
  imagePullPolicy: 'Never',
  securityContext: { allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: { drop: ['ALL'] } },
  ...more,
});
const podSecurity = { runAsNonRoot: true, runAsUser: 65532, seccompProfile: { type: 'RuntimeDefault' } };

// The cluster that `up` has made, whichever it is. Images cannot be loaded into one that is only borrowed.
const describeWhereImagesLoad = process.env['KADRE_CLUSTER'] === 'existing' ? describe.skip : describe;

describeWhereImagesLoad('pods under restricted Pod Security', () => {
  beforeAll(async () => {
    const binaries = await ensureBinaries();
    const archive = path.join(directory, 'witness.tar');
    await capture(binaries.kadreCluster, ['image', '-name', image, '-binary', binaries.witness, '-output', archive]);
    await cluster('load-image', archive);
    await cluster('kubectl', 'create', 'namespace', namespace);
    await cluster('kubectl', 'label', 'namespace', namespace, 'pod-security.kubernetes.io/enforce=restricted');
    await apply(claim, web, service);
    await kubectl('rollout', 'status', 'deployment/web', '--timeout=2m');
  }, 180_000);
  afterAll(async () => {
    await cluster('kubectl', 'delete', 'namespace', namespace, '--wait=false');
    rmSync(directory, { recursive: true });
  }, 60_000);

  test('are reached through a Service by its name', async () => {
    // A VIP works a moment after the pod behind it has become ready.
    const answer = await until(() =>
      inWeb('fetch', `http://web.${namespace}.svc.cluster.local`).catch(() => undefined),
    );
    expect(answer).toMatch(/^hello from web-/);
    await expect(inWeb('fetch', 'http://web')).resolves.toMatch(/^hello from web-/);
  }, 30_000);

  test('find the API server by its name', async () => {
    const vip = await kubectl('-n', 'default', 'get', 'service', 'kubernetes', '-o', 'jsonpath={.spec.clusterIP}');
    await expect(inWeb('lookup', 'kubernetes.default.svc.cluster.local')).resolves.toBe(vip);
  });

  test('answer to exec, logs and port-forward', async () => {
    await expect(inWeb('print', 'HOME')).resolves.toBe('/');
    await expect(kubectl('logs', 'deployment/web')).resolves.toContain('asked for /ready');
    await expect(fetchForwarded()).resolves.toMatch(/^hello from web-/);
  });

  test('write to a claimed volume as a user other than root', async () => {
    await inWeb('write', '/data/note', 'kept');
    await expect(inWeb('read', '/data/note')).resolves.toBe('kept');
  });

  test('hold a token for one audience, which TokenReview tells from another', async () => {
    const token = await inWeb('read', '/token/token');
    await expect(review(token, 'gateway')).resolves.toMatchObject({
      authenticated: true,
      user: { username: `system:serviceaccount:${namespace}:default` },
    });
    await expect(review(token, 'elsewhere')).resolves.not.toHaveProperty('authenticated', true);
  });

  test('get a GPU when they ask for one, and wait when there are not so many', async () => {
    await apply(gpuJob('modest', 1), gpuJob('greedy', 1000));
    await kubectl('wait', '--for=condition=complete', 'job/modest', '--timeout=60s');
    const reason = 'jsonpath={.items[0].status.conditions[?(@.type=="PodScheduled")].reason}';
    const waiting = await kubectl('get', 'pods', '-l', 'job-name=greedy', '-o', reason);
    expect(waiting).toBe('Unschedulable');
  }, 90_000);
});

const claim = {
  apiVersion: 'v1',
  kind: 'PersistentVolumeClaim',
  metadata: { name: 'data' },
  spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
};

const probe = (path: string): object => ({ httpGet: { path, port: 8080 }, periodSeconds: 1 });

const web = {
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'web' },
  spec: {
    selector: { matchLabels: { app: 'web' } },
    template: {
      metadata: { labels: { app: 'web' } },
      spec: {
        securityContext: podSecurity,
        containers: [
          container('web', ['serve'], {
            startupProbe: probe('/start'),
            readinessProbe: probe('/ready'),
            livenessProbe: probe('/live'),
            resources: { limits: { cpu: '100m', memory: '32Mi' } },
            volumeMounts: [
              { name: 'data', mountPath: '/data' },
              { name: 'token', mountPath: '/token' },
            ],
          }),
        ],
        volumes: [
          { name: 'data', persistentVolumeClaim: { claimName: 'data' } },
          { name: 'token', projected: { sources: [{ serviceAccountToken: { audience: 'gateway', path: 'token' } }] } },
        ],
      },
    },
  },
};

const service = {
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: 'web' },
  spec: { selector: { app: 'web' }, ports: [{ port: 80, targetPort: 8080 }] },
};

function gpuJob(name: string, gpus: number): object {
  const resources = { limits: { 'nvidia.com/gpu': String(gpus) } };
  const spec = {
    restartPolicy: 'Never',
    nodeSelector: { 'nvidia.com/gpu.product': 'Pretend-GPU' },
    securityContext: podSecurity,
    containers: [container('train', ['print', 'NVIDIA_VISIBLE_DEVICES'], { resources })],
  };
  return { apiVersion: 'batch/v1', kind: 'Job', metadata: { name }, spec: { template: { spec } } };
}

async function apply(...items: readonly object[]): Promise<void> {
  const file = path.join(directory, 'objects.json');
  writeFileSync(file, JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));
  await kubectl('apply', '-f', file);
}

async function review(token: string, audience: string): Promise<unknown> {
  const file = path.join(directory, 'review.json');
  const spec = { token, audiences: [audience] };
  writeFileSync(file, JSON.stringify({ apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview', spec }));
  const answer = JSON.parse(await kubectl('create', '-o', 'json', '-f', file)) as { status: unknown };
  return answer.status;
}

async function fetchForwarded(): Promise<string> {
  const forward = spawn(process.execPath, [main, 'kubectl', '-n', namespace, 'port-forward', 'service/web', ':80'], {
    stdio: ['ignore', 'pipe', 'inherit'],
    detached: true,
  });
  try {
    for await (const line of createInterface(forward.stdout)) {
      const [, address] = /Forwarding from (127\.0\.0\.1:\d+)/.exec(line) ?? [];
      if (address !== undefined) return await (await fetch(`http://${address}`)).text();
    }
    throw new Error('port-forward ended without forwarding');
  } finally {
    // The whole group, because kubectl is a child of what was started.
    if (forward.pid !== undefined) process.kill(-forward.pid, 'SIGTERM');
  }
}
