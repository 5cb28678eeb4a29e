// Errors of JSON-RPC and of A2A 1.0 (section 5.4 of the specification).
const a2aErrors = {
  TASK_NOT_FOUND: -32001,
  TASK_NOT_CANCELABLE: -32002,
  PUSH_NOTIFICATION_NOT_SUPPORTED: -32003,
  UNSUPPORTED_OPERATION: -32004,
  CONTENT_TYPE_NOT_SUPPORTED: -32005,
  VERSION_NOT_SUPPORTED: -32009,
} as const;

const ERROR_INFO = 'type.googleapis.com/google.rpc.ErrorInfo';
const BAD_REQUEST = 'type.googleapis.com/google.rpc.BadRequest';

/** The error object of a JSON-RPC response. `data` holds google.rpc details. */
export class RpcError extends Error {
  override name = 'RpcError';
  readonly code: number;
  readonly data: Record<string, unknown>[];

  constructor(code: number, message: string, data: Record<string, unknown>[] = []) {
    super(message);
    this.code = code;
    this.data = data;
  }

  toJSON(): Record<string, unknown> {
    return { code: this.code, message: this.message, ...(this.data.length > 0 ? { data: this.data } : {}) };
  }
}

export function a2aError(
  reason: keyof typeof a2aErrors,
  message: string,
  metadata: Record<string, string> = {},
): RpcError {
  return new RpcError(a2aErrors[reason], message, [
    { '@type': ERROR_INFO, reason, domain: 'a2a-protocol.org', metadata },
  ]);
}

export const parseError = (): RpcError => new RpcError(-32700, 'Invalid JSON payload');
export const invalidRequest = (why: string): RpcError =>
  new RpcError(-32600, `Request payload validation error: ${why}`);
export const methodNotFound = (method: string): RpcError =>
  new RpcError(-32601, `Method not found: ${JSON.stringify(method.slice(0, 100))}`);

export function invalidParams(violations: { field: string; description: string }[]): RpcError {
  const summary = violations.map(({ field, description }) => `${field}: ${description}`).join('; ');
  return new RpcError(-32602, `Invalid parameters: ${summary}`, [
    { '@type': BAD_REQUEST, fieldViolations: violations },
  ]);
}

/** An unforeseen error, or no room for more work; `reason` is a FailureReason. */
export function internalError(reason: string, message: string): RpcError {
  return new RpcError(-32603, message, [{ '@type': ERROR_INFO, reason, domain: 'kadre.dev', metadata: {} }]);
}
