// A real control plane with Kadre's kinds, a real store, and the operator between them. Nothing runs the pods: tests say
// what becomes of them.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import type { Condition } from '@kadre/crds';
import { validateWorkflow } from '@kadre/engine';
import { ruleProblem } from '@kadre/gateway';
import { connect, createOperator, type Operator } from '@kadre/operator';
import { openSqliteStore, type Store } from '@kadre/store';
import { createToolbox } from '@kadre/tools';
import { startControlPlane, type ControlPlane } from '../../cluster/control-plane.ts';
import { eventually as poll } from '../../support/kubectl.ts';

const manifests = join(import.meta.dirname, '..', '..', '..', 'crds', 'manifests');

/** An object as tests look at it: every field may be there or not. */
export interface Seen {
  apiVersion: string;
  kind: string;
  metadata: {
    name: string;
    namespace?: string;
    uid?: string;
    generation?: number;
    resourceVersion?: string;
    deletionTimestamp?: string;
    labels?: Record<string, string>;
    annotations?: Record<string, string>;
  };
  [field: string]: unknown;
}

export interface Ref {
  apiVersion: string;
  kind: string;
  name: string;
  namespace?: string;
}

export type Bed = Awaited<ReturnType<typeof startBed>>;

export const KADRE = 'kadre.dev/v1alpha1';

/** For a machine that has to build the control plane first. */
export const startMs = 20 * 60_000;

export async function startBed() {
  const controlPlane = await startControlPlane();
  const folder = mkdtempSync(join(tmpdir(), 'kadre-operator-'));
  const store = openSqliteStore(join(folder, 'kadre.db'));
  const connection = connect({ kubeconfig: controlPlane.adminKubeconfigPath, userAgent: 'kadre-tests' });
  const { client } = connection;
  const operators = new Map<Operator, () => Promise<void>>();
  const stopOperator = async (operator: Operator): Promise<void> => {
    const disconnect = operators.get(operator);
    operators.delete(operator);
    await operator.stop(5000);
    await disconnect?.();
  };
  const bed = {
    controlPlane,
    store,
    client,
    ...clusterTools(controlPlane, client),
    /** `wrap` may come between the operator and its store; by the kubeconfig it may be somebody else than the administrator. */
    startOperator: async (
      wrap: (store: Store) => Store = (plain) => plain,
      kubeconfig = controlPlane.adminKubeconfigPath,
    ): Promise<Operator> => {
      const own = connect({ kubeconfig });
      const toolbox = createToolbox({ allowLoopback: true });
      const operator = createOperator({
        client: own.client,
        metrics: own.metrics,
        store: wrap(store),
        settings: {
          runtimeImage: 'kadre-runtime:test',
          sandboxImage: 'kadre-sandbox:test',
          gatewayUrl: 'http://gateway.kadre-system.svc',
          systemNamespace: 'kadre-system',
        },
        validateWorkflow,
        ruleProblem: (rule) => Promise.resolve(ruleProblem(rule)),
        toolbox,
        allowLoopback: true,
        instance: 'test',
      });
      operators.set(operator, async () => {
        await toolbox.close();
        await own.close();
      });
      await operator.start();
      return operator;
    },
    stopOperator,
    stop: async (): Promise<void> => {
      await Promise.all([...operators.keys()].map(stopOperator));
      await connection.close();
      await store.close();
      await controlPlane.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
  await installKinds(bed);
  return bed;
}

async function installKinds({ apply, get }: ReturnType<typeof clusterTools>): Promise<void> {
  const files = readdirSync(manifests).filter((file) => file.endsWith('.yaml'));
  for (const document of files.flatMap((file) => parseAllDocuments(readFileSync(join(manifests, file), 'utf8')))) {
    const kind = document.toJS() as Seen;
    await apply(kind);
    await eventually(`${kind.metadata.name} established`, async () => {
      const live = await get({ apiVersion: kind.apiVersion, kind: kind.kind, name: kind.metadata.name });
      return conditionOf(live, 'Established')?.status === 'True';
    });
  }
}

/** Calls `look` until it returns something. Gives up well before a test does, so that what `look` said last is told. */
export const eventually = <T>(what: string, look: () => Promise<T | undefined | false>): Promise<T> =>
  poll(what, look, 40);

/** What is at a path such as spec.containers.0.image; undefined if anything on the way is missing. */
export function field(object: Seen | undefined, path: string): unknown {
  return path
    .split('.')
    .reduce<unknown>((at, name) => (at === undefined ? undefined : (at as Record<string, unknown>)[name]), object);
}

export function conditionOf(object: Seen | undefined, type: string): Condition | undefined {
  const conditions = field(object, 'status.conditions') as Condition[] | undefined;
  return conditions?.find((condition) => condition.type === type);
}

function clusterTools({ api }: ControlPlane, client: ReturnType<typeof connect>['client']) {
  const apply = async (object: object): Promise<Seen> => await client.apply(object as Seen, { fieldManager: 'tester' });
  const get = async (ref: Ref): Promise<Seen | undefined> => await client.get(ref);
  const list = async (apiVersion: string, kind: string, namespace: string): Promise<Seen[]> =>
    (await client.list({ apiVersion, kind }, { namespace })).items;
  const setPodStatus = async (pod: Seen, status: object): Promise<void> => {
    await api.merge(`/api/v1/namespaces/${pod.metadata.namespace ?? ''}/pods/${pod.metadata.name}/status`, { status });
  };
  return {
    apply,
    get,
    list,
    setPodStatus,
    namespace: async (name: string): Promise<string> => {
      // What every namespace of an agent should ask for; Kadre's pods must be let in.
      const labels = { 'pod-security.kubernetes.io/enforce': 'restricted' };
      await apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } });
      return name;
    },
    /** Waits for a condition of that status, and for that reason if one is given. */
    condition: (ref: Ref, type: string, status: string, reason?: string): Promise<Seen> =>
      eventually(`${ref.kind} ${ref.name} ${type}=${status} ${reason ?? ''}`, async () => {
        const object = await get(ref);
        const found = conditionOf(object, type);
        const current = field(object, 'status.observedGeneration') === object?.metadata.generation;
        if (found?.status === status && current && (reason === undefined || found.reason === reason)) return object;
        throw new Error(`conditions are ${JSON.stringify(field(object, 'status.conditions'))}`);
      }),
    /** What a kubelet would say of the pods of a Deployment that work. */
    runPods: async (namespace: string): Promise<void> => {
      for (const pod of await list('v1', 'Pod', namespace)) {
        if (field(pod, 'status.phase') === 'Running') continue;
        const container = {
          name: 'agent',
          image: 'i',
          imageID: 'i',
          ready: true,
          restartCount: 0,
          state: { running: {} },
        };
        const conditions = [{ type: 'Ready', status: 'True', lastTransitionTime: new Date().toISOString() }];
        await setPodStatus(pod, { phase: 'Running', conditions, containerStatuses: [container] });
      }
    },
    /** What a kubelet would do to pods that are to go. */
    endTerminatedPods: async (namespace: string): Promise<void> => {
      for (const { metadata } of await list('v1', 'Pod', namespace)) {
        if (metadata.deletionTimestamp === undefined) continue;
        await api.call('DELETE', `/api/v1/namespaces/${namespace}/pods/${metadata.name}?gracePeriodSeconds=0`);
      }
    },
    /** What a kubelet would say of a pod that ended. */
    endPod: async (pod: Seen, exitCode: number, message: string): Promise<void> => {
      const state = { terminated: { exitCode, message, reason: exitCode === 0 ? 'Completed' : 'Error' } };
      const container = {
        name: field(pod, 'spec.containers.0.name') as string,
        image: 'i',
        imageID: 'i',
        ready: false,
        restartCount: 0,
        state,
      };
      await setPodStatus(pod, { phase: exitCode === 0 ? 'Succeeded' : 'Failed', containerStatuses: [container] });
    },
  };
}
