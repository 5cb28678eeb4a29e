// From what the client throws to a ToolError, or to an answer that the model should read.
import { INVALID_PARAMS, ProtocolError, SdkError, SdkErrorCode, SdkHttpError } from '@modelcontextprotocol/client';
import type { ToolAnswer } from '../contract.ts';
import { failure } from '../executor.ts';
import { ToolError } from '../tool-error.ts';

const EXCERPT = 1000;

/** What the model may mend: there is no such tool, or its arguments do not fit. */
export const argumentComplaint = (error: unknown): ToolAnswer | undefined =>
  error instanceof ProtocolError && error.code === INVALID_PARAMS
    ? failure(error.message.slice(0, EXCERPT))
    : undefined;

export function fromMcp(error: unknown): ToolError {
  const known = causes(error).find((cause) => cause instanceof ToolError);
  if (known) return known;
  if (error instanceof SdkHttpError) return fromStatus(error.status);
  if (error instanceof ProtocolError) {
    const said = `The server answers with an error (${error.code}): ${error.message.slice(0, EXCERPT)}`;
    return new ToolError('status', said, { sent: true });
  }
  if (error instanceof SdkError) return fromSdk(error);
  return new ToolError('malformed', 'The server does not keep to the Model Context Protocol.', {
    sent: true,
    cause: error,
  });
}

function fromStatus(status: number): ToolError {
  const http = `(HTTP ${status})`;
  if (status === 401 || status === 403) {
    return new ToolError('unauthorized', `The server does not take the Tool's secret ${http}: set another one.`);
  }
  if (status === 429)
    return new ToolError('rateLimited', `The server takes no more calls for now ${http}. Try later.`, { retry: true });
  if (status >= 500) return new ToolError('status', `The server fails ${http}.`, { retry: true, sent: true });
  return new ToolError(
    'misconfigured',
    `No server of the Model Context Protocol answers there ${http}: correct the url.`,
  );
}

function fromSdk(error: SdkError): ToolError {
  const options = { sent: true, cause: error };
  switch (error.code) {
    case SdkErrorCode.RequestTimeout:
      return new ToolError('timeout', 'The server gives no answer in time.', { ...options, retry: true });
    case SdkErrorCode.ConnectionClosed:
    case SdkErrorCode.NotConnected:
    case SdkErrorCode.SendFailed:
      return new ToolError('unreachable', 'The server broke the connection off.', { ...options, retry: true });
    case SdkErrorCode.UnsupportedResultType:
      return new ToolError('refused', 'The server asks for input of a person, which a tool call cannot give.', options);
    case SdkErrorCode.ListPaginationExceeded:
      return new ToolError('tooLarge', 'The list of its tools does not end.', options);
    case SdkErrorCode.EraNegotiationFailed:
      return new ToolError('unreachable', 'The server cannot agree on a version of the protocol, or fails.', {
        ...options,
        retry: true,
        sent: false,
      });
    default:
      return new ToolError('malformed', 'The server does not keep to the Model Context Protocol.', options);
  }
}

function causes(error: unknown): unknown[] {
  const chain: unknown[] = [];
  for (let next = error; next instanceof Error && chain.length < 8; next = next.cause) chain.push(next);
  return chain;
}
