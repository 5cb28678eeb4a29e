// What the model is told of a call.
import type { Tool, ToolResult } from '@kadre/crds';
import type { ToolAnswer, ToolError } from '@kadre/tools';
import type { Refusal } from './refusal.ts';

const text = (said: string): ToolResult['content'] => [{ type: 'text', text: said }];

/** These are the gateway's own words. */
export const refused = ({ message, reason }: Refusal): ToolResult => ({
  content: text(message),
  isError: true,
  reason,
  trust: 'trusted',
});

/** `asData`: for a caller who takes data where there is some; models read what is written. */
export function answered(
  { spec: { trust } }: Tool,
  { content, structured, isError, citations }: ToolAnswer,
  { asData }: { asData: boolean },
): ToolResult {
  const said = content.length === 0 && structured !== undefined ? text(JSON.stringify(structured)) : content;
  const reason = isError && { reason: 'ToolFailed' as const };
  return asData && structured !== undefined && !isError
    ? { content: [], isError, trust, structured }
    : { content: said, isError, ...reason, trust, ...(citations && { citations }) };
}

/** The message may hold words of the server. */
export function failed(
  { kind, metadata, spec: { trust } }: Tool,
  { fault, message, sent, retryAfterMs }: ToolError,
): ToolResult {
  const doubt = sent ? ' The call may have taken effect.' : '';
  const again = retryAfterMs === undefined ? '' : ` Try again in ${Math.ceil(retryAfterMs / 1000)} s.`;
  const said = text(`${kind} ${metadata.name} failed: ${message}${doubt}${again}`);
  return { content: said, isError: true, reason: reasonOf(fault), trust };
}

function reasonOf(fault: ToolError['fault']): 'ToolRefused' | 'RateLimited' | 'ToolFailed' {
  if (fault === 'refused') return 'ToolRefused';
  return fault === 'rateLimited' ? 'RateLimited' : 'ToolFailed';
}
