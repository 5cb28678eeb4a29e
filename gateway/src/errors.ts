// Every refusal has the shape of OpenAI's errors, so that any client of that API understands it; `code` is a reason of
// Kadre's own, so that an agent knows whether another attempt makes sense.
import type { FailureReason } from '@kadre/crds';

export type ErrorCode = FailureReason | 'unknown_url';

export interface ErrorBody {
  error: { message: string; type: string; param: string | null; code: ErrorCode };
}

interface Details {
  /** Path of the field that is wrong, such as messages[0].content */
  param?: string;
  /** Value for the `retry-after` header. */
  retryAfter?: string;
  /** Whether the same request may succeed later. Absent: as the status says. */
  retry?: boolean;
  cause?: unknown;
}

export class GatewayError extends Error {
  override name = 'GatewayError';
  readonly status: number;
  readonly code: ErrorCode;
  readonly param: string | null;
  readonly retryAfter: string | undefined;
  readonly retry: boolean;

  constructor(status: number, code: ErrorCode, message: string, details: Details = {}) {
    super(message, { cause: details.cause });
    this.status = status;
    this.code = code;
    this.param = details.param ?? null;
    this.retryAfter = details.retryAfter;
    this.retry = details.retry ?? (status === 429 || status >= 500);
  }

  body(): ErrorBody {
    return { error: { message: this.message, type: typeOf(this.status), param: this.param, code: this.code } };
  }

  /** Clients retry 408, 409, 429 and 5xx by themselves; `x-should-retry: false` tells them that it is in vain. */
  headers(): Record<string, string> {
    return {
      ...(this.retryAfter === undefined ? {} : { 'retry-after': this.retryAfter }),
      ...(this.retry ? {} : { 'x-should-retry': 'false' }),
    };
  }
}

function typeOf(status: number): string {
  if (status === 401) return 'authentication_error';
  if (status === 403) return 'permission_error';
  if (status === 429) return 'rate_limit_error';
  return status >= 500 ? 'api_error' : 'invalid_request_error';
}

/** The request can never succeed as it is. */
export const invalidRequest = (message: string, param?: string): GatewayError =>
  new GatewayError(400, 'ModelFailed', message, param === undefined ? {} : { param });

export const unauthorized = (message: string): GatewayError => new GatewayError(401, 'Unauthorized', message);

export const forbidden = (message: string): GatewayError => new GatewayError(403, 'Unauthorized', message);

/**
 * Something that the request rests on is set up wrongly: a Model, a Secret, a key. 424 is the one status for "it's not
 * you, and waiting won't help" that no client retries or takes for its own fault.
 */
export const misconfigured = (code: FailureReason, message: string): GatewayError =>
  new GatewayError(424, code, message);

export const unavailable = (message: string, retryAfter?: string, cause?: unknown): GatewayError =>
  new GatewayError(503, 'ModelUnavailable', message, {
    ...(retryAfter === undefined ? {} : { retryAfter }),
    ...(cause === undefined ? {} : { cause }),
  });

export const callTimedOut = (ms: number): GatewayError =>
  new GatewayError(504, 'ModelUnavailable', `The model did not finish within ${Math.round(ms / 1000)} s.`);

/** 499 never reaches anybody: it is for the log. */
export const clientGone = (): GatewayError => new GatewayError(499, 'Cancelled', 'The client went away.');

export const shuttingDown = (): GatewayError => unavailable('The gateway is shutting down.', '1');
