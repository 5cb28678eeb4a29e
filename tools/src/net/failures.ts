// From an error below HTTP to a ToolError. Such messages may quote requests, so none of their words are passed on.
import { ToolError } from '../tool-error.ts';
import { AddressRefusedError, NotConnectedError } from './guard.ts';

interface Cause {
  name?: unknown;
  message: string;
  code?: unknown;
  cause?: unknown;
}

/** What the caller's own signal ended is rethrown as its reason. */
export function fromTransport(error: unknown, signal: AbortSignal): Error {
  if (error instanceof ToolError) return error;
  if (signal.aborted) return signal.reason as Error;
  const chain = causes(error);
  const refused = chain.find((cause) => cause instanceof AddressRefusedError);
  if (refused) return new ToolError('refused', 'The address is one that is never called on behalf of agents.');
  const code = chain.map((cause) => cause.code).find((found) => typeof found === 'string');
  const why = typeof code === 'string' ? ` (${code})` : '';
  if (chain.some((cause) => cause instanceof NotConnectedError)) {
    const trusted = typeof code === 'string' && /CERT|^ERR_TLS|^ERR_SSL/.test(code);
    return new ToolError('unreachable', `It cannot be reached${why}.`, { retry: !trusted, cause: error });
  }
  if (chain.some(({ name }) => name === 'HTTPParserError') || code === 'UND_ERR_HEADERS_OVERFLOW') {
    return new ToolError('malformed', `It does not speak HTTP${why}.`, { sent: true });
  }
  return new ToolError('unreachable', `It broke the connection off${why}.`, { retry: true, sent: true, cause: error });
}

/** By shape rather than by class: errors of Node itself may belong to another realm. */
function causes(error: unknown): Cause[] {
  const chain: Cause[] = [];
  const isCause = (value: unknown): value is Cause => typeof value === 'object' && value !== null && 'message' in value;
  for (let next = error; isCause(next) && chain.length < 8; next = next.cause) chain.push(next);
  return chain;
}
