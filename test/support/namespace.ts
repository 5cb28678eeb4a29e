// A namespace for one test file, under enforced Pod Security "restricted", on the cluster that KUBECONFIG names.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { eventually, kubectlFor, type KubeObject, type Kubectl } from './kubectl.ts';

const root = join(import.meta.dirname, '..', '..');

export function kubeconfig(): string {
  const path = process.env['KUBECONFIG'];
  if (!path) throw new Error('KUBECONFIG is not set. `make e2e` starts a cluster, installs Kadre and sets it.');
  return path;
}

export async function makeNamespace(name: string): Promise<Kubectl> {
  const cluster = kubectlFor(kubeconfig());
  await cluster.run(['delete', 'namespace', name, '--ignore-not-found']);
  await cluster.apply(
    JSON.stringify({
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name, labels: { 'pod-security.kubernetes.io/enforce': 'restricted' } },
    }),
  );
  return kubectlFor(kubeconfig(), name);
}

export async function removeNamespace(kubectl: Kubectl): Promise<void> {
  await kubectl.run(['delete', 'namespace', kubectl.namespace, '--ignore-not-found', '--wait=false']);
}

/** @param path below `examples/`, without `.yaml` */
export async function example(path: string): Promise<string> {
  return readFile(join(root, 'examples', `${path}.yaml`), 'utf8');
}

interface Condition {
  type: string;
  status: string;
  reason: string;
  message: string;
}

export function conditionOf(object: KubeObject | undefined, type: string): Condition | undefined {
  return (object?.['status']?.conditions as Condition[] | undefined)?.find((condition) => condition.type === type);
}

export async function ready(kubectl: Kubectl, kind: string, name: string): Promise<KubeObject> {
  return eventually(`${kind} ${name} Ready`, async () => {
    const object = await kubectl.get(kind, name);
    const condition = conditionOf(object, 'Ready');
    if (object && condition?.status === 'True' && object['status'].observedGeneration === object.metadata.generation)
      return object;
    throw new Error(`${condition?.reason ?? 'no condition'}: ${condition?.message ?? ''}`);
  });
}

/** Creates a Run and returns its name. */
export async function createRun(kubectl: Kubectl, generateName: string, spec: object): Promise<string> {
  const run = { apiVersion: 'kadre.dev/v1alpha1', kind: 'Run', metadata: { generateName }, spec };
  const name = await kubectl.run(['create', '-f', '-', '-o', 'name'], JSON.stringify(run));
  return name.trim().split('/')[1] ?? '';
}

export async function finished(kubectl: Kubectl, run: string): Promise<KubeObject> {
  return eventually(`The end of run ${run}`, async () => {
    const object = await kubectl.get('run', run);
    if (object && ['Succeeded', 'Failed', 'Cancelled'].includes(object['status']?.phase)) return object;
    throw new Error(JSON.stringify(object?.['status'] ?? 'no status'));
  });
}
