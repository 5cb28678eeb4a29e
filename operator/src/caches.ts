// What the operator watches. Of built-in kinds it watches only what it made itself; Secrets it may not watch at all.
import {
  API_VERSION,
  labels,
  MANAGER,
  routedModels,
  type Agent,
  type Approval,
  type Budget,
  type GpuPool,
  type Knowledge,
  type Model,
  type Run,
  type Tool,
  type Trigger,
  type Workflow,
} from '@kadre/crds';
import { calledWorkflows } from '@kadre/engine';
import {
  byOwnerUid,
  joinKey,
  type Cache,
  type CacheOptions,
  type KindRef,
  type KnownKind,
  type KubeObject,
  type Manager,
} from './kube/index.ts';
import { unionCache } from './union-cache.ts';
import { agentsOf, poolsOf, toolsOf } from './build/references.ts';
import type { Job, Node, Pod } from './build/wire.ts';
import { poolKeyOf, poolKeyOfPod } from './sandbox/pools.ts';

const namespaced = (kind: string, resource: string): KnownKind => ({
  apiVersion: API_VERSION,
  kind,
  resource,
  namespaced: true,
});

/** Kadre's own kinds, and those that the operator needs and every cluster has. */
export const knownKinds: KnownKind[] = [
  namespaced('Agent', 'agents'),
  namespaced('Model', 'models'),
  namespaced('Tool', 'tools'),
  namespaced('Knowledge', 'knowledges'),
  namespaced('Workflow', 'workflows'),
  namespaced('Run', 'runs'),
  namespaced('Approval', 'approvals'),
  namespaced('Trigger', 'triggers'),
  namespaced('Budget', 'budgets'),
  { apiVersion: API_VERSION, kind: 'GpuPool', resource: 'gpupools', namespaced: false },
  { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview', resource: 'tokenreviews', namespaced: false },
  {
    apiVersion: 'authorization.k8s.io/v1',
    kind: 'SubjectAccessReview',
    resource: 'subjectaccessreviews',
    namespaced: false,
  },
  {
    apiVersion: 'authorization.k8s.io/v1',
    kind: 'SelfSubjectAccessReview',
    resource: 'selfsubjectaccessreviews',
    namespaced: false,
  },
];

export const httpRoute: KindRef = { apiVersion: 'gateway.networking.k8s.io/v1', kind: 'HTTPRoute' };

/** Names of the indexes. */
export const by = {
  owner: 'owner',
  model: 'model',
  tool: 'tool',
  knowledge: 'knowledge',
  /** Routes by the Models that they name. */
  candidate: 'candidate',
  /** Agents by those that they may ask. */
  asked: 'asked',
  pool: 'pool',
  agent: 'agent',
  run: 'run',
  uid: 'uid',
  workflow: 'workflow',
  trigger: 'trigger',
  sandboxPool: 'sandbox-pool',
} as const;

export type Caches = ReturnType<typeof operatorCaches>;

type ForKind = <
  T extends KubeObject | Agent | Model | Workflow | Run | Approval | Trigger | Budget | GpuPool | Tool | Knowledge,
>(
  kind: KindRef,
  options?: CacheOptions<T>,
) => Cache<T>;

/** One cache for all namespaces, or one over those that Kadre is confined to. */
export function cachesOf(manager: Manager, namespaces: string[] | undefined): ForKind {
  return (kind, options = {}) =>
    namespaces
      ? unionCache(
          kind,
          new Map(namespaces.map((namespace) => [namespace, manager.cache(kind, { ...options, namespace })])),
        )
      : manager.cache(kind, options);
}

/** @param namespaces those that Kadre is confined to; absent: all. Nodes and GpuPools belong to none. */
export function operatorCaches(manager: Manager, namespaces: string[] | undefined) {
  const cache = cachesOf(manager, namespaces);
  const own = (kind: string) => ({ apiVersion: API_VERSION, kind });
  const labelSelector = `${labels.managedBy}=${MANAGER}`;
  const child = (apiVersion: string, kind: string) =>
    cache<KubeObject>({ apiVersion, kind }, { labelSelector, indexes: { [by.owner]: byOwnerUid } });
  return {
    /** Whether Kadre is responsible for the namespace. */
    watches: (namespace: string) => namespaces?.includes(namespace) ?? true,
    agents: cache<Agent>(own('Agent'), { indexes: agentIndexes }),
    models: cache<Model>(own('Model'), { indexes: modelIndexes }),
    tools: cache<Tool>(own('Tool'), { indexes: toolIndexes }),
    knowledges: cache<Knowledge>(own('Knowledge'), { indexes: knowledgeIndexes }),
    workflows: cache<Workflow>(own('Workflow'), { indexes: workflowIndexes }),
    runs: cache<Run>(own('Run'), { indexes: runIndexes }),
    approvals: cache<Approval>(own('Approval')),
    triggers: cache<Trigger>(own('Trigger'), { indexes: triggerIndexes }),
    budgets: cache<Budget>(own('Budget')),
    pools: manager.cache<GpuPool>(own('GpuPool')),
    nodes: manager.cache<Node>({ apiVersion: 'v1', kind: 'Node' }),
    /** What Agents and servers of Tools consist of; HTTPRoutes are apart, because not every cluster has them. */
    children: [
      child('v1', 'ServiceAccount'),
      child('v1', 'Service'),
      child('apps/v1', 'Deployment'),
      child('autoscaling/v2', 'HorizontalPodAutoscaler'),
      child('policy/v1', 'PodDisruptionBudget'),
      child('networking.k8s.io/v1', 'NetworkPolicy'),
      child('networking.k8s.io/v1', 'Ingress'),
    ],
    routes: cache<KubeObject>(httpRoute, { labelSelector, optional: true, indexes: { [by.owner]: byOwnerUid } }),
    jobs: cache<Job>({ apiVersion: 'batch/v1', kind: 'Job' }, { labelSelector, indexes: { [by.pool]: poolLabel } }),
    pods: cache<Pod>(
      { apiVersion: 'v1', kind: 'Pod' },
      {
        labelSelector,
        indexes: {
          [by.owner]: byOwnerUid,
          [by.pool]: poolLabel,
          [by.run]: runLabel,
          [by.agent]: servedAgent,
          [by.sandboxPool]: (pod) => optional(poolKeyOfPod(pod)),
          [by.tool]: servedTool,
        },
      },
    ),
  };
}

const inNamespace = (object: { metadata: { namespace?: string } }, name: string) =>
  joinKey(object.metadata.namespace, name);
const labelled = (object: { metadata: { labels?: Record<string, string> } }, label: string) =>
  [object.metadata.labels?.[label]].filter((value) => value !== undefined);
const optional = (key: string | undefined) => (key === undefined ? [] : [key]);
const poolLabel = (object: KubeObject) => labelled(object, labels.gpuPool);
const runLabel = (object: KubeObject) => labelled(object, labels.run);
const servedAgent = (pod: Pod) =>
  pod.metadata.labels?.[labels.component] === 'agent'
    ? labelled(pod, labels.agent).map((name) => inNamespace(pod, name))
    : [];

const servedTool = (pod: Pod) => labelled(pod, labels.tool).map((name) => inNamespace(pod, name));

const modelIndexes = {
  [by.candidate]: (model: Model) =>
    model.spec.route ? routedModels(model.spec.route).map(({ name }) => inNamespace(model, name)) : [],
};

const agentIndexes = {
  [by.model]: (agent: Agent) => [inNamespace(agent, agent.spec.model)],
  [by.asked]: (agent: Agent) => (agent.spec.agents ?? []).map(({ name }) => inNamespace(agent, name)),
  [by.knowledge]: (agent: Agent) => (agent.spec.knowledge ?? []).map(({ name }) => inNamespace(agent, name)),
  [by.tool]: (agent: Agent) => (agent.spec.tools ?? []).map(({ name }) => inNamespace(agent, name)),
  [by.pool]: (agent: Agent) => [agent.spec.runtime?.gpu?.pool].filter((pool) => pool !== undefined),
};

const knowledgeIndexes = {
  [by.model]: (knowledge: Knowledge) => [inNamespace(knowledge, knowledge.spec.model)],
};

const toolIndexes = {
  [by.sandboxPool]: (tool: Tool) => optional(poolKeyOf(tool)),
  [by.workflow]: (tool: Tool) => optional(tool.spec.workflow && inNamespace(tool, tool.spec.workflow.name)),
};

const workflowIndexes = {
  [by.agent]: (workflow: Workflow) => agentsOf(workflow.spec).map((name) => inNamespace(workflow, name)),
  [by.tool]: (workflow: Workflow) => toolsOf(workflow.spec).map((name) => inNamespace(workflow, name)),
  [by.pool]: (workflow: Workflow) => poolsOf(workflow.spec),
  [by.workflow]: (workflow: Workflow) => calledWorkflows(workflow.spec).map((name) => inNamespace(workflow, name)),
};

const runIndexes = {
  [by.uid]: (run: Run) => [run.metadata.uid],
  [by.trigger]: (run: Run) => labelled(run, labels.triggerUid),
  [by.run]: (run: Run) => labelled(run, labels.run),
};

const triggerIndexes = {
  [by.workflow]: (trigger: Trigger) => {
    const name = trigger.spec.start.workflow?.name;
    return name === undefined ? [] : [inNamespace(trigger, name)];
  },
};
