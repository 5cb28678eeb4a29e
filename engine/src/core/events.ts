// The history of a run: what was decided, and what came of it. Replaying it gives the state again.
import type { Failure } from '@kadre/crds';
import type { UsageTotal } from '@kadre/store';
import type { Json } from './expression/values.ts';

/** How an attempt is carried out: by an agent's service, or by a Job of that name. */
export type Route = { kind: 'service' } | { kind: 'job'; job: string };

interface AttemptRef {
  /** `<name>` or, for an element of a forEach, `<name>[<index>]`. */
  step: string;
  /** From 1. 0: the step failed before its first attempt. */
  attempt: number;
}

interface EventData {
  RunStarted: Record<string, never>;
  /** Somebody wants the run to end. */
  CancelRequested: { message: string };
  StepSkipped: { step: string };
  /** The list of a forEach is known. */
  StepFannedOut: { step: string; count: number };
  /** Recorded before the work is handed out. */
  StepStarted: AttemptRef & { route: Route };
  /** The agent has taken the task; `instance` is the replica that holds it. */
  StepAccepted: AttemptRef & { taskId: string; instance?: string };
  /** The attempt is to be stopped for this reason; it ends with StepFailed. */
  StepStopping: AttemptRef & { failure: Failure };
  /** `bytes`: size of the output as JSON. */
  StepSucceeded: AttemptRef & { output: Json; bytes: number; usage: UsageTotal };
  /** `retryAt`: when the next attempt starts; absent: the step has failed for good. */
  StepFailed: AttemptRef & { failure: Failure; usage: UsageTotal; retryAt?: number };
  /** The attempt was stopped because the run ends. */
  StepCancelled: AttemptRef & { usage: UsageTotal };
  RunSucceeded: { output: Json };
  RunFailed: { failure: Failure };
  RunCancelled: { failure: Failure };
}

/** `at`: milliseconds since 1970. */
export type EngineEvent = {
  [Type in keyof EventData]: { at: number; type: Type; data: EventData[Type] };
}[keyof EventData];

/** How an attempt ended, as whoever carried it out saw it. */
export type Outcome = { output: Json; bytes: number } | { failure: Failure } | 'stopped';
