// Keeps what an Agent consists of as its spec says.
import { by, httpRoute } from '../caches.ts';
import { joinKey, splitKey, watching, type Cache, type KubeObject } from '../kube/index.ts';
import { isRefusal, namesakes, ownChildren, owning } from '../children.ts';
import { childrenOf, decideAgent, rejectedAgent } from './decide.ts';
import { labels, type Agent } from '@kadre/crds';
import type { AgentSnapshot } from './observe.ts';
import type { Context } from '../context.ts';

export function registerAgentController(context: Context): void {
  const { manager, caches, clock } = context;
  const { agents } = caches;
  manager.controller({
    name: 'agent',
    for: agents,
    concurrency: 8,
    watches: [
      ...[...caches.children, caches.routes].map((cache) => watching(cache, owning('Agent'))),
      watching(caches.pods, servedAgents),
      watching(caches.models, ({ metadata }) => keysBy(agents, by.model, joinKey(metadata.namespace, metadata.name))),
      watching(caches.tools, ({ metadata }) => keysBy(agents, by.tool, joinKey(metadata.namespace, metadata.name))),
      watching(agents, ({ metadata }) => keysBy(agents, by.asked, joinKey(metadata.namespace, metadata.name))),
      watching(caches.knowledges, ({ metadata }) =>
        keysBy(agents, by.knowledge, joinKey(metadata.namespace, metadata.name)),
      ),
      watching(caches.pools, ({ metadata }) => keysBy(agents, by.pool, metadata.name)),
    ],
    reconcile: async (key, { signal }) => {
      const { namespace, name } = splitKey(key);
      const agent = agents.get(namespace, name);
      if (!agent) return undefined;
      const snapshot = await observeAgent(context, agent);
      const now = new Date(clock.now());
      try {
        return await manager.executor.execute(agent, decideAgent(snapshot, now), { signal });
      } catch (error) {
        if (!isRefusal(error)) throw error;
        await manager.executor.execute(agent, rejectedAgent(snapshot, error.message, now), { signal });
        throw error;
      }
    },
  });
}

async function observeAgent(context: Context, agent: Readonly<Agent>): Promise<AgentSnapshot> {
  const { caches, settings } = context;
  const { namespace = '', name, uid } = agent.metadata;
  const { model: modelName, tools = [], agents = [], runtime } = agent.spec;
  const routes = await knowsRoutes(context, agent);
  const model = caches.models.get(namespace, modelName);
  const pool = runtime?.gpu && caches.pools.get(undefined, runtime.gpu.pool);
  const owners = routes ? [...caches.children, caches.routes] : caches.children;
  const known = {
    agent,
    settings,
    ...(model && { model }),
    ...(pool && { pool }),
    tools: tools.flatMap(({ name: tool }) => caches.tools.get(namespace, tool) ?? []),
    knowledge: (agent.spec.knowledge ?? []).flatMap((one) => caches.knowledges.get(namespace, one.name) ?? []),
    others: agents.flatMap(({ name: other }) => caches.agents.get(namespace, other) ?? []),
    children: ownChildren(owners, agent.metadata),
    pods: caches.pods.byIndex(by.agent, joinKey(namespace, name)),
    routes,
    foreign: [],
    accountMissing: false,
  };
  const [foreign, accountMissing] = await Promise.all([
    namesakes(context.manager, uid, childrenOf(known), known.children),
    isAccountMissing(context, agent),
  ]);
  return { ...known, foreign, accountMissing };
}

/** Asked only about agents that have, or shall have, a route. */
async function knowsRoutes({ manager, caches }: Context, agent: Readonly<Agent>): Promise<boolean> {
  const wanted = agent.spec.serving?.expose?.gateway !== undefined;
  const there = caches.routes.byIndex(by.owner, agent.metadata.uid).length > 0;
  return (wanted || there) && (await manager.client.hasResource(httpRoute.apiVersion, httpRoute.kind));
}

async function isAccountMissing({ manager }: Context, agent: Readonly<Agent>): Promise<boolean> {
  const name = agent.spec.runtime?.serviceAccountName;
  if (name === undefined) return false;
  const namespace = agent.metadata.namespace ?? '';
  return (await manager.client.get({ apiVersion: 'v1', kind: 'ServiceAccount', namespace, name })) === undefined;
}

function servedAgents({ metadata }: Readonly<KubeObject>): string[] {
  const { [labels.agent]: agent, [labels.component]: component } = metadata.labels ?? {};
  return agent === undefined || component !== 'agent' ? [] : [joinKey(metadata.namespace, agent)];
}

function keysBy(cache: Cache<Agent>, index: string, value: string): string[] {
  return cache.byIndex(index, value).map(({ metadata }) => joinKey(metadata.namespace, metadata.name));
}
