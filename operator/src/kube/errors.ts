// Errors that carry their meaning in fields. Nobody matches message texts.

/** `metav1.Status`, as the API server sends it with every refusal. */
export interface KubeStatus {
  kind: 'Status';
  code?: number;
  reason?: string;
  message?: string;
  details?: {
    name?: string;
    kind?: string;
    retryAfterSeconds?: number;
    causes?: { reason?: string; message?: string; field?: string }[];
  };
}

/** Reasons that this client adds to those of the API server. */
export const kubeReasons = {
  /** No answer in time. Whether the server acted is unknown. */
  timeout: 'ClientTimeout',
  /** The connection failed. Whether the server acted is unknown. */
  network: 'NetworkError',
  /** The API server does not serve this apiVersion and kind (now). */
  kindNotServed: 'KindNotServed',
  /** Not sent, because this process does not (or no longer) hold the lease. */
  notLeader: 'NotLeader',
  /** The caller's signal was aborted before the answer came. */
  aborted: 'Aborted',
  /** An object of this name exists, but belongs to somebody else. */
  foreignObject: 'ForeignObject',
  /** The answer is not what the protocol promises. */
  malformed: 'MalformedResponse',
} as const;

interface KubeErrorFields {
  /** HTTP status; 0 when there was no answer. */
  code: number;
  /** `Status.reason`, or one of `kubeReasons`. */
  reason: string;
  /** Milliseconds that the server asks us to wait. */
  retryAfter?: number | undefined;
  status?: KubeStatus | undefined;
  cause?: unknown;
}

/** What went wrong between us and the API server. */
export class KubeError extends Error {
  override readonly name = 'KubeError';
  readonly code: number;
  readonly reason: string;
  readonly retryAfter: number | undefined;
  readonly status: KubeStatus | undefined;

  constructor(message: string, fields: KubeErrorFields) {
    super(message, fields.cause === undefined ? undefined : { cause: fields.cause });
    this.code = fields.code;
    this.reason = fields.reason;
    this.retryAfter = fields.retryAfter;
    this.status = fields.status;
  }
}

/** Trying again is pointless until something changes: the controller drops the key until the next event. */
export class TerminalError extends Error {
  override readonly name = 'TerminalError';
}

/** Nothing is wrong, but something is not there yet: look again after `requeueAfter` milliseconds. */
export class WaitError extends Error {
  override readonly name = 'WaitError';
  readonly requeueAfter: number;

  constructor(message: string, requeueAfter: number) {
    super(message);
    this.requeueAfter = requeueAfter;
  }
}

const hasReason = (error: unknown, ...reasons: string[]) =>
  error instanceof KubeError && reasons.includes(error.reason);

/** The object is not there, or its kind is not served. */
export const isNotFound = (error: unknown) => error instanceof KubeError && error.code === 404;
export const isKindNotServed = (error: unknown) => hasReason(error, kubeReasons.kindNotServed);
/** Somebody else wrote first; read again and decide again. */
export const isConflict = (error: unknown) => hasReason(error, 'Conflict');
export const isAlreadyExists = (error: unknown) => hasReason(error, 'AlreadyExists');
/** The resourceVersion is too old for a watch to continue from. */
export const isExpired = (error: unknown) => error instanceof KubeError && error.code === 410;
export const isNotLeader = (error: unknown) => hasReason(error, kubeReasons.notLeader);
/** The namespace is being deleted, and everything in it. */
export const isTerminating = (error: unknown) =>
  error instanceof KubeError &&
  (error.status?.details?.causes ?? []).some(({ reason }) => reason === 'NamespaceTerminating');
/** The API server refuses the content itself, so that sending it again cannot help. */
export const isInvalid = (error: unknown) => hasReason(error, 'Invalid', 'BadRequest');

/** The message of anything that was thrown. */
export const messageOf = (error: unknown) => (error instanceof Error ? error.message : String(error));
