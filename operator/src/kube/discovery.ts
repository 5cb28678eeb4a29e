// Which path serves a kind, and whether it is served at all.
import { systemClock } from './clock.ts';
import type { Clock } from './clock.ts';
import { KubeError, isNotFound, kubeReasons } from './errors.ts';
import type { Transport } from './transport.ts';

export interface KindRef {
  apiVersion: string;
  kind: string;
}

export interface KnownKind extends KindRef {
  /** The resource's plural, as in paths. */
  resource: string;
  namespaced: boolean;
}

/** Names an object, or a collection when `name` is absent. */
export interface ResourcePath extends KindRef {
  namespace?: string | undefined;
  name?: string | undefined;
  subresource?: string | undefined;
}

export interface Discovery {
  /** Rejects with reason KindNotServed when the API server does not know the kind. */
  path(target: ResourcePath): Promise<string>;
  /** Asks the API server, at most every 10 s for each group and version. */
  hasResource(apiVersion: string, kind: string): Promise<boolean>;
  /** How the kind is called in paths; undefined when it is not served. What is asked is kept as for `hasResource`. */
  resourceOf(apiVersion: string, kind: string): Promise<KnownKind | undefined>;
  /** Forgets what was discovered about this apiVersion. */
  forget(apiVersion: string): void;
}

interface ResourceList {
  resources?: { name: string; kind: string; namespaced: boolean }[];
}

type Served = Map<string, KnownKind>;

/** How long (ms) an answer to "is it served?" holds: a CRD may come or go at any time. */
const freshFor = 10_000;

const namespaced = (apiVersion: string, kind: string, resource: string): KnownKind => ({
  apiVersion,
  kind,
  resource,
  namespaced: true,
});

/** Kinds that every cluster serves, so that nobody needs to ask. */
const builtin: KnownKind[] = [
  namespaced('v1', 'ConfigMap', 'configmaps'),
  namespaced('v1', 'Secret', 'secrets'),
  namespaced('v1', 'Service', 'services'),
  namespaced('v1', 'ServiceAccount', 'serviceaccounts'),
  namespaced('v1', 'Pod', 'pods'),
  { apiVersion: 'v1', kind: 'Node', resource: 'nodes', namespaced: false },
  { apiVersion: 'v1', kind: 'Namespace', resource: 'namespaces', namespaced: false },
  namespaced('apps/v1', 'Deployment', 'deployments'),
  namespaced('apps/v1', 'ReplicaSet', 'replicasets'),
  namespaced('batch/v1', 'Job', 'jobs'),
  namespaced('batch/v1', 'CronJob', 'cronjobs'),
  namespaced('autoscaling/v2', 'HorizontalPodAutoscaler', 'horizontalpodautoscalers'),
  namespaced('networking.k8s.io/v1', 'Ingress', 'ingresses'),
  namespaced('networking.k8s.io/v1', 'NetworkPolicy', 'networkpolicies'),
  namespaced('policy/v1', 'PodDisruptionBudget', 'poddisruptionbudgets'),
  namespaced('coordination.k8s.io/v1', 'Lease', 'leases'),
  namespaced('events.k8s.io/v1', 'Event', 'events'),
];

export function createDiscovery(transport: Transport, options: { known?: KnownKind[]; clock?: Clock } = {}): Discovery {
  const clock = options.clock ?? systemClock;
  const known = new Map(
    [...builtin, ...(options.known ?? [])].map((each) => [keyOf(each.apiVersion, each.kind), each]),
  );
  const discovered = new Map<string, { at: number; served: Promise<Served> }>();

  const ask = async (apiVersion: string): Promise<Served> => {
    try {
      const list = (await transport.json({ method: 'GET', path: root(apiVersion), idempotent: true })) as ResourceList;
      const own = (list.resources ?? []).filter((each) => !each.name.includes('/'));
      return new Map(own.map((each) => [each.kind, { ...each, apiVersion, resource: each.name }]));
    } catch (error) {
      if (isNotFound(error)) return new Map();
      throw error;
    }
  };

  const servedBy = (apiVersion: string): Promise<Served> => {
    const last = discovered.get(apiVersion);
    if (last && clock.monotonic() - last.at < freshFor) return last.served;
    const served = ask(apiVersion);
    discovered.set(apiVersion, { at: clock.monotonic(), served });
    served.catch(() => discovered.delete(apiVersion));
    return served;
  };

  const resourceOf = async (apiVersion: string, kind: string): Promise<KnownKind | undefined> =>
    known.get(keyOf(apiVersion, kind)) ?? (await servedBy(apiVersion)).get(kind);

  const find = async (apiVersion: string, kind: string): Promise<KnownKind> => {
    const found = await resourceOf(apiVersion, kind);
    if (found) return found;
    const message = `the API server does not serve ${kind} of ${apiVersion}`;
    throw new KubeError(message, { code: 404, reason: kubeReasons.kindNotServed });
  };

  return {
    path: async (target) => pathOf(await find(target.apiVersion, target.kind), target),
    hasResource: async (apiVersion, kind) => (await servedBy(apiVersion)).has(kind),
    resourceOf,
    forget: (apiVersion) => discovered.delete(apiVersion),
  };
}

const keyOf = (apiVersion: string, kind: string) => `${apiVersion} ${kind}`;

/** The core group alone has no name, and a root of its own. */
const root = (apiVersion: string) => (apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`);

function pathOf(known: KnownKind, target: ResourcePath): string {
  const parts = [root(known.apiVersion)];
  if (known.namespaced && target.namespace) parts.push('namespaces', encodeURIComponent(target.namespace));
  parts.push(known.resource);
  if (target.name !== undefined) parts.push(encodeURIComponent(target.name));
  if (target.subresource) parts.push(target.subresource);
  return parts.join('/');
}
