// Which tools an agent is offered: what its Agent grants, of what the Tools allow. A call is held to the same, so that no
// agent can use what it is not shown.
import type { Tool, ToolCall, ToolGrant } from '@kadre/crds';
import { isAllowed, ToolError } from '@kadre/tools';
import type { Caller } from '../access/caller.ts';
import type { ToolSource } from '../options.ts';
import type { Discovery, Offered } from './discovery.ts';
import { findForStep, unknown } from './for-steps.ts';
import { mayBeOf } from './function-names.ts';
import { Refusal } from './refusal.ts';

export interface Offers {
  /** `leftOut`: Tools that are granted, and cannot be offered now. */
  list(caller: Caller, signal: AbortSignal): Promise<{ offered: Offered[]; leftOut: string[] }>;
  /** Throws a Refusal for what the agent may not use, and if that cannot be found out. */
  find(caller: Caller, asked: Pick<ToolCall, 'name' | 'operation'>, signal: AbortSignal): Promise<Offered>;
}

const OWN_ACCOUNT = /^agent-./;
const MOST_NAMED = 20;

export function createOffers(source: ToolSource, discovery: Discovery): Offers {
  const grantsOf = (caller: Caller): readonly ToolGrant[] =>
    isAgent(caller) ? source.grants(caller.namespace, caller.agent) : [];

  const list: Offers['list'] = async (caller, signal) => {
    const leftOut: string[] = [];
    const offer = async (grant: ToolGrant): Promise<Offered[]> => {
      const tool = source.get(caller.namespace, grant.name);
      try {
        if (tool) return granted(grant, tool, await discovery.offeredSoon(tool, signal));
      } catch (error) {
        if (signal.aborted) throw error;
      }
      leftOut.push(grant.name);
      return [];
    };
    const offered = await Promise.all(grantsOf(caller).map(offer));
    return { offered: offered.flat(), leftOut };
  };

  const named = async (
    grant: ToolGrant,
    tool: Tool,
    name: string,
    signal: AbortSignal,
  ): Promise<Offered | undefined> => {
    const among = (offered: readonly Offered[]): Offered | undefined =>
      granted(grant, tool, offered).find(({ functionName }) => functionName === name);
    try {
      return among(await discovery.offered(tool, signal)) ?? among(await discovery.offeredNow(tool, signal));
    } catch (error) {
      if (error instanceof ToolError) throw unknown(tool, error);
      throw error;
    }
  };

  const find: Offers['find'] = async (caller, asked, signal) => {
    if (caller.step?.engine) return findForStep(source, discovery, caller, asked, signal);
    const { name: functionName } = asked;
    for (const grant of grantsOf(caller)) {
      if (!mayBeOf(grant.name, functionName)) continue;
      const tool = source.get(caller.namespace, grant.name);
      if (!tool) throw missing(caller, grant.name);
      const found = await named(grant, tool, functionName, signal);
      if (found) return found;
    }
    const { offered } = await list(caller, signal);
    throw notGranted(caller, functionName, offered);
  };

  return { list, find };
}

/** An account that its Agent shares with others does not tell which of them asks: only a step's token does. */
export const isAgent = ({ step, serviceAccount }: Caller): boolean =>
  step !== undefined || OWN_ACCOUNT.test(serviceAccount);

const granted = (grant: ToolGrant, tool: Tool, offered: readonly Offered[]): Offered[] =>
  offered.filter(({ name = '' }) => isAllowed(tool.spec.allow, name) && isAllowed(grant.allow, name));

function notGranted(caller: Caller, functionName: string, offered: readonly Offered[]): Refusal {
  const names = offered.slice(0, MOST_NAMED).map((one) => one.functionName);
  const has = names.length === 0 ? 'It has no tools.' : `It has ${names.join(', ')}.`;
  const message = isAgent(caller)
    ? `Agent ${caller.agent} may not use ${functionName}. ${has}`
    : `ServiceAccount ${caller.serviceAccount} may not use ${functionName}: outside of steps only the own account of an Agent has tools.`;
  const why = isAgent(caller) ? `Agent ${caller.agent} has no grant for it in spec.tools` : message;
  return new Refusal({ reason: 'ToolRefused', rule: 'grant', message, why });
}

const missing = ({ agent }: Caller, tool: string): Refusal =>
  new Refusal({
    reason: 'ToolFailed',
    rule: 'grant',
    message: `Agent ${agent} names Tool ${tool}, which is not there.`,
  });
