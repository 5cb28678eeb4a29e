// All cases at once on a cluster, each in a namespace of its own: agents in pods, people who patch Approvals, events that
// come in by webhook. What kubectl shows of a Run is what counts.
import { setTimeout as sleep } from 'node:timers/promises';
import { eventually, kubectlFor, type KubeObject, type Kubectl } from './kubectl.ts';
import { conditionOf } from './namespace.ts';
import { SYSTEM_NAMESPACE } from './install.ts';
import type { Decision, Published } from '../conformance/support/act.ts';
import type { Case } from '../conformance/support/case.ts';
import type { Target } from '../conformance/support/target.ts';

const PREFIX = 'kadre-conformance-';
const SERVER_PORT = 8082;
const HOOK_TOKEN = 'a-token-for-the-tests';
const API = { apiVersion: 'kadre.dev/v1alpha1' };

export interface ConformanceCluster {
  /** Resolves when all that the Runs need is ready. */
  prepare(): Promise<void>;
  start(one: Case): Target;
  close(): Promise<void>;
}

export function conformanceCluster(kubeconfig: string, cases: readonly Case[]): ConformanceCluster {
  // Without a namespace of its own: each object names one.
  const kubectl = kubectlFor(kubeconfig, '');
  const namespaces = cases.map(({ name }) => PREFIX + name);
  const snapshots = new Snapshots(kubectl);
  let server: Awaited<ReturnType<Kubectl['portForward']>> | undefined;
  return {
    prepare: async () => {
      await kubectl.run(['delete', 'namespace', ...namespaces, '--ignore-not-found']);
      await kubectl.apply(list(namespaces.map(namespace)));
      await kubectl.apply(list(cases.flatMap((one) => objectsOf(one))));
      await eventually('all agents, workflows and triggers ready', () => allReady(snapshots));
      server = await kubectlFor(kubeconfig, SYSTEM_NAMESPACE).portForward('deployment/kadre', SERVER_PORT);
    },
    start: ({ name }) => targetIn(kubectlFor(kubeconfig, PREFIX + name), snapshots, server?.url ?? ''),
    close: async () => {
      server?.stop();
      await kubectl.run(['delete', 'namespace', ...namespaces, '--ignore-not-found', '--wait=false']);
    },
  };
}

async function allReady(snapshots: Snapshots): Promise<true> {
  const objects = await snapshots.of('agents,workflows,triggers');
  const waiting = objects.filter(
    (one) => one.metadata.namespace?.startsWith(PREFIX) && conditionOf(one, 'Ready')?.status !== 'True',
  );
  if (waiting.length === 0) return true;
  const reasons = waiting.map((one) => `${one.kind} ${one.metadata.name}: ${conditionOf(one, 'Ready')?.message ?? ''}`);
  throw new Error(reasons.join('; '));
}

function targetIn(kubectl: Kubectl, snapshots: Snapshots, server: string): Target {
  const { namespace } = kubectl;
  const find = async (kinds: string, holds: (object: KubeObject) => boolean) =>
    (await snapshots.of(kinds)).find((one) => one.metadata.namespace === namespace && holds(one));
  const runNamed = (name: string) => find('runs', ({ metadata }) => metadata.name === name);
  const patch = async (run: string, spec: object): Promise<void> => {
    await kubectl.run(['patch', 'run', run, '--type=merge', '-p', JSON.stringify({ spec })]);
  };
  return {
    apply: async (run) => {
      // Nobody may ask in the name of another.
      const { requestedBy } = run.spec;
      const person = requestedBy === undefined ? [] : [`--as=${requestedBy}`];
      await kubectl.run(['create', '-f', '-', ...person], JSON.stringify(run));
    },
    status: async (run) => (await runNamed(run))?.['status'],
    failure: async (run) => {
      const condition = conditionOf(await runNamed(run), 'Stalled');
      return condition?.status === 'True' ? condition : undefined;
    },
    log: () => Promise.resolve(undefined),
    asked: () => undefined,
    cancel: (run) => patch(run, { cancel: true }),
    suspend: (run, suspended) => patch(run, { suspend: suspended }),
    decide: async ({ run, step, ...decision }, approved) => {
      const asked = (one: KubeObject) => one['spec'].run === run && one['spec'].step === step;
      const approval = await find('approvals', (one) => asked(one) && one['status']?.phase === 'Pending');
      if (approval) await decide(kubectl, approval.metadata.name, decision, approved);
      return approval !== undefined;
    },
    publish: (event) => publish(`${server}/v1/namespaces/${namespace}/triggers/${triggerOf(event.name)}`, event),
    endJob: () => Promise.resolve(true),
    pass: (milliseconds) => sleep(milliseconds),
    deaths: () => 0,
    close: () => Promise.resolve(),
  };
}

async function decide(
  kubectl: Kubectl,
  approval: string,
  { by, groups = [], answer }: Omit<Decision, 'run' | 'step'>,
  approved: boolean,
): Promise<void> {
  const spec = { decision: approved ? 'approved' : 'rejected', decidedBy: by, ...(answer !== undefined && { answer }) };
  const person = [`--as=${by}`, ...groups.map((group) => `--as-group=${group}`)];
  await kubectl.run(['patch', 'approval', approval, '--type=merge', '-p', JSON.stringify({ spec }), ...person]);
}

async function publish(url: string, { id, payload }: Published): Promise<void> {
  const headers = { authorization: `Bearer ${HOOK_TOKEN}`, 'content-type': 'application/json', 'idempotency-key': id };
  await eventually(`event ${id} taken`, async () => {
    const response = await fetch(url, { method: 'POST', headers, body: JSON.stringify(payload) });
    if (response.ok) return true;
    throw new Error(`${response.status}: ${await response.text()}`);
  });
}

/** What stands in the namespace of the case before its Runs. */
function objectsOf(one: Case): object[] {
  const people = one.script.flatMap((act) =>
    'approve' in act ? [act.approve.by] : 'reject' in act ? [act.reject.by] : [],
  );
  const requesters = one.runs.flatMap(({ spec }) => spec.requestedBy ?? []);
  const events = one.script.flatMap((act) => ('publish' in act ? [act.publish.name] : []));
  // There are many agents, and a small machine may have to hold them all.
  const agents = one.agents.map((agent) => ({
    ...agent,
    spec: {
      ...agent.spec,
      runtime: { resources: { requests: { cpu: '5m', memory: '32Mi' }, limits: { cpu: '1', memory: '256Mi' } } },
    },
  }));
  const objects = [
    ...one.models,
    ...one.tools,
    ...agents,
    ...one.workflows,
    ...[...new Set(people)].map((name) => binding(name, 'kadre-approver')),
    ...[...new Set(requesters)].map((name) => binding(name, 'kadre-editor')),
    ...(events.length > 0 ? [hookSecret, ...[...new Set(events)].map(trigger)] : []),
  ];
  return objects.map((object) => ({ ...object, metadata: { ...object.metadata, namespace: PREFIX + one.name } }));
}

const list = (items: object[]): string => JSON.stringify({ apiVersion: 'v1', kind: 'List', items });

const namespace = (name: string) => ({
  apiVersion: 'v1',
  kind: 'Namespace',
  metadata: { name, labels: { 'pod-security.kubernetes.io/enforce': 'restricted' } },
});

/** @param role a ClusterRole */
const binding = (name: string, role: string) => ({
  apiVersion: 'rbac.authorization.k8s.io/v1',
  kind: 'RoleBinding',
  metadata: { name: `${name}-${role}` },
  roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: role },
  subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name }],
});

const hookSecret = {
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: { name: 'hook' },
  stringData: { token: HOOK_TOKEN },
};

const triggerOf = (event: string): string => event.replace(/[^a-z0-9]+/g, '-');

const trigger = (event: string) => ({
  ...API,
  kind: 'Trigger',
  metadata: { name: triggerOf(event) },
  spec: {
    webhook: {
      auth: { bearer: { secretRef: { name: 'hook', key: 'token' } } },
      idempotencyKey: "$(headers['idempotency-key'])",
    },
    start: { event: { name: event, payload: '$(body)' } },
  },
});

/** What all cases look at together: one kubectl, not one for each of them, lists the objects of all namespaces. */
class Snapshots {
  readonly #kubectl: Kubectl;
  readonly #latest = new Map<string, { until: number; objects: Promise<KubeObject[]> }>();

  constructor(kubectl: Kubectl) {
    this.#kubectl = kubectl;
  }

  /** At most half a second old. */
  of(kinds: string): Promise<KubeObject[]> {
    const known = this.#latest.get(kinds);
    if (known && known.until > Date.now()) return known.objects;
    const objects = this.#kubectl.list(kinds, '--all-namespaces');
    this.#latest.set(kinds, { until: Date.now() + 500, objects });
    return objects;
  }
}
