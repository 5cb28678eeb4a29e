// What the server asks Kubernetes for clients of MCP: what is offered, who asks, and whether they may create Runs.
import { API_VERSION, GROUP, labels, MCP_AUDIENCE, type Agent, type Workflow } from '@kadre/crds';
import { cachesOf } from './caches.ts';
import { Manager, type KubeClient } from './kube/index.ts';
import type { KubeSourcesOptions } from './sources.ts';

interface User {
  username: string;
  uid: string;
  groups: string[];
  extra: Record<string, string[]>;
}

export interface McpSources {
  /** Resolves when the caches are full. */
  start(): Promise<void>;
  stop(): Promise<void>;
  ready(): boolean;
  mcp: {
    workflows: { list(namespace: string): Workflow[] };
    agents: { list(namespace: string): Agent[] };
    authenticate(token: string): Promise<User | undefined>;
    mayCreateRuns(user: User, namespace: string): Promise<boolean>;
  };
}

/** A review is answered and not kept; it needs no name. */
const metadata = { name: '' };

/** @param options.audience of the tokens that are taken */
export function createMcpSources(
  options: Omit<KubeSourcesOptions, 'clusterDomain'> & { audience?: string },
): McpSources {
  const { client, namespaces, audience = MCP_AUDIENCE } = options;
  const manager = new Manager(options);
  const cache = cachesOf(manager, namespaces);
  const offered = { labelSelector: `${labels.offer}=mcp` };
  const workflows = cache<Workflow>({ apiVersion: API_VERSION, kind: 'Workflow' }, offered);
  const agents = cache<Agent>({ apiVersion: API_VERSION, kind: 'Agent' }, offered);
  return {
    start: () => manager.start(),
    stop: () => manager.stop(),
    ready: () => manager.hasSynced,
    mcp: {
      workflows: { list: (namespace) => workflows.list(namespace) },
      agents: { list: (namespace) => agents.list(namespace) },
      authenticate: (token) => reviewToken(client, token, audience),
      mayCreateRuns: (user, namespace) => reviewAccess(client, user, namespace),
    },
  };
}

async function reviewToken(client: KubeClient, token: string, audience: string): Promise<User | undefined> {
  const review = await client.create({
    apiVersion: 'authentication.k8s.io/v1',
    kind: 'TokenReview',
    metadata,
    spec: { token, audiences: [audience] },
  });
  const { authenticated, audiences, user } = (review.status ?? {}) as {
    authenticated?: boolean;
    audiences?: string[];
    user?: Partial<User>;
  };
  // An authenticator that knows nothing of audiences answers without them; such an answer is worth nothing here.
  if (authenticated !== true || !audiences?.includes(audience) || !user?.username) return undefined;
  return { username: user.username, uid: user.uid ?? '', groups: user.groups ?? [], extra: user.extra ?? {} };
}

async function reviewAccess(client: KubeClient, user: User, namespace: string): Promise<boolean> {
  const { username, uid, groups, extra } = user;
  const resourceAttributes = { group: GROUP, resource: 'runs', verb: 'create', namespace };
  const review = await client.create({
    apiVersion: 'authorization.k8s.io/v1',
    kind: 'SubjectAccessReview',
    metadata,
    spec: { user: username, uid, groups, extra, resourceAttributes },
  });
  return (review.status as { allowed?: boolean } | undefined)?.allowed === true;
}
