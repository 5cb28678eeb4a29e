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
  args: string[];
  volumeMounts: Record<string, unknown>[];
  env: { name: string; value?: string; valueFrom?: { secretKeyRef?: { name: string; key: string } } }[];
  resources: { requests: Record<string, string>; limits: Record<string, string> };
  securityContext: Record<string, unknown>;
}

interface PodSpec {
  serviceAccountName: string;
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

const kustomize = (folder = 'config/default') => rendered(kubectl, 'kubectl', 'kustomize', folder);
const postgres = 'store.postgres.existingSecret=kadre-postgres';
const separate = ['mode=separate', postgres];
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

interface DeploymentSpec {
  replicas?: number;
  template: { metadata: { labels: Record<string, string> }; spec: PodSpec };
}

const deployments = (objects: Manifest[]): Map<string, DeploymentSpec> =>
  new Map(
    objects
      .filter(({ kind }) => kind === 'Deployment')
      .map(({ metadata, spec }) => [metadata.name, spec as unknown as DeploymentSpec]),
  );

function podsOf(objects: Manifest[]): PodSpec[] {
  return [...deployments(objects).values()].map(({ template }) => template.spec);
}

function podOf(objects: Manifest[]): PodSpec {
  const [pod] = podsOf(objects);
  if (!pod) throw new Error('no Deployment');
  return pod;
}

/** Of the container: name -> value, or the Secret that has it. */
const environment = (pod: PodSpec | undefined): Record<string, string> =>
  Object.fromEntries(
    (pod?.containers[0]?.env ?? []).map(({ name, value, valueFrom }) => {
      const { name: secret, key } = valueFrom?.secretKeyRef ?? {};
      return [name, value ?? `${secret ?? ''}/${key ?? ''}`];
    }),
  );

describe('kustomize and Helm', () => {
  test.each([
    ['SQLite', 'config/default', []],
    ['PostgreSQL', 'config/overlays/postgres', [postgres, 'replicas=2']],
  ])('render the same objects with %s', async (_store, folder, sets) => {
    const byKustomize = comparable(await kustomize(folder));
    const byHelm = comparable(await chart(...sets));
    expect([...byHelm.keys()].sort()).toEqual([...byKustomize.keys()].sort());
    for (const [name, object] of byKustomize) expect([name, byHelm.get(name)]).toEqual([name, object]);
  });

  test('install into a namespace under restricted Pod Security with kustomize', async () => {
    const namespace = (await kustomize()).find(({ kind }) => kind === 'Namespace');
    expect(namespace?.metadata.name).toBe('kadre-system');
    expect(namespace?.metadata.labels).toMatchObject({ 'pod-security.kubernetes.io/enforce': 'restricted' });
  });

  test.each([
    ['the pod of kustomize', () => kustomize(), 1],
    ['the pod of Helm', () => chart(), 1],
    ['each role of Helm', () => chart(...separate), 4],
  ])('give %s what restricted Pod Security asks for, and limits', async (_by, render, count) => {
    const pods = podsOf(await render());
    expect(pods).toHaveLength(count);
    for (const pod of pods) {
      expect(pod.securityContext).toMatchObject({ runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } });
      const sources = pod.volumes.flatMap((volume) => Object.keys(volume)).filter((key) => key !== 'name');
      expect(['emptyDir', 'persistentVolumeClaim']).toEqual(expect.arrayContaining(sources));
    }
    for (const { securityContext, resources } of pods.flatMap(({ containers }) => containers)) {
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
      'approvals.kadre.dev',
      'budgets.kadre.dev',
      'gpupools.kadre.dev',
      'knowledges.kadre.dev',
      'models.kadre.dev',
      'runs.kadre.dev',
      'tools.kadre.dev',
      'triggers.kadre.dev',
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
    const pod = podOf(
      await chart(
        `image.digest=${digest}`,
        'runtimeImage.tag=1.2.3',
        'sandboxImage.tag=1.2.4',
        'nodeSelector.disk=ssd',
      ),
    );
    expect(pod.containers[0]?.image).toBe(`kadre@${digest}`);
    expect(pod.containers[0]?.env).toContainEqual({ name: 'KADRE_RUNTIME_IMAGE', value: 'kadre-agent-runtime:1.2.3' });
    expect(pod.containers[0]?.env).toContainEqual({ name: 'KADRE_SANDBOX_IMAGE', value: 'kadre-sandbox:1.2.4' });
    expect(pod.nodeSelector).toEqual({ disk: 'ssd' });
  });

  test.each([
    ['crds.install=false', 'CustomResourceDefinition'],
    ['admissionPolicy.enabled=false', 'ValidatingAdmissionPolicy'],
    ['networkPolicy.enabled=false', 'NetworkPolicy'],
    ['persistence.existingClaim=mine', 'PersistentVolumeClaim'],
    [postgres, 'PersistentVolumeClaim'],
  ])('with %s has no %s', async (set, kind) => {
    expect((await chart(set)).map((object) => object.kind)).not.toContain(kind);
  });

  test('sends traces to a collector, with the part and the headers that it is told, and lets them pass', async () => {
    const endpoint = 'telemetry.otlpEndpoint=http://collector.monitoring.svc:4318';
    const objects = await chart(endpoint, 'telemetry.sampleRatio=0.25', 'telemetry.headers.existingSecret=otlp');
    expect(podOf(objects).containers[0]?.env).toEqual(
      expect.arrayContaining([
        { name: 'OTEL_EXPORTER_OTLP_ENDPOINT', value: 'http://collector.monitoring.svc:4318' },
        { name: 'KADRE_TRACES_RATIO', value: '0.25' },
        { name: 'OTEL_EXPORTER_OTLP_HEADERS', valueFrom: { secretKeyRef: { name: 'otlp', key: 'headers' } } },
      ]),
    );
    const policy = objects.find(({ kind }) => kind === 'NetworkPolicy');
    expect((policy?.spec as { egress: unknown[] }).egress.at(-1)).toEqual({ ports: [{ port: 4318, protocol: 'TCP' }] });
  });

  test('adds egress rules to its own', async () => {
    const policy = (await chart('networkPolicy.extraEgress[0].ports[0].port=11434')).find(
      ({ kind }) => kind === 'NetworkPolicy',
    );
    expect((policy?.spec as { egress: unknown[] }).egress.at(-1)).toEqual({ ports: [{ port: 11434 }] });
  });

  test.each([
    ['two replicas on SQLite', 'replicas=2', /replicas/],
    ['roles of their own on SQLite', 'mode=separate', /mode/],
    ['a mode that does not exist', 'mode=together', /mode/],
    ['a store that does not exist', 'store.mysql.url=x', /mysql/],
    ['a retention of no days', 'retention.keepDays=0', /keepDays/],
    ['a bucket without credentials', 'blobs.s3.bucket=kadre', /s3/],
    ['a bucket that cannot be one', 'blobs.s3.bucket=Kadre_1', /bucket/],
    ['an archive that nothing goes into', 'archive.existingClaim=old', /retention/],
    ['blobs in two places', 'blobs.existingClaim=a,blobs.s3.bucket=kadre,s3.existingSecret=aws', /blobs/],
    ['a misspelt value', 'replica=1', /replica/],
    ['a digest that is none', 'image.digest=latest', /digest/],
    ['more than all traces', 'telemetry.sampleRatio=2', /sampleRatio/],
    ['a level that does not exist', 'logLevel=verbose', /logLevel/],
  ])('refuses %s', async (_what, set, complaint) => {
    await expect(chart(set)).rejects.toThrow(complaint);
  });
});

describe('with roles of their own, the chart', () => {
  test('makes a Deployment of each, with two pods and a budget for disruptions, and an account with its own rights', async () => {
    const objects = await chart(...separate);
    const found = [...deployments(objects)].map(([name, { replicas, template }]) => [
      name,
      replicas,
      template.spec.containers[0]?.args,
      template.spec.serviceAccountName,
    ]);
    expect(found.sort()).toEqual([
      ['kadre-engine', 2, ['engine'], 'kadre-engine'],
      ['kadre-gateway', 2, ['gateway'], 'kadre-gateway'],
      ['kadre-operator', 2, ['operator'], 'kadre'],
      ['kadre-server', 2, ['server'], 'kadre-server'],
    ]);
    const named = (wanted: string) =>
      objects.filter(({ kind }) => kind === wanted).map(({ metadata }) => metadata.name);
    expect(named('PodDisruptionBudget').sort()).toEqual(found.map(([name]) => name));
    expect(named('ServiceAccount').sort()).toEqual(['kadre', 'kadre-engine', 'kadre-gateway', 'kadre-server']);
    expect(named('ClusterRoleBinding')).toEqual(
      expect.arrayContaining(['kadre-engine', 'kadre-gateway', 'kadre-server']),
    );
    expect(named('ClusterRole')).toEqual(expect.arrayContaining(['kadre-engine', 'kadre-gateway', 'kadre-server']));
  });

  test('leads agents to ready pods of the gateway alone', async () => {
    const objects = await chart(...separate);
    const service = objects.find(({ kind, metadata }) => kind === 'Service' && metadata.name === 'kadre-gateway');
    const { selector, publishNotReadyAddresses } = service?.spec as {
      selector: Record<string, string>;
      publishNotReadyAddresses: boolean;
    };
    const serving = [...deployments(objects)].filter(([, { template }]) =>
      Object.entries(selector).every(([key, value]) => template.metadata.labels[key] === value),
    );
    expect(serving.map(([name]) => name)).toEqual(['kadre-gateway']);
    expect(publishNotReadyAddresses).toBe(false);
  });

  test('leaves the number of gateways to an autoscaler, where there is one', async () => {
    const objects = await chart(...separate, 'gateway.autoscaling.enabled=true');
    expect(deployments(objects).get('kadre-gateway')?.replicas).toBeUndefined();
    const scaler = objects.find(({ kind }) => kind === 'HorizontalPodAutoscaler');
    expect(scaler?.spec).toMatchObject({ scaleTargetRef: { name: 'kadre-gateway' }, minReplicas: 2, maxReplicas: 10 });
  });

  test('gives every role the store and the blobs, and the operator what becomes of old runs', async () => {
    const objects = await chart(
      ...separate,
      'blobs.s3.bucket=kadre',
      's3.existingSecret=aws',
      'retention.keepDays=30',
      'archive.s3.bucket=old',
      'archive.s3.prefix=runs',
    );
    const all = deployments(objects);
    for (const [, { template }] of all) {
      expect(environment(template.spec)).toMatchObject({
        KADRE_STORE_URL: 'kadre-postgres/url',
        KADRE_BLOBS_S3_BUCKET: 'kadre',
        AWS_SECRET_ACCESS_KEY: 'aws/AWS_SECRET_ACCESS_KEY',
      });
    }
    const tidy = { KADRE_RETENTION_KEEP_DAYS: '30', KADRE_ARCHIVE: 's3://old/runs' };
    expect(environment(all.get('kadre-operator')?.template.spec)).toMatchObject(tidy);
    expect(environment(all.get('kadre-engine')?.template.spec)).not.toHaveProperty('KADRE_ARCHIVE');
  });

  test('lets pods reach PostgreSQL, and buckets on a port of their own', async () => {
    const objects = await chart(
      ...separate,
      'networkPolicy.postgres.to[0].ipBlock.cidr=10.0.0.5/32',
      'blobs.s3.bucket=kadre',
      's3.existingSecret=aws',
      'networkPolicy.s3.port=9000',
    );
    const policy = objects.find(({ kind }) => kind === 'NetworkPolicy');
    expect((policy?.spec as { egress: unknown[] }).egress.slice(-2)).toEqual([
      { ports: [{ port: 5432, protocol: 'TCP' }], to: [{ ipBlock: { cidr: '10.0.0.5/32' } }] },
      { ports: [{ port: 9000, protocol: 'TCP' }] },
    ]);
  });

  test('mounts claims for blobs and archive where all pods see them', async () => {
    const sets = ['blobs.existingClaim=big', 'archive.existingClaim=old', 'retention.keepRuns=100'];
    const pod = podOf(await chart(postgres, 'replicas=2', ...sets));
    expect(environment(pod)).toMatchObject({
      KADRE_BLOBS_FOLDER: '/var/lib/kadre-blobs',
      KADRE_ARCHIVE: '/var/lib/kadre-archive',
      KADRE_FOLDERS_SHARED: 'true',
    });
    expect(pod.volumes.map(({ name }) => name)).toEqual(['blobs', 'archive', 'tmp']);
  });

  test('mounts what else the pods need, such as the certificate of a database', async () => {
    const volume = ['volumes[0].name=ca', 'volumes[0].secret.secretName=db-ca'];
    const mount = ['volumeMounts[0].name=ca', 'volumeMounts[0].mountPath=/etc/db', 'volumeMounts[0].readOnly=true'];
    for (const pod of podsOf(await chart(...separate, ...volume, ...mount))) {
      expect(pod.volumes).toContainEqual({ name: 'ca', secret: { secretName: 'db-ca' } });
      expect(pod.containers[0]?.volumeMounts).toContainEqual({ name: 'ca', mountPath: '/etc/db', readOnly: true });
    }
  });
});
