// Why a tool has not answered.

export type ToolFault =
  /** No connection came about, or it broke. */
  | 'unreachable'
  /** The address, the host or the recipient is not one that may be reached. */
  | 'refused'
  | 'timeout'
  /** The answer is larger than the Tool's maxResultBytes. */
  | 'tooLarge'
  /** The answer is none: rubbish, or not what the protocol asks for. */
  | 'malformed'
  /** An HTTP status, or an error of the protocol, that is not the model's affair. */
  | 'status'
  /** The server does not take the Tool's secret. */
  | 'unauthorized'
  | 'rateLimited'
  /** The Tool, its Secret or its document must be mended. */
  | 'misconfigured';

export interface ToolErrorOptions {
  /** Whether the same call may go well later on. */
  retry?: boolean;
  /** Whether the call may have taken effect. */
  sent?: boolean;
  retryAfterMs?: number;
  cause?: unknown;
}

/** The message is for models and people alike; it never holds a secret. */
export class ToolError extends Error {
  override name = 'ToolError';
  readonly fault: ToolFault;
  readonly retry: boolean;
  readonly sent: boolean;
  /** How long the server asks to be left alone. */
  readonly retryAfterMs: number | undefined;

  constructor(fault: ToolFault, message: string, options: ToolErrorOptions = {}) {
    super(message, options.cause === undefined ? {} : { cause: options.cause });
    this.fault = fault;
    this.retry = options.retry ?? false;
    this.sent = options.sent ?? false;
    this.retryAfterMs = options.retryAfterMs;
  }
}
