// Agents may ask each other in a circle; it comes to an end.
import { DELEGATION_DEPTH, DEPTH_HEADER } from '@kadre/crds';
import { invalidRequest } from '../errors.ts';
import { Refusal } from '../tools/refusal.ts';
import type { ToolRequest } from '../tools/request.ts';

/** How many agents in a row have asked each other so far; outside of steps the pod says so. Throws a Refusal at the end. */
export function depthOf({ caller, headers }: Pick<ToolRequest, 'caller' | 'headers'>): number {
  const depth = caller.step ? (caller.step.delegators?.length ?? 0) : depthIn(headers[DEPTH_HEADER]);
  if (depth < DELEGATION_DEPTH) return depth;
  const message = `${DELEGATION_DEPTH} agents in a row have asked each other already, which is the most: do it yourself, or say what is missing.`;
  throw new Refusal({ reason: 'ToolRefused', rule: 'delegation.depth', message });
}

function depthIn(header: string | string[] | undefined): number {
  if (header === undefined) return 0;
  if (typeof header === 'string' && /^\d{1,3}$/.test(header)) return Number(header);
  throw invalidRequest(`The header ${DEPTH_HEADER} must be a number.`, DEPTH_HEADER);
}
