// The control plane's commands as processes of their own, against an API server of a test.
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parse } from 'yaml';
import type { ControlPlane } from '../cluster/control-plane.ts';
import { freePort } from './free-port.ts';
import { eventually } from './kubectl.ts';

const root = join(import.meta.dirname, '..', '..');

/** The kinds, once they are served, and the namespace that Kadre runs in. */
export async function prepareApi({ api }: ControlPlane): Promise<void> {
  const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'kadre-system' } };
  await api.apply('/api/v1/namespaces/kadre-system', namespace);
  for (const file of await readdir(join(root, 'crds', 'manifests'))) {
    const crd = parse(await readFile(join(root, 'crds', 'manifests', file), 'utf8')) as CustomResourceDefinition;
    await api.apply(`/apis/apiextensions.k8s.io/v1/customresourcedefinitions/${crd.metadata.name}`, crd);
    const path = `/apis/kadre.dev/v1alpha1/${crd.spec.names.plural}`;
    await eventually(`${crd.metadata.name} served`, async () => (await api.call('GET', path)).status === 200);
  }
}

interface CustomResourceDefinition {
  metadata: { name: string };
  spec: { names: { plural: string } };
}

export interface KadreProcess {
  child: ChildProcess;
  /** Of its health and metrics. */
  url: string;
  /** Of its gateway, if it has one. */
  gatewayUrl: string;
  /** Of its server, if it has one. */
  serverUrl: string;
  output: () => string;
  /** The code, or null if a signal ended it. */
  exit: Promise<number | null>;
  ready: () => Promise<boolean>;
  metrics: () => Promise<string>;
}

/** @param env beside what every role needs */
export async function startKadre(
  controlPlane: ControlPlane,
  command: string,
  name: string,
  env: NodeJS.ProcessEnv,
): Promise<KadreProcess> {
  const [healthPort, gatewayPort, serverPort] = [await freePort(), await freePort(), await freePort()];
  const child = spawn(process.execPath, [join(root, 'cli', 'src', 'main.ts'), command], {
    env: {
      PATH: process.env['PATH'],
      KUBECONFIG: controlPlane.adminKubeconfigPath,
      POD_NAME: name,
      POD_NAMESPACE: 'kadre-system',
      KADRE_RUNTIME_IMAGE: 'kadre-agent-runtime:test',
      KADRE_GATEWAY_URL: 'http://gateway.test',
      KADRE_GATEWAY_PORT: String(gatewayPort),
      KADRE_SERVER_PORT: String(serverPort),
      KADRE_HEALTH_PORT: String(healthPort),
      ...env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const url = `http://127.0.0.1:${healthPort}`;
  return {
    child,
    url,
    gatewayUrl: `http://127.0.0.1:${gatewayPort}`,
    serverUrl: `http://127.0.0.1:${serverPort}`,
    output: () => output,
    exit: once(child, 'exit').then(([code]) => code as number | null),
    ready: () =>
      fetch(`${url}/readyz`).then(
        (response) => response.ok,
        () => false,
      ),
    metrics: async () => (await fetch(`${url}/metrics`)).text(),
  };
}
