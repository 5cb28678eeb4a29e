// What a step of a Workflow may use that calls a Tool itself: the author of the Workflow names the Tool, and so no Agent
// needs to be granted it. What the Tool allows holds all the same.
import type { Tool, ToolCall } from '@kadre/crds';
import { isAllowed, ToolError } from '@kadre/tools';
import type { Caller } from '../access/caller.ts';
import type { ToolSource } from '../options.ts';
import type { Discovery, Offered } from './discovery.ts';
import { Refusal } from './refusal.ts';

const MOST_NAMED = 20;

/** Throws a Refusal. */
export async function findForStep(
  source: ToolSource,
  discovery: Discovery,
  caller: Caller,
  { name, operation }: Pick<ToolCall, 'name' | 'operation'>,
  signal: AbortSignal,
): Promise<Offered> {
  const tool = source.get(caller.namespace, name);
  if (!tool) {
    const message = `There is no Tool ${name} in namespace ${caller.namespace}: create it, or mend the name.`;
    throw new Refusal({ reason: 'ToolFailed', rule: 'workflow', message });
  }
  const among = (offered: readonly Offered[]): Offered | undefined => {
    const allowed = offered.filter((one) => isAllowed(tool.spec.allow, one.name ?? ''));
    return operation === undefined && allowed.length === 1 ? allowed[0] : allowed.find((one) => one.name === operation);
  };
  try {
    const known = among(await discovery.offered(tool, signal));
    if (known) return known;
    const offered = await discovery.offeredNow(tool, signal);
    const found = among(offered);
    if (found) return found;
    throw notAmong(tool, operation, offered);
  } catch (error) {
    if (error instanceof ToolError) throw unknown(tool, error);
    throw error;
  }
}

function notAmong({ metadata, spec }: Tool, operation: string | undefined, offered: readonly Offered[]): Refusal {
  const names = offered.flatMap(({ name }) => (name !== undefined && isAllowed(spec.allow, name) ? [name] : []));
  const others = names.slice(0, MOST_NAMED).join(', ');
  const remedy =
    names.length > 0
      ? `set tool.operation to one of ${others}`
      : offered.length > 0 && spec.allow === undefined
        ? 'it has but one thing to do, so leave tool.operation out'
        : 'it offers nothing that its spec.allow lets through';
  const message =
    operation === undefined
      ? `Tool ${metadata.name} can do several things: ${remedy}.`
      : `Tool ${metadata.name} has no operation ${operation}: ${remedy}.`;
  return new Refusal({ reason: 'ToolRefused', rule: 'workflow', message });
}

/** The words of the error may be those of a server. */
export const unknown = ({ metadata }: Tool, { message }: ToolError): Refusal =>
  new Refusal({
    reason: 'ToolFailed',
    rule: 'discovery',
    message: `Tool ${metadata.name} cannot be called just now: it does not say what it offers.`,
    why: `it could not be asked what it offers: ${message}`,
  });
