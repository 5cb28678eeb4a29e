// Other agents as tools: whom an Agent names in spec.agents, its model may ask. What holds for tools holds for them.
import { DELEGATION_DEPTH, type AgentGrant, type AgentSpec, type Tool } from '@kadre/crds';
import { agentInputSchema } from '@kadre/tools';
import type { Caller } from '../access/caller.ts';
import type { AgentSource } from '../options.ts';
import type { Offered } from '../tools/discovery.ts';
import { isAgent, type Offers } from '../tools/offers.ts';
import { Refusal } from '../tools/refusal.ts';
import { askName, handOffName, isDelegation } from './names.ts';

/** Outside of runs nothing but this bounds how many are at work for others. */
const MOST_OUTSIDE = 64;

export function withAgents(offers: Offers, source: AgentSource): Offers {
  const grantsOf = (caller: Caller): readonly AgentGrant[] =>
    isAgent(caller) && !caller.step?.engine ? source.grants(caller.namespace, caller.agent) : [];

  const offerOf = (caller: Caller, grant: AgentGrant): Offered => {
    const { name, handOff } = grant;
    const spec = source.spec(caller.namespace, name);
    return {
      tool: standIn(caller, grant, spec),
      functionName: (handOff ? handOffName : askName)(name),
      description: descriptionOf(grant, spec),
      inputSchema: agentInputSchema,
      delegation: { agent: name, handOff },
    };
  };

  return {
    list: async (caller, signal) => {
      const { offered, leftOut } = await offers.list(caller, signal);
      const grants = grantsOf(caller);
      const isThere = ({ name }: AgentGrant): boolean => source.resolve(caller.namespace, name).serving;
      // Whoever stands at the end of the row need not be tempted.
      const open = (caller.step?.delegators?.length ?? 0) < DELEGATION_DEPTH ? grants.filter(isThere) : [];
      return {
        offered: [...offered, ...open.map((grant) => offerOf(caller, grant))],
        leftOut: [...leftOut, ...grants.filter((grant) => !open.includes(grant)).map(({ name }) => `agent ${name}`)],
      };
    },
    find: async (caller, asked, signal) => {
      if (!isDelegation(asked.name)) return offers.find(caller, asked, signal);
      const grant = grantsOf(caller).find(
        ({ name, handOff }) => (handOff ? handOffName : askName)(name) === asked.name,
      );
      if (!grant) throw notGranted(caller, asked.name, grantsOf(caller));
      mustBeServed(source, caller, grant.name);
      return offerOf(caller, grant);
    },
  };
}

/** What stands where a Tool would: calls of an agent are limited, judged and told of like those of tools. */
function standIn({ namespace, step }: Caller, { name }: AgentGrant, spec: AgentSpec | undefined): Tool {
  return {
    apiVersion: 'kadre.dev/v1alpha1',
    kind: 'Agent',
    metadata: {
      ...{ name, namespace, resourceVersion: '', generation: 0, creationTimestamp: '' },
      uid: `agent/${namespace}/${name}/${step ? 'runs' : 'outside'}`,
    },
    spec: {
      description: spec?.description ?? name,
      trust: 'untrusted',
      consequential: false,
      ...(!step && { limits: { concurrent: MOST_OUTSIDE } }),
    },
  };
}

function descriptionOf({ name, description, handOff }: AgentGrant, spec: AgentSpec | undefined): string {
  const about = description ?? spec?.description ?? '';
  const does = handOff
    ? `Hands the task over to the agent ${name}, which is sent the conversation and gives the answer: call nothing beside it.`
    : `Asks the agent ${name}, which knows nothing of this conversation, and gives you its answer.`;
  return about === '' ? does : `${does} ${about}`;
}

function mustBeServed(source: AgentSource, { namespace }: Caller, name: string): void {
  const { found, serving } = source.resolve(namespace, name);
  if (serving) return;
  const message = found
    ? `Agent ${name} cannot be asked: it is not served, and runs in Jobs of Runs alone. Somebody must set its spec.serving.`
    : `Agent ${name} is not there, so it cannot be asked.`;
  throw new Refusal({ reason: 'ToolFailed', rule: 'delegation.served', message });
}

function notGranted({ agent }: Caller, functionName: string, grants: readonly AgentGrant[]): Refusal {
  const names = grants.map(({ name, handOff }) => (handOff ? handOffName : askName)(name));
  const may = names.length === 0 ? 'It may ask nobody.' : `It has ${names.join(', ')}.`;
  const message = `Agent ${agent} may not use ${functionName}. ${may}`;
  const why = `Agent ${agent} has no grant for it in spec.agents`;
  return new Refusal({ reason: 'ToolRefused', rule: 'grant', message, why });
}
