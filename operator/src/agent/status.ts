// What an agent's status says.
import { AGENT_CARD_PATH, type AgentStatus } from '@kadre/crds';
import { servingSelector } from '../build/metadata.ts';
import { conditionNow, conditionsOf, isReady, type Fact } from '../build/readiness.ts';
import { rolloutHealth } from '../build/rollout.ts';
import type { Deployment } from '../build/wire.ts';
import { externalUrl, internalUrl } from './address.ts';
import { exposure } from './exposure.ts';
import { agentsFact, agentsHealth } from './agents.ts';
import { knowledgeFact, knowledgeHealth } from './knowledge.ts';
import { toolsFact, toolsHealth } from './tools.ts';
import type { AgentSnapshot } from './observe.ts';
import type { Health } from '../kube/conditions.ts';

/** `pending`: children that are still to be made or changed, as `Kind/name`. */
export function agentStatus(
  snapshot: AgentSnapshot,
  problem: Health | undefined,
  pending: string[],
  now: Date,
): AgentStatus {
  const { agent, settings } = snapshot;
  const deployment = deploymentOf(snapshot);
  const external = externalUrl(agent);
  const url = internalUrl(agent, settings);
  const model = modelFact(snapshot);
  const tools = toolsFact(snapshot);
  const knowledge = knowledgeFact(snapshot);
  const others = agentsFact(snapshot);
  const outside = exposure(snapshot);
  const health =
    problem ??
    modelHealth(model) ??
    toolsHealth(tools) ??
    knowledgeHealth(knowledge) ??
    agentsHealth(others) ??
    podsHealth(snapshot, pending) ??
    exposureHealth(outside) ??
    ready(snapshot);
  return {
    observedGeneration: agent.metadata.generation,
    ...(agent.spec.serving && {
      url,
      ...(external !== undefined && { externalUrl: external }),
      card: `${external ?? url}${AGENT_CARD_PATH}`,
    }),
    replicas: deployment?.status?.replicas ?? 0,
    readyReplicas: deployment?.status?.readyReplicas ?? 0,
    selector: Object.entries(servingSelector(agent.metadata.name))
      .map(([key, value]) => `${key}=${value}`)
      .join(','),
    conditions: conditionsOf(
      agent,
      health,
      [
        model,
        ...(tools ? [tools] : []),
        ...(knowledge ? [knowledge] : []),
        ...(others ? [others] : []),
        ...(outside ? [outside.fact] : []),
      ],
      now,
    ),
  };
}

function deploymentOf({ children }: AgentSnapshot): Deployment | undefined {
  return children.find((child) => child.kind === 'Deployment');
}

function modelFact({ agent, model }: AgentSnapshot): Fact {
  const type = 'ModelReady';
  const name = agent.spec.model;
  if (!model) {
    const message = `There is no Model ${name} in namespace ${agent.metadata.namespace ?? ''}. Create it, or name another one.`;
    return { type, status: 'False', reason: 'ModelNotFound', message };
  }
  if (isReady(model)) return { type, status: 'True', reason: 'Ready', message: `Model ${name} is ready.` };
  const stalled = conditionNow(model, 'Stalled');
  if (stalled?.status === 'True') {
    return { type, status: 'False', reason: stalled.reason, message: `Model ${name} is not ready: ${stalled.message}` };
  }
  return { type, status: 'Unknown', reason: 'ModelPending', message: `Model ${name} has not been checked yet.` };
}

function modelHealth({ status, reason, message }: Fact): Health | undefined {
  if (status === 'True') return undefined;
  return { state: status === 'False' ? 'stalled' : 'progressing', reason, message };
}

function podsHealth(snapshot: AgentSnapshot, pending: string[]): Health | undefined {
  if (pending.length > 0) {
    return { state: 'progressing', reason: 'Applying', message: `Being brought up to date: ${pending.join(', ')}.` };
  }
  const deployment = deploymentOf(snapshot);
  return deployment && rolloutHealth(deployment, snapshot.pods);
}

function exposureHealth(outside: ReturnType<typeof exposure>): Health | undefined {
  if (!outside || outside.fact.status === 'True') return undefined;
  const { reason, message } = outside.fact;
  return { state: outside.settled ? 'stalled' : 'progressing', reason, message };
}

function ready({ agent }: AgentSnapshot): Health {
  const serving = agent.spec.serving;
  if (!serving)
    return { state: 'ready', reason: 'RunsInJobs', message: 'Each step of the agent runs in a Job of its own.' };
  if (serving.replicas === 0)
    return { state: 'ready', reason: 'Paused', message: 'serving.replicas is 0, so no pods run.' };
  return { state: 'ready', reason: 'Available', message: 'The agent answers.' };
}
