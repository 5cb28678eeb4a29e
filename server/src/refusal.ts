// Answers other than success. Senders are programs of strangers: they get a code for programs and a sentence for whoever
// reads their logs, and never more than they may know.

export class Refusal extends Error {
  override name = 'Refusal';
  readonly status: number;
  readonly code: string;
  /** Seconds. */
  readonly retryAfter: number | undefined;

  constructor(status: number, code: string, message: string, more: { retryAfter?: number; cause?: unknown } = {}) {
    super(message, { cause: more.cause });
    this.status = status;
    this.code = code;
    this.retryAfter = more.retryAfter;
  }

  body(): { error: { code: string; message: string } } {
    return { error: { code: this.code, message: this.message } };
  }

  headers(): Record<string, string> {
    return {
      // The same for every webhook, whatever it asks for.
      ...(this.status === 401 && { 'www-authenticate': 'Bearer realm="kadre"' }),
      ...(this.retryAfter !== undefined && { 'retry-after': String(this.retryAfter) }),
    };
  }
}

/**
 * One answer for all of: no such namespace or Trigger, a Trigger that is no webhook, no proof, a wrong one, an old one.
 * Nobody learns from it what there is.
 */
export const unauthorized = (): Refusal =>
  new Refusal(
    401,
    'Unauthorized',
    'There is no such webhook, or the request does not prove who sends it: look at the path, the secret, and the clock.',
  );

export const unavailable = (message: string, cause?: unknown): Refusal =>
  new Refusal(503, 'Unavailable', message, { retryAfter: 1, cause });
