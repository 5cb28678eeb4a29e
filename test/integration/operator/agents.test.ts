import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { capture } from '../../support/kubectl.ts';
import { conditionOf, eventually, field, KADRE, startBed, startMs, type Bed, type Ref, type Seen } from './bed.ts';

let bed: Bed;
beforeAll(async () => {
  bed = await startBed();
  await bed.controlPlane.addNode();
  await bed.startOperator();
}, startMs);
afterAll(() => bed.stop());

const model = (namespace: string) => ({
  apiVersion: KADRE,
  kind: 'Model',
  metadata: { name: 'echo', namespace },
  spec: { provider: 'simulated' },
});

const agent = (namespace: string, spec: object = { serving: {} }, metadata: object = {}) => ({
  apiVersion: KADRE,
  kind: 'Agent',
  metadata: { name: 'writer', namespace, ...metadata },
  spec: { instructions: 'Write well.', model: 'echo', ...spec },
});

const refs = (namespace: string) => {
  const ref = (apiVersion: string, kind: string, name = 'agent-writer'): Ref => ({ apiVersion, kind, namespace, name });
  return {
    agent: ref(KADRE, 'Agent', 'writer'),
    deployment: ref('apps/v1', 'Deployment'),
    service: ref('v1', 'Service', 'writer'),
    account: ref('v1', 'ServiceAccount'),
    policy: ref('networking.k8s.io/v1', 'NetworkPolicy'),
    autoscaler: ref('autoscaling/v2', 'HorizontalPodAutoscaler'),
    budget: ref('policy/v1', 'PodDisruptionBudget'),
    ingress: ref('networking.k8s.io/v1', 'Ingress'),
    route: ref('gateway.networking.k8s.io/v1', 'HTTPRoute'),
  };
};

const gone = (ref: Ref) => eventually(`${ref.kind} ${ref.name} gone`, async () => (await bed.get(ref)) === undefined);
const there = (ref: Ref) => eventually(`${ref.kind} ${ref.name}`, () => bed.get(ref));

/** Lets the pods start until the agent is ready. */
const ready = (namespace: string, ref: Ref) =>
  eventually(`${ref.name} ready`, async () => {
    await bed.runPods(namespace);
    const live = await bed.get(ref);
    const isReady =
      conditionOf(live, 'Ready')?.status === 'True' &&
      field(live, 'status.observedGeneration') === live?.metadata.generation;
    if (isReady) return live;
    throw new Error(JSON.stringify(field(live, 'status')));
  });

describe('an agent that serves', () => {
  test('becomes ready when its pods are, and says where it answers', async () => {
    const namespace = await bed.namespace('lifecycle');
    const of = refs(namespace);
    await bed.apply(model(namespace));
    const tracked = {
      labels: { 'app.kubernetes.io/instance': 'argo' },
      annotations: { 'argocd.argoproj.io/tracking-id': 'x' },
    };
    await bed.apply(agent(namespace, { serving: { replicas: 2 } }, tracked));

    const deployment = await there(of.deployment);
    expect(conditionOf(await bed.get(of.agent), 'Ready')?.status).toBe('False');
    const live = await ready(namespace, of.agent);
    expect(field(live, 'status')).toMatchObject({ url: 'http://writer.lifecycle.svc', replicas: 2, readyReplicas: 2 });
    expect(JSON.stringify([deployment, await bed.get(of.service), await bed.get(of.policy)])).not.toMatch(/argo/);
    expect(await bed.get(of.budget)).toBeDefined();
  }, 120_000);

  test('is left alone once it is as it should be: no object is written again', async () => {
    const of = refs('lifecycle');
    const all = [of.agent, of.deployment, of.service, of.account, of.policy, of.budget];
    const versions = async () =>
      (await Promise.all(all.map((ref) => bed.get(ref)))).map((object) => object?.metadata.resourceVersion);
    const before = await versions();
    const again = await bed.startOperator();
    // A change elsewhere that passes through both operators shows that they have looked.
    await bed.apply({ ...model('lifecycle'), metadata: { name: 'other', namespace: 'lifecycle' } });
    await bed.condition({ apiVersion: KADRE, kind: 'Model', namespace: 'lifecycle', name: 'other' }, 'Ready', 'True');
    await bed.stopOperator(again);
    expect(await versions()).toEqual(before);
  }, 60_000);

  test('is put right when somebody edits or deletes what belongs to it', async () => {
    const of = refs('lifecycle');
    const edited = { containers: [{ name: 'agent', image: 'evil' }] };
    await bed.client.patch(of.deployment, { spec: { template: { spec: edited } } });
    await bed.client.delete(of.service);
    await eventually('the image is back', async () => {
      const live = await bed.get(of.deployment);
      return field(live, 'spec.template.spec.containers.0.image') === 'kadre-runtime:test';
    });
    await there(of.service);
  }, 60_000);

  test('follows kubectl scale', async () => {
    const { binaries, adminKubeconfigPath } = bed.controlPlane;
    const args = [
      'kubectl',
      '--kubeconfig',
      adminKubeconfigPath,
      '-n',
      'lifecycle',
      'scale',
      'agent/writer',
      '--replicas=3',
    ];
    await capture(binaries.kadreCluster, args);
    await eventually(
      'three pods',
      async () => field(await bed.get(refs('lifecycle').deployment), 'spec.replicas') === 3,
    );
    expect(field(await ready('lifecycle', refs('lifecycle').agent), 'status.replicas')).toBe(3);
  }, 60_000);

  test('hands the number of pods to the autoscaler, and takes fields back that are no longer asked for', async () => {
    const of = refs('lifecycle');
    // kubectl scale owns the number of pods now, so it is set back by a patch.
    const autoscaled = { replicas: 1, autoscaling: { maxReplicas: 5 } };
    await bed.client.patch(of.agent, { spec: { serving: autoscaled, runtime: { runtimeClassName: 'gvisor' } } });
    await there(of.autoscaler);
    await eventually(
      'the runtime class',
      async () => field(await bed.get(of.deployment), 'spec.template.spec.runtimeClassName') === 'gvisor',
    );
    await bed.client.patch(of.deployment, { spec: { replicas: 4 } }, { fieldManager: 'autoscaler' });
    await bed.client.patch(of.agent, { spec: { serving: { autoscaling: { maxReplicas: 6 } }, runtime: null } });
    await eventually('the new bound', async () => field(await bed.get(of.autoscaler), 'spec.maxReplicas') === 6);
    const live = await eventually('no runtime class', async () => {
      const deployment = await bed.get(of.deployment);
      return field(deployment, 'spec.template.spec.runtimeClassName') === undefined ? deployment : undefined;
    });
    expect(field(live, 'spec.replicas')).toBe(4);
  }, 60_000);

  test('loses what serves it when serving is removed, and keeps what its steps need', async () => {
    const of = refs('lifecycle');
    await bed.client.patch(of.agent, { spec: { serving: null } });
    await Promise.all([of.deployment, of.service, of.autoscaler, of.budget].map(gone));
    await bed.condition(of.agent, 'Ready', 'True', 'RunsInJobs');
    expect(await bed.get(of.account)).toBeDefined();
    expect(field(await bed.get(of.agent), 'status.url')).toBeUndefined();
  }, 60_000);

  test('leaves nothing behind when it is deleted', async () => {
    const of = refs('lifecycle');
    await bed.apply(agent('lifecycle', { serving: { replicas: 2 } }));
    await there(of.deployment);
    await bed.client.delete(of.agent);
    await Promise.all([of.deployment, of.service, of.account, of.policy, of.budget].map(gone));
  }, 120_000);
});

test('an agent that is deleted and made anew at once waits for its predecessor to go, and becomes ready', async () => {
  const namespace = await bed.namespace('anew');
  const of = refs(namespace);
  await bed.apply(model(namespace));
  await bed.apply(agent(namespace));
  const first = await ready(namespace, of.agent);
  await bed.client.delete(of.agent);
  const second = await bed.apply(agent(namespace));
  expect(second.metadata.uid).not.toBe(first.metadata.uid);
  await eventually('a Deployment of the second', async () => {
    await bed.endTerminatedPods(namespace);
    const owners = field(await bed.get(of.deployment), 'metadata.ownerReferences') as { uid: string }[] | undefined;
    return owners?.[0]?.uid === second.metadata.uid;
  });
  await ready(namespace, of.agent);
}, 120_000);

describe('an agent that can not work says why, and recovers by itself', () => {
  test('when its Model comes later', async () => {
    const namespace = await bed.namespace('later');
    const of = refs(namespace);
    await bed.apply(agent(namespace));
    const stuck = await bed.condition(of.agent, 'Stalled', 'True', 'ModelNotFound');
    expect(conditionOf(stuck, 'Stalled')?.message).toMatch(/no Model echo in namespace later\. Create it/);
    await bed.apply(model(namespace));
    await ready(namespace, of.agent);
  }, 60_000);

  test('when its ServiceAccount and its GpuPool are missing', async () => {
    const namespace = await bed.namespace('references');
    const of = refs(namespace);
    await bed.apply(model(namespace));
    await bed.apply(
      agent(namespace, { serving: {}, runtime: { serviceAccountName: 'trusted', gpu: { pool: 'late' } } }),
    );
    await bed.condition(of.agent, 'Stalled', 'True', 'GpuPoolNotFound');
    await bed.apply({ apiVersion: KADRE, kind: 'GpuPool', metadata: { name: 'late' }, spec: {} });
    await bed.condition(of.agent, 'Stalled', 'True', 'ServiceAccountNotFound');
    await bed.apply({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'trusted', namespace } });
    await bed.condition(of.agent, 'Reconciling', 'True');
    expect(field(await there(of.deployment), 'spec.template.spec.containers.0.resources.limits')).toMatchObject({
      'nvidia.com/gpu': '1',
    });
    expect(await bed.get(of.account)).toBeUndefined();
  }, 90_000);

  test('when a Service of somebody else has its name: that Service is never touched', async () => {
    const namespace = await bed.namespace('taken');
    const of = refs(namespace);
    await bed.apply(model(namespace));
    const theirs = await bed.apply({
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'writer', namespace },
      spec: { selector: { app: 'theirs' }, ports: [{ port: 443 }] },
    });
    await bed.apply(agent(namespace));
    await bed.condition(of.agent, 'Stalled', 'True', 'NameConflict');
    expect((await bed.get(of.service))?.metadata.resourceVersion).toBe(theirs.metadata.resourceVersion);
    await bed.client.delete(of.service);
    await ready(namespace, of.agent);
  }, 90_000);

  test('when no node takes its pods', async () => {
    const namespace = await bed.namespace('unschedulable');
    await bed.apply(model(namespace));
    await bed.apply(agent(namespace, { serving: {}, runtime: { resources: { requests: { cpu: '500' } } } }));
    const stuck = await bed.condition(refs(namespace).agent, 'Reconciling', 'True', 'Unschedulable');
    expect(conditionOf(stuck, 'Ready')?.message).toMatch(/Insufficient cpu/);
  }, 60_000);

  test('when the API server refuses what it consists of', async () => {
    const namespace = await bed.namespace('refused');
    await bed.apply({
      apiVersion: 'v1',
      kind: 'ResourceQuota',
      metadata: { name: 'none', namespace },
      spec: { hard: { 'count/services': '0' } },
    });
    await eventually('the quota counts', async () => {
      const quota = await bed.get({ apiVersion: 'v1', kind: 'ResourceQuota', namespace, name: 'none' });
      return field(quota, 'status.hard') !== undefined;
    });
    await bed.apply(model(namespace));
    await bed.apply(agent(namespace));
    const stuck = await bed.condition(refs(namespace).agent, 'Stalled', 'True', 'Rejected');
    expect(conditionOf(stuck, 'Stalled')?.message).toMatch(/exceeded quota/);
  }, 60_000);
});

describe('an agent that is reached from outside', () => {
  test('through an Ingress', async () => {
    const namespace = await bed.namespace('ingress');
    const of = refs(namespace);
    await bed.apply(model(namespace));
    const ingress = { className: 'any', tls: { secretName: 'tls', issuer: 'letsencrypt' } };
    await bed.apply(agent(namespace, { serving: { expose: { host: 'a.example.com', path: '/writer', ingress } } }));
    const live = await ready(namespace, of.agent);
    expect(field(live, 'status.externalUrl')).toBe('https://a.example.com/writer');
    expect((await there(of.ingress)).metadata.annotations?.['cert-manager.io/issuer']).toBe('letsencrypt');
  }, 60_000);

  test('through the Gateway API, once somebody installs it', async () => {
    const namespace = await bed.namespace('gateway');
    const of = refs(namespace);
    await bed.apply(model(namespace));
    await bed.apply(agent(namespace, { serving: { expose: { host: 'a.example.com', gateway: { name: 'public' } } } }));
    const without = await eventually('GatewayApiMissing', async () => {
      const live = await bed.get(of.agent);
      return conditionOf(live, 'Exposed')?.reason === 'GatewayApiMissing' ? live : undefined;
    });
    expect(conditionOf(without, 'Exposed')?.message).toMatch(/Install the Gateway API/);

    await bed.apply(httpRoutes);
    const route = await there(of.route);
    expect(field(route, 'spec')).toMatchObject({ hostnames: ['a.example.com'], parentRefs: [{ name: 'public' }] });
    await acceptRoute(of.route, route);
    const live = await ready(namespace, of.agent);
    expect(conditionOf(live, 'Exposed')?.status).toBe('True');
  }, 120_000);
});

/** What a Gateway's controller says of a route that it serves. */
async function acceptRoute(ref: Ref, route: Seen): Promise<void> {
  const condition = (type: string) => ({
    type,
    status: 'True',
    reason: type,
    message: '',
    observedGeneration: route.metadata.generation,
    lastTransitionTime: new Date().toISOString(),
  });
  const parents = [
    {
      parentRef: { name: 'public' },
      controllerName: 'example.com/gw',
      conditions: [condition('Accepted'), condition('ResolvedRefs')],
    },
  ];
  await bed.client.patch(ref, { status: { parents } }, { subresource: 'status' });
}

const httpRoutes = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: {
    name: 'httproutes.gateway.networking.k8s.io',
    annotations: { 'api-approved.kubernetes.io': 'unapproved, a test' },
  },
  spec: {
    group: 'gateway.networking.k8s.io',
    scope: 'Namespaced',
    names: { kind: 'HTTPRoute', listKind: 'HTTPRouteList', plural: 'httproutes', singular: 'httproute' },
    versions: [
      {
        name: 'v1',
        served: true,
        storage: true,
        subresources: { status: {} },
        schema: { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } },
      },
    ],
  },
};
