// Why a source could not be read. The reason becomes that of a condition; the message is for people, and never holds a secret.
export type SourceProblem =
  | 'ConfigMapNotFound'
  | 'KeyNotFound'
  | 'SecretNotFound'
  | 'Unauthorized'
  | 'Refused'
  | 'Unreachable'
  | 'TimedOut'
  | 'SourceFailed'
  | 'RefNotFound'
  | 'NoDocuments'
  | 'UnsupportedDocument'
  | 'LimitExceeded';

export class SourceError extends Error {
  override name = 'SourceError';
  readonly reason: SourceProblem;
  /** Whether it may pass by itself. */
  readonly passing: boolean;

  constructor(reason: SourceProblem, message: string, options: { passing?: boolean; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? {} : { cause: options.cause });
    this.reason = reason;
    this.passing = options.passing ?? false;
  }
}
