// How commands end badly.

/** Exit statuses of `kadre run` and `kadre validate`; docs/laptop.md lists them. */
export const exits = {
  succeeded: 0,
  failed: 1,
  usage: 2,
  cancelled: 3,
  undecided: 4,
  /** Left by a second Ctrl-C. */
  interrupted: 130,
  /** Left by SIGTERM. */
  terminated: 143,
} as const;

/** What was asked for cannot be done; the message says how to mend it, without a stack. */
export class UsageError extends Error {
  override name = 'UsageError';
}
