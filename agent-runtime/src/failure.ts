// How work of an agent fails: always with one of Kadre's typed reasons.
import type { FailureReason } from '@kadre/crds';

export interface FailureDetails {
  /** HTTP status of the gateway, where the caller's own request was refused. */
  status?: number;
  /** Seconds after which another attempt makes sense. */
  retryAfter?: number;
  /** False: the same request will fail again, so clients shall not repeat it by themselves. */
  shouldRetry?: boolean;
  /** The answer had begun when the connection to the gateway broke: asking again gives a whole one. */
  brokeOff?: boolean;
  /** The connection broke before there was an answer: nobody knows whether the request was carried out. */
  unsure?: boolean;
  cause?: unknown;
}

/** The one error that crosses the parts of the runtime. Its message may be shown to callers. */
export class AgentFailure extends Error {
  override name = 'AgentFailure';
  readonly reason: FailureReason;
  readonly details: FailureDetails;

  constructor(reason: FailureReason, message: string, details: FailureDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.reason = reason;
    this.details = details;
  }
}

/** Anything thrown, as a failure. Unforeseen errors keep their cause for the log and show nothing of it to callers. */
export function asFailure(error: unknown): AgentFailure {
  if (error instanceof AgentFailure) return error;
  return new AgentFailure('InternalError', 'The agent met an unexpected error; its log tells more.', { cause: error });
}
