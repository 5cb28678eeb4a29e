// What an archive keeps of each event: a decision, with its reasons and its price.
import type { RunSubmission, StoredEvent } from '../store.ts';

/** One row of an archive. */
export interface DecisionRecord {
  /** UID of the Run. */
  run: string;
  namespace: string;
  name: string;
  /** Name of the Workflow or Agent. */
  subject: string;
  /** Of the event in the run's log, from 1. */
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
