// Decisions that the gateway makes for its callers: which Model answers, which tool may be called. Kept so that people can
// ask afterwards why.

export interface Decision {
  /** Idempotency key; of a route that of the call. */
  id: string;
  /** Milliseconds since 1970. */
  at: number;
  kind: 'route' | 'tool';
  namespace: string;
  agent: string;
  /** Absent for calls outside a run. */
  run?: { uid: string; step: string; attempt: number };
  /** Id of the call, as the log has it. */
  call: string;
  /** Name of what was asked for, such as the route. */
  subject: string;
  /** Name of what was chosen; absent if nothing was. */
  chosen?: string;
  /** Why, in a sentence. */
  reason: string;
  /** What could have been chosen, and what spoke for or against it: JSON, no more than a few kilobytes. */
  alternatives: unknown;
  /** Of the rules that decided, such as the generation of the Model. */
  version: string;
}

/** What all have in common. Times are milliseconds since 1970. */
export type DecisionFilter = (
  | {
      /** UID of a Run. */
      run: string;
    }
  | { namespace: string }
) & {
  kind?: Decision['kind'];
  subject?: string;
  agent?: string;
  /** At or after. */
  since?: number;
  /** Before. */
  before?: number;
  /** The latest ones count. 100 if absent. */
  limit?: number;
};

export const USUAL_DECISIONS = 100;

export interface Decisions {
  /**
   * Idempotent by id. Concurrent calls share one commit. Decisions end with their run, others with `prune`; of a run
   * that was forgotten nothing is kept.
   */
  recordDecisions(decisions: readonly Decision[]): Promise<void>;
  /** The latest first. */
  decisions(filter: DecisionFilter): Promise<Decision[]>;
}
