// The history of a run: what was decided, and what came of it. Replaying it gives the state again.
import type { Citation, Delegation, Failure } from '@kadre/crds';
import type { UsageTotal } from '@kadre/store';
import type { Json } from './expression/values.ts';

/** How an attempt is carried out. Times are milliseconds since 1970. */
export type Route =
  /** By an agent's service. */
  | { kind: 'service' }
  /** By the Job of that name. */
  | { kind: 'job'; job: string }
  /** By the gateway, which calls the tool or has the code run. */
  | { kind: 'gateway' }
  /** By the steps inside: of a group, a race or a called workflow. */
  | { kind: 'inline' }
  | { kind: 'timer'; until: number }
  | { kind: 'event'; name: string }
  /** By people, at the Approval of that name. */
  | { kind: 'approval'; approval: string; expiresAt?: number };

/** Whether somebody works on it, rather than time, the world or people being waited for. */
export const isAtWork = ({ kind }: Route): boolean => kind === 'service' || kind === 'job' || kind === 'gateway';

/** Where an output comes from that no attempt of this run has made. */
export type Source =
  | { kind: 'cache'; run: string }
  | { kind: 'fork'; run: string }
  /** Id of the published event. */
  | { kind: 'event'; id: string }
  /** Name of the user; absent: time was up. */
  | { kind: 'approval'; by?: string };

interface AttemptRef {
  /** Id of the step, such as `draft#2.write` or `research[3]`; see `ids.ts`. */
  step: string;
  /** From 1. 0: the step failed before its first attempt. */
  attempt: number;
}

interface EventData {
  /** Other runs have all places of the queue. */
  RunQueued: { queue: string };
  RunStarted: Record<string, never>;
  RunSuspended: Record<string, never>;
  RunResumed: Record<string, never>;
  /** Somebody wants the run to end. */
  CancelRequested: { message: string };
  /** A limit of the run ends it. */
  LimitReached: { failure: Failure };
  StepSkipped: { step: string };
  /** The list of a forEach is known. */
  StepFannedOut: { step: string; count: number };
  /** Recorded before the work is handed out. */
  StepStarted: AttemptRef & { route: Route };
  /** The agent has taken the task; `instance` is the replica that holds it. */
  StepAccepted: AttemptRef & { taskId: string; instance?: string };
  /** The agent has handed a part of the task to another one, or that has ended. */
  StepDelegated: AttemptRef & { delegation: Delegation };
  /**
   * People are asked on behalf of the attempt, by the Approval of that name; `key`: in the store. `question`: the agent itself
   * asks, and knows its question by that id.
   */
  StepAsked: AttemptRef & {
    key: string;
    approval: string;
    expiresAt?: number;
    question?: { id: string; number: number };
  };
  /** They have decided, or need not any more. */
  StepAnswered: AttemptRef & { key: string };
  /** The attempt is to be stopped for this reason; it ends with StepFailed. */
  StepStopping: AttemptRef & { failure: Failure };
  /**
   * `output`: absent if it is that of the last step inside, or of the winner. `bytes`: its size as JSON. `again`: another
   * round follows. `enough`: the other elements are not waited for. Without a StepStarted before, nothing had to be done:
   * the value was computed, or `source` had it.
   */
  StepSucceeded: AttemptRef & {
    output?: Json;
    bytes: number;
    usage: UsageTotal;
    again?: true;
    enough?: true;
    /** What the output rests on. */
    citations?: Citation[];
    source?: Source;
  };
  /**
   * `retryAt`: when the next attempt starts. `then`: what the step's onError says of the failure; absent: it fails what
   * is around the step.
   */
  StepFailed: AttemptRef & { failure: Failure; usage: UsageTotal; retryAt?: number; then?: 'continue' | 'fallback' };
  /** The attempt was stopped because what is around it ends. */
  StepCancelled: AttemptRef & { usage: UsageTotal };
  /** The steps have ended, those of `finally` begin. `step`: that called the workflow; empty: the run itself. */
  FinallyStarted: { step: string };
  RunSucceeded: { output: Json };
  RunFailed: { failure: Failure };
  RunCancelled: { failure: Failure };
}

/** `at`: milliseconds since 1970. */
export type EngineEvent = {
  [Type in keyof EventData]: { at: number; type: Type; data: EventData[Type] };
}[keyof EventData];

export type EventOf<Type extends EngineEvent['type']> = Extract<EngineEvent, { type: Type }>;

/** How an attempt ended, as whoever carried it out saw it. */
export type Outcome =
  { output: Json; bytes: number; citations?: Citation[]; source?: Source } | { failure: Failure } | 'stopped';
