// What an agent's status says of the Knowledge that it may search.
import { conditionNow, isReady, type Fact } from '../build/readiness.ts';
import type { Health } from '../kube/conditions.ts';
import type { AgentSnapshot } from './observe.ts';

/** Undefined for an agent without knowledge. */
export function knowledgeFact({ agent, knowledge }: AgentSnapshot): Fact | undefined {
  const grants = agent.spec.knowledge ?? [];
  if (grants.length === 0) return undefined;
  const type = 'KnowledgeReady';
  const missing = grants.filter(({ name }) => !knowledge.some(({ metadata }) => metadata.name === name));
  if (missing.length > 0) {
    const message = `There is no Knowledge ${missing.map(({ name }) => name).join(', ')} in namespace ${agent.metadata.namespace ?? ''}. Create it, or take it out of spec.knowledge.`;
    return { type, status: 'False', reason: 'KnowledgeNotFound', message };
  }
  const troubled = knowledge.find((one) => !isReady(one));
  if (!troubled) return { type, status: 'True', reason: 'Ready', message: 'The agent can search all that it may.' };
  const said = conditionNow(troubled, 'Ready');
  const { name } = troubled.metadata;
  if (!said)
    return { type, status: 'Unknown', reason: 'KnowledgePending', message: `Knowledge ${name} has not been read yet.` };
  return { type, status: 'False', reason: said.reason, message: `Knowledge ${name}: ${said.message}` };
}

/** What can be searched in part is no reason to stop the agent. */
export function knowledgeHealth(fact: Fact | undefined): Health | undefined {
  if (fact?.reason !== 'KnowledgeNotFound') return undefined;
  return { state: 'stalled', reason: fact.reason, message: fact.message };
}
