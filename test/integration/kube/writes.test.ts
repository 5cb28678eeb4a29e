import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { startControlPlane } from '../../cluster/control-plane.ts';
import type { ControlPlane } from '../../cluster/control-plane.ts';
import { Manager } from '../../../operator/src/kube/index.ts';
import type { Cache, KubeObject, Plan } from '../../../operator/src/kube/index.ts';
import { configMap, connectTo, namespace, refTo, startTimeout, until } from './bed.ts';
import type { Connected } from './bed.ts';

const writing = ['POST', 'PUT', 'PATCH', 'DELETE'];
let controlPlane: ControlPlane;
let ours: Connected;
let others: Connected;
let manager: Manager;
let owners: Cache;
let deployments: Cache;
let jobs: Cache;
let serial = 0;
let owner: KubeObject;
let name: string;

beforeAll(async () => {
  controlPlane = await startControlPlane({ controllerManager: false, scheduler: false });
  await controlPlane.api.apply('/apis/apiextensions.k8s.io/v1/customresourcedefinitions/owners.test.kadre.dev', {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: 'owners.test.kadre.dev' },
    spec: {
      group: 'test.kadre.dev',
      names: { kind: 'Owner', plural: 'owners' },
      scope: 'Namespaced',
      versions: [
        { name: 'v1', served: true, storage: true, subresources: { status: {} }, schema: { openAPIV3Schema: schema } },
      ],
    },
  });
}, startTimeout);
afterAll(() => controlPlane.stop());

const condition = {
  type: 'object',
  required: ['type'],
  properties: { type: { type: 'string' }, status: { type: 'string' }, reason: { type: 'string' } },
};
const schema = {
  type: 'object',
  properties: {
    spec: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
    status: {
      type: 'object',
      properties: {
        phase: { type: 'string' },
        url: { type: 'string' },
        conditions: {
          type: 'array',
          items: condition,
          'x-kubernetes-list-type': 'map',
          'x-kubernetes-list-map-keys': ['type'],
        },
      },
    },
  },
};

beforeEach(async () => {
  ours = connectTo(controlPlane);
  others = connectTo(controlPlane);
  manager = new Manager({ client: ours.client, instance: 'test' });
  owners = manager.cache({ apiVersion: 'test.kadre.dev/v1', kind: 'Owner' });
  deployments = manager.cache({ apiVersion: 'apps/v1', kind: 'Deployment' });
  jobs = manager.cache({ apiVersion: 'batch/v1', kind: 'Job' });
  await manager.start();
  name = `o${++serial}`;
  const created = { apiVersion: 'test.kadre.dev/v1', kind: 'Owner', metadata: { namespace, name }, spec: {} };
  await until('the kind is served', () =>
    others.client.create(created).then(
      () => true,
      () => false,
    ),
  );
  await until('the owner is cached', () => owners.get(namespace, name) !== undefined);
  refresh();
});
afterEach(async () => {
  await manager.stop(1000);
  await Promise.all([ours, others].map(({ client }) => client.close()));
});

function refresh() {
  const cached = owners.get(namespace, name);
  if (cached) owner = cached;
}
const run = (plan: Plan) => manager.executor.execute(owner, plan);
const writes = () => ours.sent(...writing);
const live = async (object: KubeObject) => {
  const found = await others.client.get(refTo(object));
  if (!found) throw new Error(`${object.kind} ${object.metadata.name} is not there`);
  return found;
};
/** Waits until the cache has what the API server has. */
const cachedIn = (cache: Cache, object: KubeObject) =>
  until('the cache has caught up', async () => {
    const current = await others.client.get(refTo(object));
    return cache.get(namespace, object.metadata.name)?.metadata.resourceVersion === current?.metadata.resourceVersion;
  });

const reference = () => [
  { apiVersion: owner.apiVersion, kind: owner.kind, name, uid: owner.metadata.uid ?? '', controller: true },
];
const selector = () => ({ app: name });

function deployment(container: object = {}, pod: object = {}): KubeObject {
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { namespace, name, labels: {}, ownerReferences: reference() },
    spec: {
      selector: { matchLabels: selector() },
      template: {
        metadata: { labels: selector() },
        spec: {
          automountServiceAccountToken: false,
          hostNetwork: false,
          tolerations: [{ key: 'gpu', operator: 'Exists', effect: 'NoSchedule' }],
          securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
          volumes: [{ name: 'tmp', emptyDir: { sizeLimit: '1024Mi' } }],
          containers: [
            {
              name: 'main',
              image: 'registry.example/agent:1',
              args: [],
              ports: [{ name: 'http', containerPort: 8080 }],
              env: [
                { name: 'EMPTY', value: '' },
                { name: 'POD', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
              ],
              resources: { requests: { cpu: '0.1', memory: '1024Mi' }, limits: { cpu: '1000m', memory: '1Gi' } },
              readinessProbe: { httpGet: { path: '/readyz', port: 'http' }, initialDelaySeconds: 0 },
              securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
              volumeMounts: [{ name: 'tmp', mountPath: '/tmp', readOnly: false }],
              ...container,
            },
          ],
          ...pod,
        },
      },
    },
  };
}

const service = (): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { namespace, name, ownerReferences: reference() },
  spec: { selector: selector(), ports: [{ name: 'http', port: 80, targetPort: 'http' }] },
});
const autoscaler = (): KubeObject => ({
  apiVersion: 'autoscaling/v2',
  kind: 'HorizontalPodAutoscaler',
  metadata: { namespace, name, ownerReferences: reference() },
  spec: {
    scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name },
    minReplicas: 1,
    maxReplicas: 3,
    metrics: [{ type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 70 } } }],
  },
});
const policy = (): KubeObject => ({
  apiVersion: 'networking.k8s.io/v1',
  kind: 'NetworkPolicy',
  metadata: { namespace, name, ownerReferences: reference() },
  spec: {
    podSelector: { matchLabels: selector() },
    policyTypes: ['Ingress', 'Egress'],
    egress: [{ to: [{ namespaceSelector: {} }], ports: [{ port: 53, protocol: 'UDP' }, { port: 53 }] }],
  },
});
const ingress = (): KubeObject => ({
  apiVersion: 'networking.k8s.io/v1',
  kind: 'Ingress',
  metadata: { namespace, name, ownerReferences: reference() },
  spec: {
    rules: [
      {
        host: 'a.example',
        http: { paths: [{ path: '/', pathType: 'Prefix', backend: { service: { name, port: { number: 80 } } } }] },
      },
    ],
  },
});
const budget = (): KubeObject => ({
  apiVersion: 'policy/v1',
  kind: 'PodDisruptionBudget',
  metadata: { namespace, name, ownerReferences: reference() },
  spec: { maxUnavailable: 1, selector: { matchLabels: selector() } },
});

describe('apply', () => {
  test('once converged, the children of all kinds cost no write, even after a restart', async () => {
    const plan = { apply: [deployment(), service(), autoscaler(), policy(), ingress(), budget()] };
    await run(plan);
    const restarted = connectTo(controlPlane);
    const second = new Manager({ client: restarted.client, instance: 'restarted' });
    for (const each of plan.apply) second.cache({ apiVersion: each.apiVersion, kind: each.kind });
    await second.start();
    await second.executor.execute(owner, plan);
    expect(await restarted.sent(...writing)).toBe(0);
    await second.stop(1000);
    await restarted.client.close();
  });

  test('what another manager changed is put right, and what it added is left alone', async () => {
    await run({ apply: [deployment()] });
    const theirs = {
      metadata: { labels: { team: 'blue' } },
      spec: { replicas: 4, template: { spec: { $setElementOrder: undefined, tolerations: [] } } },
    };
    await others.client.patch(refTo(deployment()), theirs, { fieldManager: 'somebody' });
    await cachedIn(deployments, deployment());
    await run({ apply: [deployment()] });
    const mended = await live(deployment());
    expect(mended.metadata.labels).toEqual({ team: 'blue' });
    expect(mended.spec).toMatchObject({ replicas: 4, template: { spec: { tolerations: [{ key: 'gpu' }] } } });
  });

  test('a field that is no longer desired goes', async () => {
    await run({
      apply: [
        deployment({
          command: ['run'],
          env: [
            { name: 'A', value: '1' },
            { name: 'B', value: '2' },
          ],
        }),
      ],
    });
    await cachedIn(deployments, deployment());
    await run({ apply: [deployment({ env: [{ name: 'B', value: '2' }] })] });
    const spec = (await live(deployment())).spec as { template: { spec: { containers: object[] } } };
    expect(spec.template.spec.containers[0]).not.toHaveProperty('command');
    expect(spec.template.spec.containers[0]).toMatchObject({ env: [{ name: 'B', value: '2' }] });
  });

  test('an unknown field is refused, not dropped in silence', async () => {
    const refused = run({ apply: [deployment({ imagge: 'typo' })] });
    await expect(refused).rejects.toThrow('field not declared in schema');
    expect(await others.client.get(refTo(deployment()))).toBeUndefined();
  });

  test('a Deployment that somebody made without us is not taken over', async () => {
    const theirs = deployment();
    delete theirs.metadata.ownerReferences;
    await others.client.create(theirs);
    await cachedIn(deployments, theirs);
    await expect(run({ apply: [deployment()] })).rejects.toMatchObject({ reason: 'ForeignObject' });
  });
});

const job = (uid?: string): KubeObject => ({
  apiVersion: 'batch/v1',
  kind: 'Job',
  metadata: { namespace, name, ownerReferences: reference().map((each) => ({ ...each, uid: uid ?? each.uid })) },
  spec: { template: { spec: { restartPolicy: 'Never', containers: [{ name: 'main', image: 'i' }] } } },
});

describe('create', () => {
  test('a Job is made once, by however many attempts at the same time', async () => {
    await Promise.all([run({ create: [job()] }), run({ create: [job()] }), run({ create: [job()] })]);
    await cachedIn(jobs, job());
    const before = await writes();
    await run({ create: [job()] });
    expect(await writes()).toBe(before);
  });

  test('a Job of the same name that belongs to another owner is an error', async () => {
    await others.client.create(job('00000000-0000-0000-0000-000000000000'));
    await expect(run({ create: [job()] })).rejects.toMatchObject({ reason: 'ForeignObject' });
  });
});

describe('delete', () => {
  test('a namesake that came later is not deleted', async () => {
    await others.client.create(configMap(name));
    await run({ delete: [{ ...refTo(configMap(name)), uid: '00000000-0000-0000-0000-000000000000' }] });
    expect(await live(configMap(name))).toBeDefined();
    await run({ delete: [{ ...refTo(configMap(name)), uid: (await live(configMap(name))).metadata.uid ?? '' }] });
    expect(await others.client.get(refTo(configMap(name)))).toBeUndefined();
    await run({ delete: [refTo(configMap(name))] });
  });
});

describe('status', () => {
  test('is written once, and fields that are no longer set go; the conditions of others stay', async () => {
    await run({ status: { phase: 'Waiting', url: 'http://a', conditions: [{ type: 'Ready', status: 'False' }] } });
    const body = { apiVersion: owner.apiVersion, kind: owner.kind, metadata: { namespace, name } };
    const theirs = { ...body, status: { conditions: [{ type: 'Theirs', status: 'True' }] } };
    await others.client.apply(theirs, { subresource: 'status', fieldManager: 'somebody' });
    await cachedIn(owners, owner);
    refresh();
    const next = { phase: 'Ready', conditions: [{ type: 'Ready', status: 'True' }] };
    await run({ status: next });
    await cachedIn(owners, owner);
    refresh();
    expect(owner.status).toEqual({
      phase: 'Ready',
      conditions: expect.arrayContaining([
        { type: 'Ready', status: 'True' },
        { type: 'Theirs', status: 'True' },
      ]) as unknown,
    });
    const before = await writes();
    await run({ status: next });
    expect(await writes()).toBe(before);
  });

  test('is not written to a namesake that came later, nor to what has gone', async () => {
    const first = owner;
    await others.client.delete(refTo(owner));
    const recreated = { apiVersion: owner.apiVersion, kind: owner.kind, metadata: { namespace, name }, spec: {} };
    const second = await others.client.create(recreated);
    await cachedIn(owners, second);
    await manager.executor.execute(first, { status: { phase: 'Wrong' } });
    expect((await live(second)).status).toBeUndefined();
    await others.client.delete(refTo(second));
    await manager.executor.execute(second, { status: { phase: 'Wrong' } });
    expect(await others.client.get(refTo(second))).toBeUndefined();
  });
});

test('finalizers hold an object back until they are taken away', async () => {
  await run({ finalizers: ['kadre.dev/in-use'] });
  await others.client.delete(refTo(owner));
  await cachedIn(owners, owner);
  refresh();
  expect(owner.metadata.deletionTimestamp).toBeDefined();
  await run({ finalizers: [], status: { phase: 'Gone' } });
  expect(await others.client.get(refTo(owner))).toBeUndefined();
});

test('Events are taken by the API server, and repeats make a series', async () => {
  const event = { type: 'Normal', reason: 'Created', action: 'Create', note: 'Created a Job' } as const;
  await run({ events: [event] });
  const find = async () => {
    const { items } = await others.client.list({ apiVersion: 'events.k8s.io/v1', kind: 'Event' }, { namespace });
    return items.filter((each) => (each.regarding as { name: string }).name === name);
  };
  await until('the Event is there', async () => (await find()).length === 1);
  await run({ events: [event, event] });
  await until(
    'it is a series',
    async () => ((await find())[0]?.series as { count: number } | undefined)?.count !== undefined,
  );
  await manager.recorder.flush(5000);
  expect(await find()).toMatchObject([{ series: { count: 3 }, reportingController: 'kadre.dev/kadre' }]);
});
