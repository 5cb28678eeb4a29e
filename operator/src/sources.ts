// What the engine and the gateway ask Kubernetes, each in its own thread with caches of its own.
import {
  API_VERSION,
  GATEWAY_AUDIENCE,
  conversationRoom,
  type Agent,
  type AgentGrant,
  type AgentSpec,
  type Budget,
  type Knowledge,
  type KnowledgeGrant,
  type Model,
  type Tool,
  type ToolGrant,
  type Workflow,
} from '@kadre/crds';
import { agentUrl } from './build/metadata.ts';
import { cachesOf } from './caches.ts';
import { Manager, type Clock, type KubeClient, type KubeMetrics, type Log } from './kube/index.ts';

export interface KubeSourcesOptions {
  client: KubeClient;
  /** Name of this process, such as the pod's. */
  instance: string;
  /** Such as cluster.local; as in the operator's settings. */
  clusterDomain?: string;
  /** Those that Kadre is confined to. Absent: all. */
  namespaces?: string[];
  clock?: Clock;
  log?: Log;
  metrics?: KubeMetrics;
}

/** Who presented a ServiceAccount token. */
export interface TokenIdentity {
  namespace: string;
  serviceAccount: string;
  /** Name of the pod that the token is bound to. */
  pod?: string;
  /** UID of the ServiceAccount. */
  uid: string;
}

/** What engines ask. */
export interface EngineSources {
  /** Resolves when the caches are full. */
  start(): Promise<void>;
  stop(): Promise<void>;
  ready(): boolean;
  agents: { resolve(namespace: string, name: string): { found: boolean; serving: boolean; url: string } };
  /** What limits model calls and Runs. */
  budgets: { list(namespace: string): Budget[]; ofAgent(namespace: string, agent: string): AgentSpec['limits'] };
}

/** What gateways ask. */
export interface GatewaySources extends EngineSources {
  /** Whom agents may ask, and where. */
  agents: EngineSources['agents'] & {
    grants(namespace: string, agent: string): readonly AgentGrant[];
    spec(namespace: string, name: string): AgentSpec | undefined;
  };
  models: { get(namespace: string, name: string): Model | undefined; list(namespace: string): Model[] };
  /** What agents may use. */
  tools: {
    grants(namespace: string, agent: string): readonly ToolGrant[];
    get(namespace: string, name: string): Tool | undefined;
  };
  /** What agents may search. */
  knowledge: {
    grants(namespace: string, agent: string): readonly KnowledgeGrant[];
    get(namespace: string, name: string): Knowledge | undefined;
  };
  /** What Tools run. */
  workflows: { get(namespace: string, name: string): Workflow | undefined };
  /** How much agents keep of a conversation. */
  memory: { ofAgent(namespace: string, agent: string): ReturnType<typeof conversationRoom> };
  /** What the ConfigMap says under `prices.json`, by now; undefined if it is not there. */
  prices: { current(): string | undefined };
  secrets: { read(namespace: string, name: string): Promise<Record<string, string> | undefined> };
  /** Undefined for a token that is not valid for the gateway. */
  authenticate(token: string): Promise<TokenIdentity | undefined>;
}

/** Watches no more than engines may see. */
export const createEngineSources = (options: KubeSourcesOptions): EngineSources => watch(options).sources;

export function createGatewaySources(
  options: KubeSourcesOptions & {
    /** The ConfigMap with the list of prices. Absent: it is not watched. */
    prices?: { namespace: string; name: string };
  },
): GatewaySources {
  const { client } = options;
  const { manager, cache, agents, sources } = watch(options);
  const models = cache<Model>({ apiVersion: API_VERSION, kind: 'Model' });
  const tools = cache<Tool>({ apiVersion: API_VERSION, kind: 'Tool' });
  const knowledges = cache<Knowledge>({ apiVersion: API_VERSION, kind: 'Knowledge' });
  const workflows = cache<Workflow>({ apiVersion: API_VERSION, kind: 'Workflow' });
  const prices = options.prices && watchPrices(manager, options.prices);
  return {
    ...sources,
    agents: {
      ...sources.agents,
      grants: (namespace, agent) => agents.get(namespace, agent)?.spec.agents ?? [],
      spec: (namespace, name) => agents.get(namespace, name)?.spec,
    },
    models: {
      get: (namespace, name) => models.get(namespace, name),
      list: (namespace) => models.list(namespace),
    },
    tools: {
      grants: (namespace, agent) => agents.get(namespace, agent)?.spec.tools ?? [],
      get: (namespace, name) => tools.get(namespace, name),
    },
    knowledge: {
      grants: (namespace, agent) => agents.get(namespace, agent)?.spec.knowledge ?? [],
      get: (namespace, name) => knowledges.get(namespace, name),
    },
    workflows: { get: (namespace, name) => workflows.get(namespace, name) },
    memory: {
      ofAgent: (namespace, name) => {
        const agent = agents.get(namespace, name);
        return agent && conversationRoom(agent.spec);
      },
    },
    prices: { current: () => prices?.() },
    secrets: { read: (namespace, name) => readSecret(client, namespace, name) },
    authenticate: (token) => reviewToken(client, token),
  };
}

function watch(options: KubeSourcesOptions) {
  const { namespaces, clusterDomain } = options;
  const manager = new Manager(options);
  const cache = cachesOf(manager, namespaces);
  const agents = cache<Agent>({ apiVersion: API_VERSION, kind: 'Agent' });
  const budgets = cache<Budget>({ apiVersion: API_VERSION, kind: 'Budget' });
  const sources: EngineSources = {
    start: () => manager.start(),
    stop: () => manager.stop(),
    ready: () => manager.hasSynced,
    agents: {
      resolve: (namespace, name) => {
        const agent = agents.get(namespace, name);
        const serving = agent?.spec.serving !== undefined;
        return { found: agent !== undefined, serving, url: agentUrl(namespace, name, clusterDomain) };
      },
    },
    budgets: {
      list: (namespace) => budgets.list(namespace),
      ofAgent: (namespace, agent) => agents.get(namespace, agent)?.spec.limits,
    },
  };
  return { manager, cache, agents, sources };
}

function watchPrices(manager: Manager, { namespace, name }: { namespace: string; name: string }) {
  // The name is all that Kadre may read of ConfigMaps. Who forbids that still has a gateway, with the bundled prices.
  const selection = { namespace, fieldSelector: `metadata.name=${name}`, optional: true };
  const cache = manager.cache({ apiVersion: 'v1', kind: 'ConfigMap' }, selection);
  return () => (cache.get(namespace, name)?.data as Record<string, string> | undefined)?.['prices.json'];
}

/** The decoded data of a Secret; undefined if it is not there. */
export async function readSecret(
  client: KubeClient,
  namespace: string,
  name: string,
): Promise<Record<string, string> | undefined> {
  const secret = await client.get({ apiVersion: 'v1', kind: 'Secret', namespace, name });
  if (!secret) return undefined;
  const data = (secret.data ?? {}) as Record<string, string>;
  return Object.fromEntries(
    Object.entries(data).map(([key, value]) => [key, Buffer.from(value, 'base64').toString('utf8')]),
  );
}

interface TokenReviewStatus {
  authenticated?: boolean;
  audiences?: string[];
  user?: { username?: string; uid?: string; extra?: Record<string, string[]> };
}

const ACCOUNT = /^system:serviceaccount:([^:]+):([^:]+)$/;

async function reviewToken(client: KubeClient, token: string): Promise<TokenIdentity | undefined> {
  const review = await client.create({
    apiVersion: 'authentication.k8s.io/v1',
    kind: 'TokenReview',
    // A review is answered and not kept; it needs no name.
    metadata: { name: '' },
    spec: { token, audiences: [GATEWAY_AUDIENCE] },
  });
  const { authenticated, audiences, user } = (review.status ?? {}) as TokenReviewStatus;
  // An authenticator that knows nothing of audiences answers without them; such an answer is worth nothing here.
  if (authenticated !== true || !audiences?.includes(GATEWAY_AUDIENCE)) return undefined;
  const [, namespace, serviceAccount] = ACCOUNT.exec(user?.username ?? '') ?? [];
  if (namespace === undefined || serviceAccount === undefined) return undefined;
  const pod = user?.extra?.['authentication.kubernetes.io/pod-name']?.[0];
  return { namespace, serviceAccount, ...(pod !== undefined && { pod }), uid: user?.uid ?? '' };
}
