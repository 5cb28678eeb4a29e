import type { FailureReason } from '@kadre/crds';

interface Refused {
  reason: Extract<FailureReason, 'ToolRefused' | 'ApprovalRejected' | 'InvalidInput' | 'RateLimited' | 'ToolFailed'>;
  /** Which rule decided, such as `grant`, `taint` or `rules[0]`. */
  rule: string;
  /** What the model is told. */
  message: string;
  /** What people are told, if it is more. Never holds arguments. */
  why?: string | undefined;
}

/** A call is not made. The model is told why, and may do something else. */
export class Refusal extends Error {
  override name = 'Refusal';
  readonly reason: Refused['reason'];
  readonly rule: string;
  readonly why: string;

  constructor({ reason, rule, message, why }: Refused) {
    super(message);
    this.reason = reason;
    this.rule = rule;
    this.why = why ?? message;
  }
}
