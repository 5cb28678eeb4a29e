// One call of a tool, from the journal through grant, taint, schema, policy and limits to the tool and back. What the model
// should know of is a result; what ends its loop, or is to be asked again, is thrown.
import type { Tool, ToolPending, ToolResult } from '@kadre/crds';
import {
  ToolError,
  type ReadSecret,
  type Toolbox,
  type ToolAnswer,
  type ToolCaller,
  type ToolCallRequest,
} from '@kadre/tools';
import type { Caller } from '../access/caller.ts';
import type { Delegations } from '../delegation/carry-out.ts';
import { committed, type Entry } from '../journal/entries.ts';
import type { KeptResult } from '../journal/taint.ts';
import { toolKey, type ToolJournal } from '../journal/tool-journal.ts';
import { hasApprovers, UndecidedError, type Approvals } from './approvals.ts';
import { checked, readArguments } from './arguments.ts';
import type { Offered } from './discovery.ts';
import type { Gates, Lease } from './gates.ts';
import type { Offers } from './offers.ts';
import type { Policy } from './policy.ts';
import { Refusal } from './refusal.ts';
import { idempotencyKey, type ToolRequest } from './request.ts';
import { answered, failed, refused } from './results.ts';
import type { Decide, Verdict } from './verdicts.ts';
import { outcomeOf, type Watch, type Watched } from './watch.ts';

export interface ToolCallServices {
  journal: ToolJournal;
  offers: Offers;
  policy: Policy;
  approvals: Approvals;
  gates: Gates;
  toolbox: Pick<Toolbox, 'call'>;
  /** Absent: no agent is asked. */
  delegations: Pick<Delegations, 'carryOut'> | undefined;
  secretsOf: (namespace: string) => ReadSecret;
  decide: Decide;
  watch: Watch;
}

/** Throws a GatewayError: a 400 for a call without its number, a 409 `JournalDiverged`, a 503. */
export type CallTool = (
  request: Omit<ToolRequest, 'key'>,
) => Promise<{ result: ToolResult; replayed: boolean } | ToolPending>;

export function createCallTool(services: ToolCallServices): CallTool {
  const { journal, watch } = services;
  return async (call) => {
    const { step } = call.caller;
    const request: ToolRequest = step ? { ...call, key: toolKey(step, call.headers) } : call;
    const watched = watch(request);
    let entry: Entry<KeptResult> | undefined;
    try {
      entry = request.key && (await journal.begin({ ...request, key: request.key }));
      if (entry?.type === 'replay') {
        watched.seen.outcome = 'replayed';
        return { result: entry.answer.tool, replayed: true };
      }
      const result = await attempt(services, request, watched);
      if (entry) await committed(entry, { tool: result }, 'The result');
      watched.seen.outcome = outcomeOf(result);
      if (result.reason) watched.seen.reason = result.reason;
      return { result, replayed: false };
    } catch (error) {
      if (!(error instanceof UndecidedError)) throw error;
      watched.seen.outcome = 'waiting';
      const { approval, until } = error;
      return { pending: { approval, ...(until !== undefined && { until }) } };
    } finally {
      if (entry?.type === 'record') entry.end();
      watched.end();
    }
  };
}

async function attempt(
  services: ToolCallServices,
  request: ToolRequest,
  { seen, headers }: Watched,
): Promise<ToolResult> {
  const { offers, policy, approvals, gates, decide } = services;
  const { caller, asked, signal } = request;
  try {
    const offered = await offers.find(caller, asked, signal);
    const { tool, name: operation } = offered;
    seen.offered = offered;
    const tainted = await isTainted(services.journal, tool, request);
    const args = await readArguments(asked.arguments, offered);
    const judged = { tool, operation, args, caller, signal };
    const rules = await policy.check(judged);
    const facts = () => policy.facts(judged);
    const approver = await approvals.mustAgree({ request, tool, operation, tainted, facts, holds: policy.holds });
    const lease = gates.enter(tool);
    decide(request, offered, allowedBy(rules, caller, approver));
    const sent: ToolCallRequest = {
      ...(operation !== undefined && { operation }),
      args,
      idempotencyKey: idempotencyKey(request),
      signal,
      headers,
      caller: toolCaller(request),
      ...(request.progress && { progress: request.progress }),
    };
    return await execute(services, request, offered, sent, lease, (reason) =>
      decide(request, offered, { allowed: false, rule: 'address', reason }),
    );
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    const { rule, why } = error;
    Object.assign(seen, { rule, why });
    if (seen.offered) await approvals.forget(seen.offered.tool, request.key);
    decide(request, seen.offered, { allowed: false, rule, reason: why });
    return refused(error);
  }
}

async function execute(
  { toolbox, delegations, secretsOf }: ToolCallServices,
  request: ToolRequest,
  offered: Offered,
  sent: ToolCallRequest,
  lease: Lease,
  refusedAddress: (reason: string) => void,
): Promise<ToolResult> {
  const { tool } = offered;
  let thrown: unknown;
  try {
    if (offered.delegation && delegations) return await delegations.carryOut(sent, request, tool);
    const answer = await toolbox.call(tool, secretsOf(tool.metadata.namespace ?? ''), sent);
    await mustKeepItsWord(offered, answer);
    return answered(tool, answer, { asData: sent.caller?.agent === '' });
  } catch (error) {
    thrown = error;
    if (error instanceof Refusal) return { ...refused(error), trust: tool.spec.trust };
    if (!(error instanceof ToolError)) throw error;
    if (error.fault === 'refused') refusedAddress(error.message);
    return failed(tool, error);
  } finally {
    lease.release(thrown);
  }
}

/** Once words of strangers may have been read, nothing that has consequences is done without people who agree. */
async function isTainted(journal: ToolJournal, tool: Tool, request: ToolRequest): Promise<boolean> {
  const { metadata, spec } = tool;
  const { key, asked, caller } = request;
  if (!spec.consequential) return false;
  const said = asked.tainted === true || caller.step?.tainted === true;
  const tainted = said || (key !== undefined && (await journal.tainted(key, asked)));
  if (!tainted || (key && hasApprovers(tool))) return tainted;
  const mend = key
    ? 'Somebody may name in its spec.approval who can approve such calls.'
    : 'People can approve such calls in steps of Runs alone.';
  const message = `Tool ${metadata.name} has consequences, and this task has read what strangers may have written: it is not called any more in this task. ${mend}`;
  throw new Refusal({ reason: 'ToolRefused', rule: 'taint', message });
}

async function mustKeepItsWord({ outputSchema }: Offered, { structured, isError }: ToolAnswer): Promise<void> {
  if (!outputSchema || isError) return;
  const problem =
    structured === undefined ? 'there is no structured content' : await checked(outputSchema, structured, 'output');
  if (problem === undefined) return;
  throw new ToolError('malformed', `Its answer does not match its output schema: ${problem}`, { sent: true });
}

function allowedBy(rules: readonly string[], { agent, step }: Caller, approver: string | undefined): Verdict {
  const said = [
    step?.engine ? 'named by a step of the Workflow' : `granted to Agent ${agent}`,
    ...(rules.length > 0 ? ['its policy agrees'] : []),
    ...(approver === undefined ? [] : [`${approver} approved it`]),
  ];
  return {
    allowed: true,
    rule: [step?.engine ? 'workflow' : 'grant', ...rules, ...(approver === undefined ? [] : ['approval'])].join(', '),
    reason: said.length < 3 ? said.join(', and ') : `${said[0] ?? ''}, ${said.slice(1).join(', and ')}`,
  };
}

const toolCaller = ({ caller: { namespace, agent }, key }: ToolRequest): ToolCaller => ({
  namespace,
  agent,
  ...(key && { step: key }),
});
