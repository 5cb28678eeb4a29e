// What is remembered. The roles of the control plane (operator, engine, gateway) meet here and nowhere else, so that
// each can be a thread, a process or a Deployment of its own.
import type {
  ApprovalPolicy,
  ContainerStep,
  Failure,
  GpuRequest,
  RunStatus,
  StepOutcome,
  StepPayload,
} from '@kadre/crds';
import type { Conversations } from './conversations.ts';
import type { Decisions } from './decisions.ts';
import type { Journal } from './journal.ts';
import type { KnowledgeIndex } from './knowledge.ts';
import type { Ledger, UsageRecord, UsageTotal } from './ledger.ts';
import type { RunRequests } from './run-requests.ts';
import type { Sandboxes } from './sandboxes.ts';

export type { UsageRecord, UsageTotal } from './ledger.ts';

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
  /** The pinned specs of all Workflows that its steps call, directly or not, by name. */
  workflows?: Record<string, unknown>;
  input: unknown;
  /** RunLimits of the Run itself; the tighter of these and the workflow's hold. */
  limits?: unknown;
  /** Who asked for the run, where an approval must come from somebody else. */
  requestedBy?: string;
  /** Of runs that queue for the same place, those with the highest go first. 0 if absent. */
  priority?: number;
  fork?: Fork;
}

/** Begin with what another run has recorded. */
export interface Fork {
  /** UID of the other run. */
  run: string;
  /** Id of the step from which on everything is done anew; absent: whatever did not succeed. */
  from?: string;
  /** Instead of the prompt of that step. */
  prompt?: string;
}

/** What people ask of a run while it is at work. */
export interface RunControls {
  suspended: boolean;
  /** Why the run shall end. */
  cancellation?: string;
}

/** A decision that people are asked for: by the engine for a step, or for what an agent wants to do or know in one. */
export interface ApprovalRequest {
  /**
   * `<run uid>/<step id>/<attempt>`; of a call of a tool with its number, as in `…/<attempt>/<call>`, and of a question of the
   * agent as in `…/<attempt>/question-<number>`.
   */
  key: string;
  run: { uid: string; namespace: string; name: string };
  step: string;
  attempt: number;
  /** `hash`: of all that is approved, so that nothing else is done under its number. */
  call?: { number: number; hash: string };
  question?: number;
  /** Deterministic name of the Approval. */
  name: string;
  message: string;
  /** Who may decide, and what a form must hold. */
  policy: ApprovalPolicy;
  /** Whoever decides must be somebody else. */
  requestedBy?: string;
  /** Milliseconds since 1970. */
  expiresAt?: number;
}

export interface ApprovalDecision {
  approved: boolean;
  /** What was filled in. */
  answer?: unknown;
  /** Name of the user. */
  by: string;
  /** Milliseconds since 1970. */
  at: number;
}

export interface ApprovalRecord extends ApprovalRequest {
  /** withdrawn: nobody waits for it any more. */
  state: 'open' | 'decided' | 'withdrawn';
  decision?: ApprovalDecision;
}

/** Something that happened outside; steps wait for it. */
export interface PublishedEvent {
  /** Idempotency key within the namespace. */
  id: string;
  namespace: string;
  name: string;
  payload: unknown;
  /** Milliseconds since 1970. */
  at: number;
}

/** An output that later steps with the same key take over. */
export interface CachedOutput {
  key: string;
  output: unknown;
  /** UID of the run that made it. */
  run: string;
  /** Milliseconds since 1970. */
  expiresAt: number;
}

/** How many runs of a queue may be at work at once is the own limit of each that waits. */
export interface QueueEntry {
  run: string;
  /** Names the queue, such as `<namespace>/<workflow>/<key>`. */
  queue: string;
  limit: number;
  priority: number;
  /** Don't wait: enter only if there is a place. */
  orLeave?: boolean;
}

export interface QueuePlace {
  /** The run may be at work. It stays so until its log is closed. */
  admitted: boolean;
  /** UIDs of the runs at work in the queue, the oldest first, and then of those that wait before this one. */
  ahead: string[];
}

export interface ClosedRun {
  uid: string;
  namespace: string;
  name: string;
  subject: string;
  /** When the last event of the log happened, in milliseconds since 1970. */
  closedAt: number;
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

/**
 * Topics are hints that something changed; whoever listens reads the tables. Hints may be lost or doubled, so each
 * listener polls as well.
 */
export type Topic =
  | 'submissions'
  | 'controls'
  | 'jobs'
  | 'job-outcomes'
  | 'approvals'
  | 'decisions'
  | 'events'
  | 'queues'
  | 'knowledge'
  | 'sandboxes'
  | 'sandbox-claims'
  | 'run-requests'
  | 'projections';

export interface Store extends Ledger, Journal, Decisions, Sandboxes, Conversations, KnowledgeIndex, RunRequests {
  // operator → engine
  /** Idempotent by uid. Resolves once it is safe on disk; `false` if the run was known already. */
  submitRun(submission: RunSubmission): Promise<boolean>;
  /** Idempotent. Unknown and finished runs are left alone. */
  cancelRun(uid: string, message: string): Promise<void>;
  /** Idempotent. Unknown and finished runs are left alone. */
  suspendRun(uid: string, suspended: boolean): Promise<void>;
  /** UID of the latest run of that name. */
  findRun(namespace: string, name: string): Promise<string | undefined>;
  /** Idempotent by namespace and id; `false` if the event was known already. */
  publishEvent(event: PublishedEvent): Promise<boolean>;

  // engines
  /**
   * Takes a seat among the engines of this store, under a number that was never given before. The seat is lost when it
   * is not renewed for `ttl` milliseconds. An embedded store has one seat: whoever sits down takes it from the former.
   */
  joinEngines(ttl: number): Promise<number>;
  /** `false`: the seat is lost, and with it all runs. */
  renewEngine(epoch: number, ttl: number): Promise<boolean>;
  /** Gives the seat and all its runs back. */
  leaveEngines(epoch: number): Promise<void>;
  /**
   * Takes up to `limit` open runs that no seated engine has, in order of submission, and returns their UIDs. From then
   * on only appends with this epoch are taken for them. Nothing for an engine that has lost its seat.
   * After a broken connection it may name runs again that this engine has already, and more than `limit`.
   */
  claimRuns(epoch: number, limit: number): Promise<string[]>;
  /** Runs that are not over, in order of submission. */
  openRuns(): Promise<string[]>;
  submission(uid: string): Promise<RunSubmission | undefined>;
  controls(uid: string): Promise<RunControls>;
  events(uid: string, afterSeq?: number): Promise<StoredEvent[]>;
  /**
   * Appends events and their effects in one transaction; resolves once it is safe on disk. Throws
   * {@link StaleWriteError} if the log does not end at `expectedSeq` or is closed, {@link FencedError} if it belongs to
   * another engine than `effects.epoch`, or that engine has lost its seat. Concurrent calls share one commit. A job that is finished, or an approval that is decided, is not
   * abandoned any more.
   */
  append(uid: string, expectedSeq: number, events: NewEvent[], effects?: AppendEffects): Promise<void>;
  /** What the gateway counted for a step's attempt. */
  usage(run: string, step: string, attempt: number): Promise<UsageTotal>;
  /** Events of that name that were published at or after `since`, oldest first. */
  publishedEvents(namespace: string, name: string, since: number): Promise<PublishedEvent[]>;
  /** What was recorded under the key, unless it has expired by `now`. */
  cachedOutput(key: string, now: number): Promise<CachedOutput | undefined>;
  /**
   * Takes a place in a queue, or looks how far the run has come. Idempotent: the first entry counts, whoever was
   * admitted stays so, and only the limit of a run that waits may change. Strictly in order: nobody overtakes the first
   * who waits. A run leaves its queues when its log is closed; the topic `queues` tells. Throws
   * {@link StaleWriteError} for a run that is over.
   */
  enterQueue(entry: QueueEntry): Promise<QueuePlace>;

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

  /** Approvals that are neither decided nor withdrawn, oldest first. */
  openApprovals(): Promise<ApprovalRecord[]>;
  approval(key: string): Promise<ApprovalRecord | undefined>;
  approvalsOfRun(uid: string): Promise<ApprovalRecord[]>;
  /** Idempotent by key: the first request counts, and comes back. `undefined` if the run is over, or not known. */
  askApproval(request: ApprovalRequest): Promise<ApprovalRecord | undefined>;
  /** Idempotent. What is decided stays so. */
  withdrawApproval(key: string): Promise<void>;
  /** The first decision counts. `false` if there was one already, or if nobody waits for it. */
  decideApproval(key: string, decision: ApprovalDecision): Promise<boolean>;

  // retention
  /** Runs whose logs were closed before that time, oldest first; not those with Jobs that are still to be deleted. */
  closedRuns(before: number, limit: number): Promise<ClosedRun[]>;
  /**
   * Forgets a closed run: its events, projection, jobs, approvals, journal, decisions and accounts. What it used stays,
   * and so does its UID: submitted again, it does not begin anew. Idempotent. Throws {@link RunNotOverError} for a run that is at work.
   */
  deleteRun(uid: string): Promise<void>;
  /**
   * Forgets what is older, or ended earlier, than that time: published events, cached outputs, reservations, periods,
   * decisions outside of runs, requests for runs.
   */
  prune(before: number): Promise<void>;

  // gateway
  /** Idempotent by id. */
  recordUsage(record: UsageRecord): Promise<void>;
  /**
   * Takes or keeps a seat among the gateways of this store, and tells how many are taken. It is lost when it is not renewed
   * for `ttl` milliseconds. An embedded store has one gateway.
   */
  seatGateway(id: string, ttl: number): Promise<GatewaySeat>;
  /** Gives the seat back. Idempotent. */
  unseatGateway(id: string): Promise<void>;
  /** A random secret of 32 bytes, made on first use and the same for ever after. */
  secret(name: 'step-token'): Promise<Uint8Array>;

  /**
   * Calls back after a commit that touched the topic, here or elsewhere; `key` is a run's uid, a job's, approval's or run request's key,
   * `<namespace>/<event name>`, a queue, or `<namespace>/<pool>` of sandboxes. An empty key: hints may have been lost, look at everything.
   */
  subscribe(topic: Topic, listener: (key: string) => void): () => void;
  close(): Promise<void>;
}

export interface GatewaySeat {
  /** 0, 1, … among those that are taken. */
  rank: number;
  of: number;
}

export interface AppendEffects {
  projection?: Omit<RunProjection, 'version'>;
  jobs?: JobRequest[];
  /** Keys of jobs whose results are no longer wanted. */
  abandon?: string[];
  approvals?: ApprovalRequest[];
  /** Keys of approvals that are no longer waited for. */
  withdraw?: string[];
  cache?: CachedOutput[];
  /** The run is over, and with it whatever people were asked on its behalf. */
  closed?: boolean;
  /** The seat of the engine that writes; absent: whoever writes has no seat, and the run no owner. */
  epoch?: number;
}

/** Somebody else wrote to this run's log: what was decided rests on old facts. */
export class StaleWriteError extends Error {
  override name: string = 'StaleWriteError';
}

/** The run belongs to another engine, or the writer has lost its seat: whatever it knows, it may not write. */
export class FencedError extends StaleWriteError {
  override name = 'FencedError';
}
