// What is remembered. The roles of the control plane (operator, engine, gateway) meet here and nowhere else, so that
// each can be a thread, a process or a Deployment of its own.
import type { Failure, RunStatus, StepOutcome, StepPayload, ContainerStep, GpuRequest } from '@kadre/crds';

/** One fact in a run's history. Sequence numbers start at 1 and have no gaps. */
export interface StoredEvent {
  seq: number;
  /** Milliseconds since 1970. */
  at: number;
  type: string;
  /** JSON. */
  data: unknown;
}

export type NewEvent = Omit<StoredEvent, 'seq'>;

/** A run as the operator hands it over. Everything that it needs is pinned here. */
export interface RunSubmission {
  /** UID of the Run; the idempotency key. */
  uid: string;
  namespace: string;
  name: string;
  /** Name of the Workflow, or of the Agent for a run of a single question. */
  subject: string;
  /** The pinned WorkflowSpec. */
  workflow: unknown;
  input: unknown;
}

/** A job that the engine asks the operator for. */
export interface JobRequest {
  /** `<run uid>/<step id>/<attempt>` */
  key: string;
  run: { uid: string; namespace: string; name: string };
  step: string;
  attempt: number;
  /** Deterministic name of the Job. */
  name: string;
  /** Milliseconds; the Job's activeDeadlineSeconds. */
  timeoutMs?: number;
  /** What the pod does: a container with all expressions evaluated, or an agent that fetches `payload`. */
  work:
    | { container: ContainerStep }
    | { agent: { name: string; gpu?: GpuRequest; payload: StepPayload; stepToken: string } };
}

/**
 * requested → created → finished. `created` is recorded after the API server took the Job, and from then on the Job is
 * never created again, whether it still exists or not.
 */
export interface JobRecord extends JobRequest {
  state: 'requested' | 'created' | 'finished';
  /** UID of the Job, from `created` on. */
  uid?: string;
  outcome?: StepOutcome;
  /** The engine no longer wants the result: the operator deletes the Job. */
  abandoned: boolean;
}

/** What the operator writes into a Run's status. */
export interface RunProjection {
  uid: string;
  namespace: string;
  name: string;
  /** Grows by one with each change. */
  version: number;
  status: Omit<RunStatus, 'conditions' | 'observedGeneration'>;
  /** Why a run that is over did not succeed. */
  failure?: Failure;
}

export interface UsageRecord {
  /** Idempotency key of the call. */
  id: string;
  at: number;
  namespace: string;
  agent: string;
  model: string;
  /** Absent for calls outside a run. */
  run?: { uid: string; step: string; attempt: number };
  inputTokens: number;
  outputTokens: number;
  /** USD × 10⁻⁹, an integer, so that sums are exact; null for a model without a known price. */
  costNanoUsd: number | null;
}

export interface UsageTotal {
  inputTokens: number;
  outputTokens: number;
  costNanoUsd: number;
  unpricedCalls: number;
}

/**
 * Topics are hints that something changed; whoever listens reads the tables. Hints may be lost or doubled, so each
 * listener polls as well.
 */
export type Topic = 'submissions' | 'cancellations' | 'jobs' | 'job-outcomes' | 'projections';

export interface Store {
  // operator → engine
  /** Idempotent by uid. Resolves once it is safe on disk; `false` if the run was known already. */
  submitRun(submission: RunSubmission): Promise<boolean>;
  /** Idempotent. Unknown and finished runs are left alone. */
  cancelRun(uid: string, message: string): Promise<void>;

  // engine
  /** Runs that are not over, in order of submission. */
  openRuns(): Promise<string[]>;
  submission(uid: string): Promise<RunSubmission | undefined>;
  cancellation(uid: string): Promise<string | undefined>;
  events(uid: string, afterSeq?: number): Promise<StoredEvent[]>;
  /**
   * Appends events, job requests, abandoned jobs and the projection in one transaction; resolves once it is safe on
   * disk. Throws {@link StaleWriteError} if the log does not end at `expectedSeq`, or is closed. Concurrent calls share
   * one commit. A job that is finished already is not abandoned any more.
   */
  append(uid: string, expectedSeq: number, events: NewEvent[], effects?: AppendEffects): Promise<void>;
  /** What the gateway counted for a step's attempt. */
  usage(run: string, step: string, attempt: number): Promise<UsageTotal>;

  // engine → operator
  projection(uid: string): Promise<RunProjection | undefined>;
  /**
   * Jobs that are not finished, oldest first. An abandoned one leaves when the operator has deleted the Job and reports
   * that with `finishJob(key, {failure: {reason: 'Cancelled', …}})`.
   */
  openJobs(): Promise<JobRecord[]>;
  job(key: string): Promise<JobRecord | undefined>;
  jobsOfRun(uid: string): Promise<JobRecord[]>;
  /** Idempotent; the first UID is kept. */
  jobCreated(key: string, jobUid: string): Promise<void>;
  /** The first outcome counts. `false` if there was one already, or if nobody asked for such a job. */
  finishJob(key: string, outcome: StepOutcome): Promise<boolean>;

  // gateway
  /** Idempotent by id. */
  recordUsage(record: UsageRecord): Promise<void>;
  /** A random secret of 32 bytes, made on first use and the same for ever after. */
  secret(name: 'step-token'): Promise<Uint8Array>;

  /** Calls back after a commit that touched the topic, in this thread or another; `key` is a run's uid or a job's key. */
  subscribe(topic: Topic, listener: (key: string) => void): () => void;
  close(): Promise<void>;
}

export interface AppendEffects {
  projection?: Omit<RunProjection, 'version'>;
  jobs?: JobRequest[];
  /** Keys of jobs whose results are no longer wanted. */
  abandon?: string[];
  /** The run is over. */
  closed?: boolean;
}

/** Somebody else wrote to this run's log: what was decided rests on old facts. */
export class StaleWriteError extends Error {
  override name = 'StaleWriteError';
}
