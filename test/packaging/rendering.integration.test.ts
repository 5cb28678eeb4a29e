// The two ways to install render the same Kadre, and every pod of it may run where Pod Security is restricted.
import { execFile } from 'node:child_process';
import path from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, jest, test } from '@jest/globals';
import { parseAllDocuments } from 'yaml';
import { ensureBinaries } from '../cluster/binaries.ts';
import { ensureHelm } from './helm.ts';

const run = promisify(execFile);
const root = path.join(import.meta.dirname, '..', '..');

// The first build of the tools is done by the time tests run; run alone, this file may have to wait for it.
jest.setTimeout(20 * 60_000);

interface Manifest {
  apiVersion: string;
  kind: string;
  metadata: {
    name: string;
    namespace?: string;
    labels?: Record<string, string>;
    annotations?: Record<string, string>;
  };
  spec?: Record<string, unknown>;
}

interface Container {
  image: string;
  env: { name: string; value?: string }[];
  resources: { requests: Record<string, string>; limits: Record<string, string> };
  securityContext: Record<string, unknown>;
}

interface PodSpec {
  nodeSelector?: Record<string, string>;
  securityContext: Record<string, unknown>;
  volumes: Record<string, unknown>[];
  containers: Container[];
}

let helm: string;
let kubectl: string;

beforeAll(async () => {
  const binaries = await ensureBinaries();
  kubectl = binaries.kadreCluster;
  helm = await ensureHelm();
});

async function rendered(program: string, ...args: string[]): Promise<Manifest[]> {
  const { stdout } = await run(program, args, { cwd: root, maxBuffer: 64 * 2 ** 20 });
  const documents = parseAllDocuments(stdout).map((document) => document.toJS() as Manifest | null);
  return documents.filter((document) => document !== null);
}

const kustomize = () => rendered(kubectl, 'kubectl', 'kustomize', 'config/default');
const chart = (...sets: string[]) =>
  rendered(
    helm,
    'template',
    'kadre',
    'charts/kadre',
    '--namespace',
    'kadre-system',
    ...sets.flatMap((set) => ['--set', set]),
  );

const identity = ({ apiVersion, kind, metadata }: Manifest) =>
  [apiVersion, kind, metadata.namespace ?? '', metadata.name].join(' ');

/** Without what differs by nature: the labels of the installer, and what Helm is told to keep. */
function comparable(objects: Manifest[]): Map<string, unknown> {
  const own = /^(app\.kubernetes\.io\/(name|part-of|version|managed-by)|helm\.sh\/chart)$/;
  const strip = (entries: Record<string, string> | undefined, out: RegExp) =>
    Object.fromEntries(Object.entries(entries ?? {}).filter(([key]) => !out.test(key)));
  return new Map(
    objects
      .filter(({ kind }) => kind !== 'Namespace')
      .map((object) => [
        identity(object),
        {
          ...object,
          metadata: {
            ...object.metadata,
            labels: strip(object.metadata.labels, own),
            annotations: strip(object.metadata.annotations, /^helm\.sh\//),
          },
        },
      ]),
  );
}

function podOf(objects: Manifest[]): PodSpec {
  const deployment = objects.find(({ kind }) => kind === 'Deployment');
  return (deployment?.spec as { template: { spec: PodSpec } }).template.spec;
}

describe('kustomize and Helm', () => {
  test('render the same objects', async () => {
    const byKustomize = comparable(await kustomize());
    const byHelm = comparable(await chart());
    expect([...byHelm.keys()].sort()).toEqual([...byKustomize.keys()].sort());
    for (const [name, object] of byKustomize) expect([name, byHelm.get(name)]).toEqual([name, object]);
  });

  test('install into a namespace under restricted Pod Security with kustomize', async () => {
    const namespace = (await kustomize()).find(({ kind }) => kind === 'Namespace');
    expect(namespace?.metadata.name).toBe('kadre-system');
    expect(namespace?.metadata.labels).toMatchObject({ 'pod-security.kubernetes.io/enforce': 'restricted' });
  });

  test.each([
    ['kustomize', kustomize],
    ['Helm', () => chart()],
  ])('give the pod what restricted Pod Security asks for, and limits, with %s', async (_by, render) => {
    const pod = podOf(await render());
    expect(pod.securityContext).toMatchObject({ runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } });
    expect(pod.volumes.flatMap((volume) => Object.keys(volume)).sort()).toEqual([
      'emptyDir',
      'name',
      'name',
      'persistentVolumeClaim',
    ]);
    for (const { securityContext, resources } of pod.containers) {
      expect(securityContext).toEqual({
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ['ALL'] },
      });
      for (const resource of ['cpu', 'memory', 'ephemeral-storage']) {
        expect(resources.requests[resource]).toBeDefined();
        expect(resources.limits[resource]).toBeDefined();
      }
    }
  });
});

describe('the chart', () => {
  test('keeps the kinds, and with them all agents and runs, when it is uninstalled', async () => {
    const kinds = (await chart()).filter(({ kind }) => kind === 'CustomResourceDefinition');
    expect(kinds.map(({ metadata }) => metadata.name).sort()).toEqual([
      'agents.kadre.dev',
      'gpupools.kadre.dev',
      'models.kadre.dev',
      'runs.kadre.dev',
      'workflows.kadre.dev',
    ]);
    for (const { metadata } of kinds) expect(metadata.annotations?.['helm.sh/resource-policy']).toBe('keep');
  });

  test('puts every namespaced object into the namespace of the release', async () => {
    const objects = await rendered(helm, 'template', 'x', 'charts/kadre', '--namespace', 'ai');
    expect(JSON.stringify(objects)).not.toContain('kadre-system');
    expect(objects.filter(({ metadata }) => metadata.namespace === 'ai').length).toBeGreaterThan(5);
  });

  test('takes images by digest, and nodes to run on', async () => {
    const digest = `sha256:${'a'.repeat(64)}`;
    const pod = podOf(await chart(`image.digest=${digest}`, 'runtimeImage.tag=1.2.3', 'nodeSelector.disk=ssd'));
    expect(pod.containers[0]?.image).toBe(`kadre@${digest}`);
    expect(pod.containers[0]?.env).toContainEqual({ name: 'KADRE_RUNTIME_IMAGE', value: 'kadre-agent-runtime:1.2.3' });
    expect(pod.nodeSelector).toEqual({ disk: 'ssd' });
  });

  test.each([
    ['crds.install=false', 'CustomResourceDefinition'],
    ['admissionPolicy.enabled=false', 'ValidatingAdmissionPolicy'],
    ['networkPolicy.enabled=false', 'NetworkPolicy'],
    ['persistence.existingClaim=mine', 'PersistentVolumeClaim'],
  ])('with %s has no %s', async (set, kind) => {
    expect((await chart(set)).map((object) => object.kind)).not.toContain(kind);
  });

  test('adds egress rules to its own', async () => {
    const policy = (await chart('networkPolicy.extraEgress[0].ports[0].port=11434')).find(
      ({ kind }) => kind === 'NetworkPolicy',
    );
    expect((policy?.spec as { egress: unknown[] }).egress.at(-1)).toEqual({ ports: [{ port: 11434 }] });
  });

  test.each([
    ['two replicas on the embedded store', 'replicas=2', /replicas/],
    ['a store that does not exist', 'store.type=postgres', /type/],
    ['a misspelt value', 'replica=1', /replica/],
    ['a digest that is none', 'image.digest=latest', /digest/],
    ['a level that does not exist', 'logLevel=verbose', /logLevel/],
  ])('refuses %s', async (_what, set, complaint) => {
    await expect(chart(set)).rejects.toThrow(complaint);
  });
});
