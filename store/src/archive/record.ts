// What an archive keeps of each event, and of what the gateway decided: a decision, with its reasons and its price.
import type { Decision } from '../decisions.ts';
import type { RunSubmission, StoredEvent } from '../store.ts';

/** One row of an archive. */
export interface DecisionRecord {
  /** UID of the Run. */
  run: string;
  namespace: string;
  name: string;
  /** Name of the Workflow or Agent. */
  subject: string;
  /** Of the event in the run's log, from 1. 0: the gateway decided it. */
  seq: number;
  /** Milliseconds since 1970; the column is called `time`. */
  at: number;
  /** Of the event. */
  type: string;
  /** Id of the step, such as research[2]. */
  step?: string | undefined;
  attempt?: number | undefined;
  /** What was decided or happened, in a sentence. */
  what: string;
  /** Why, in a sentence. */
  why?: string | undefined;
  /** What could have been decided instead. */
  alternatives: string[];
  /** What it rests on: ids of steps, numbers of events, references of blobs, or `input`. */
  inputs: string[];
  /** Who decided: the engine, a user, an agent, the gateway. */
  who: string;
  /** Of Kadre. */
  version: string;
  /** USD × 10⁻⁹, an integer. */
  costNanoUsd?: number | undefined;
  inputTokens?: number | undefined;
  outputTokens?: number | undefined;
  /** The event's data as JSON. */
  data: string;
}

/** Pure: the same event always gives the same record. */
export type Describe = (submission: RunSubmission, event: StoredEvent) => DecisionRecord;

/** One row for what the gateway decided, without a number in the log. `version`: of Kadre. */
export function recordOfDecision(submission: RunSubmission, decision: Decision, version: string): DecisionRecord {
  const { uid, namespace, name, subject } = submission;
  const { kind, at, run, chosen, reason, call } = decision;
  return {
    run: uid,
    namespace,
    name,
    subject,
    seq: 0,
    at,
    type: kind === 'route' ? 'RouteDecided' : 'ToolDecided',
    step: run?.step,
    attempt: run?.attempt,
    what: chosen === undefined ? `${decision.subject} chose nothing.` : `${decision.subject} chose ${chosen}.`,
    why: reason,
    alternatives: namesIn(decision.alternatives),
    inputs: [call],
    who: 'gateway',
    version,
    data: JSON.stringify(decision),
  };
}

/** The Models among which a route chose; what others weigh is in `data`. */
function namesIn(alternatives: unknown): string[] {
  const { candidates } = (alternatives ?? {}) as { candidates?: unknown };
  if (!Array.isArray(candidates)) return [];
  return candidates.flatMap((one: { model?: unknown } | null) => (typeof one?.model === 'string' ? [one.model] : []));
}
