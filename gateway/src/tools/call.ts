// One call of a tool, from the journal through grant, taint, schema, policy and limits to the tool and back. What the model
// should know of is a result; what ends its loop, or is to be asked again, is thrown.
import type { Tool, ToolResult } from '@kadre/crds';
import {
  ToolError,
  type ReadSecret,
  type Toolbox,
  type ToolAnswer,
  type ToolCaller,
  type ToolCallRequest,
} from '@kadre/tools';
import { createHash } from 'node:crypto';
import type { Caller } from '../access/caller.ts';
import { GatewayError, unavailable } from '../errors.ts';
import type { Entry } from '../journal/entries.ts';
import type { KeptResult } from '../journal/taint.ts';
import { toolKey, type ToolJournal } from '../journal/tool-journal.ts';
import { checked, readArguments } from './arguments.ts';
import type { Offered } from './discovery.ts';
import type { Gates, Lease } from './gates.ts';
import type { Offers } from './offers.ts';
import type { Policy } from './policy.ts';
import { Refusal } from './refusal.ts';
import type { ToolRequest } from './request.ts';
import { answered, failed, refused } from './results.ts';
import type { Decide, Verdict } from './verdicts.ts';
import { outcomeOf, type Watch, type Watched } from './watch.ts';

export interface ToolCallServices {
  journal: ToolJournal;
  offers: Offers;
  policy: Policy;
  gates: Gates;
  toolbox: Pick<Toolbox, 'call'>;
  secretsOf: (namespace: string) => ReadSecret;
  decide: Decide;
  watch: Watch;
}

/** Throws a GatewayError: a 400 for a call without its number, a 409 `JournalDiverged`, a 503. */
export type CallTool = (request: Omit<ToolRequest, 'key'>) => Promise<{ result: ToolResult; replayed: boolean }>;

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
      if (entry) await committed(entry, result);
      watched.seen.outcome = outcomeOf(result);
      if (result.reason) watched.seen.reason = result.reason;
      return { result, replayed: false };
    } finally {
      if (entry?.type === 'record') entry.end();
      watched.end();
    }
  };
}

async function committed(entry: Extract<Entry<KeptResult>, { type: 'record' }>, result: ToolResult): Promise<void> {
  try {
    await entry.commit({ tool: result });
  } catch (cause) {
    if (cause instanceof GatewayError) throw cause;
    throw unavailable('The result could not be written into the journal, so it is withheld.', '1', cause);
  }
}

async function attempt(
  services: ToolCallServices,
  request: ToolRequest,
  { seen, headers }: Watched,
): Promise<ToolResult> {
  const { offers, policy, gates, decide } = services;
  const { caller, asked, signal } = request;
  try {
    const offered = await offers.find(caller, asked, signal);
    const { tool, name: operation } = offered;
    seen.offered = offered;
    await mustBeClean(services.journal, tool, request);
    const args = await readArguments(asked.arguments, offered);
    const rules = await policy.check({ tool, operation, args, caller, signal });
    const lease = gates.enter(tool);
    decide(request, offered, allowedBy(rules, caller));
    const sent: ToolCallRequest = {
      ...(operation !== undefined && { operation }),
      args,
      idempotencyKey: idempotencyKey(request),
      signal,
      headers,
      caller: toolCaller(request),
    };
    return await execute(services, offered, sent, lease, (reason) =>
      decide(request, offered, { allowed: false, rule: 'address', reason }),
    );
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    const { rule, why } = error;
    Object.assign(seen, { rule, why });
    decide(request, seen.offered, { allowed: false, rule, reason: why });
    return refused(error);
  }
}

async function execute(
  { toolbox, secretsOf }: ToolCallServices,
  offered: Offered,
  sent: ToolCallRequest,
  lease: Lease,
  refusedAddress: (reason: string) => void,
): Promise<ToolResult> {
  const { tool } = offered;
  let thrown: unknown;
  try {
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

/** Once words of strangers may have been read, nothing is done that has consequences. */
async function mustBeClean(journal: ToolJournal, { metadata, spec }: Tool, { key, asked }: ToolRequest): Promise<void> {
  if (!spec.consequential) return;
  const tainted = asked.tainted === true || (key !== undefined && (await journal.tainted(key, asked)));
  if (!tainted) return;
  const message = `Tool ${metadata.name} has consequences, and this task has read what strangers may have written: it is not called any more in this task.`;
  throw new Refusal({ reason: 'ToolRefused', rule: 'taint', message });
}

async function mustKeepItsWord({ outputSchema }: Offered, { structured, isError }: ToolAnswer): Promise<void> {
  if (!outputSchema || isError) return;
  const problem =
    structured === undefined ? 'there is no structured content' : await checked(outputSchema, structured, 'output');
  if (problem === undefined) return;
  throw new ToolError('malformed', `Its answer does not match its output schema: ${problem}`, { sent: true });
}

function allowedBy(rules: readonly string[], { agent, step }: Caller): Verdict {
  const said = step?.engine ? 'named by a step of the Workflow' : `granted to Agent ${agent}`;
  return {
    allowed: true,
    rule: [step?.engine ? 'workflow' : 'grant', ...rules].join(', '),
    reason: rules.length > 0 ? `${said}, and its policy agrees` : said,
  };
}

const toolCaller = ({ caller: { namespace, agent }, key }: ToolRequest): ToolCaller => ({
  namespace,
  agent,
  ...(key && { step: key }),
});

/** The same when a step makes the call again, whoever answers it. */
const idempotencyKey = ({ id, key }: ToolRequest): string =>
  createHash('sha256')
    .update(key ? JSON.stringify([key.run, key.step, key.attempt, key.call]) : id)
    .digest('hex');
