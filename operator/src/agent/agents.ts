// What an agent's status says of the other Agents that it may ask.
import type { Agent } from '@kadre/crds';
import type { Fact } from '../build/readiness.ts';
import type { AgentSnapshot } from './observe.ts';
import type { Health } from '../kube/conditions.ts';

const type = 'AgentsReady';

/** Undefined for an agent that asks no others. */
export function agentsFact({ agent, others }: AgentSnapshot): Fact | undefined {
  const names = (agent.spec.agents ?? []).map(({ name }) => name);
  if (names.length === 0) return undefined;
  const find = (name: string): Agent | undefined => others.find(({ metadata }) => metadata.name === name);
  const missing = names.filter((name) => !find(name));
  if (missing.length > 0) {
    const message = `There is no ${listed(missing)} in namespace ${agent.metadata.namespace ?? ''}. Create it, or take it out of spec.agents.`;
    return { type, status: 'False', reason: 'AgentNotFound', message };
  }
  const unserved = names.filter((name) => !find(name)?.spec.serving);
  if (unserved.length > 0) {
    const message = `${listed(unserved)} cannot be asked, and the agent does without it: it runs in Jobs alone. Set its spec.serving.`;
    return { type, status: 'False', reason: 'NotServed', message };
  }
  return { type, status: 'True', reason: 'Ready', message: 'The agent can ask all the others that it names.' };
}

/** One that is there and not served is no reason to stop the agent, which does without it. */
export function agentsHealth(fact: Fact | undefined): Health | undefined {
  if (fact?.reason !== 'AgentNotFound') return undefined;
  return { state: 'stalled', reason: fact.reason, message: fact.message };
}

const listed = (names: readonly string[]): string => `${names.length === 1 ? 'Agent' : 'Agents'} ${names.join(', ')}`;
