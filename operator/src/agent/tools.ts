// What an agent's status says of the Tools that it is granted.
import { conditionNow, isReady, type Fact } from '../build/readiness.ts';
import { isAllowed } from '@kadre/tools';
import type { Tool, ToolGrant } from '@kadre/crds';
import type { AgentSnapshot } from './observe.ts';
import type { Health } from '../kube/conditions.ts';

const MOST_OPERATIONS = 256;

type Shortcoming = Pick<Fact, 'status' | 'reason' | 'message'>;

/** Undefined for an agent without tools. */
export function toolsFact({ agent, tools }: AgentSnapshot): Fact | undefined {
  const grants = agent.spec.tools ?? [];
  if (grants.length === 0) return undefined;
  const type = 'ToolsReady';
  const missing = grants.filter(({ name }) => !find(tools, name)).map(({ name }) => name);
  if (missing.length > 0) {
    const which = `${missing.length === 1 ? 'Tool' : 'Tools'} ${missing.join(', ')}`;
    const message = `There is no ${which} in namespace ${agent.metadata.namespace ?? ''}. Create it, or take it out of spec.tools.`;
    return { type, status: 'False', reason: 'ToolNotFound', message };
  }
  const shortcomings = grants.flatMap((grant) => shortcoming(grant, find(tools, grant.name)) ?? []);
  const worst = shortcomings.find(({ status }) => status === 'False') ?? shortcomings[0];
  return { type, ...(worst ?? { status: 'True', reason: 'Ready', message: 'The agent can use all of its tools.' }) };
}

/** A Tool that is there and fails at the moment is no reason to stop the agent, which does without it. */
export function toolsHealth(fact: Fact | undefined): Health | undefined {
  if (fact?.reason !== 'ToolNotFound') return undefined;
  return { state: 'stalled', reason: fact.reason, message: fact.message };
}

const find = (tools: readonly Tool[], name: string) => tools.find(({ metadata }) => metadata.name === name);

function shortcoming({ name, allow }: ToolGrant, tool: Tool | undefined): Shortcoming | undefined {
  if (!tool) return undefined;
  if (isReady(tool)) return allow && idleGrant(name, allow, tool);
  const said = conditionNow(tool, 'Ready');
  if (!said) return { status: 'Unknown', reason: 'ToolPending', message: `Tool ${name} has not been checked yet.` };
  const message = `Tool ${name} cannot be used, and the agent does without it: ${said.message}`;
  return { status: 'False', reason: said.reason, message };
}

function idleGrant(name: string, allow: string[], { status }: Tool): Shortcoming | undefined {
  const names = status?.operations?.map((operation) => operation.name) ?? [];
  // A status holds so many, and what the agent means may be among the others.
  if (names.length >= MOST_OPERATIONS || names.some((operation) => isAllowed(allow, operation))) return undefined;
  const there = names.length > 0 ? `There are: ${names.slice(0, 10).join(', ')}.` : 'It has but one: remove allow.';
  return {
    status: 'False',
    reason: 'NothingAllowed',
    message: `What spec.tools allows of Tool ${name} fits none of its operations. ${there}`,
  };
}
