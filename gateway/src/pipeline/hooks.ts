// What the pipeline asks of its parts. Each has a pass-through default in `defaults.ts`.
//
// The order of a call: Journal.begin → Router.plan → for each attempt: Limiter.acquire → Budgets.reserve → the provider →
// Reservation.settle → Lease.release → … → JournalEntry.commit. Telemetry watches all of it.
import type { ProviderModel } from '@kadre/crds';
import type { UsageRecord } from '@kadre/store';
import type { Answer, ModelEvent, Usage } from '../conversation/answer.ts';
import type { EmbeddingAnswer, EmbeddingRequest } from '../conversation/embedding.ts';
import type { ModelRequest } from '../conversation/request.ts';
import type { GatewayError } from '../errors.ts';
import type { Price } from '../price/price.ts';
import type { Call, ChatCall } from './call.ts';

// --- Journal ---------------------------------------------------------------------------------------------------------

/** What was answered, as a journal keeps it. Vectors are kept as base64 of little-endian 32-bit floats, or however. */
export type Answered = { chat: Answer } | { embeddings: EmbeddingAnswer };

export type JournalEntry =
  /** Answered before: nothing is asked and nothing is paid. */
  | { type: 'replay'; answered: Answered }
  /**
   * New: `commit` is called before the caller learns that the answer is complete; if it throws, the answer is withheld.
   * `end` is called once, whatever came of the call.
   */
  | { type: 'record'; commit: (answered: Answered) => Promise<void>; end?: () => void }
  /** Not on behalf of a step: nothing is kept. */
  | { type: 'off' };

export interface Journal {
  /** Throws a GatewayError, such as a 409 `JournalDiverged`. */
  begin(call: Call): JournalEntry | Promise<JournalEntry>;
}

// --- Router ----------------------------------------------------------------------------------------------------------

export interface Candidate {
  model: ProviderModel;
  /** Why it was chosen, or comes at this place; for the decision record. */
  reason: string;
  /** Milliseconds that it may wait for its turn: few where another Model may answer. Absent: as its `limits.maxWait` says. */
  patienceMs?: number;
}

export interface Plan {
  /** In order of preference; at least one. */
  candidates: readonly Candidate[];
  /** Attempts over all candidates, repairs included. Absent: 3. */
  maxAttempts?: number;
  /** Whether, after the last candidate, the first is asked again (with a pause). Absent: no, the caller's retry does that. */
  again?: boolean;
  /** Absent: one after the other. */
  strategy?: Strategy;
}

export interface Router {
  /** Throws a GatewayError, such as a 404 `ModelNotFound`. */
  plan(call: Call): Plan | Promise<Plan>;
}

/** The way to models that a strategy is given. Each method is one attempt, with all that belongs to it. */
export interface Attempts {
  /** How many are left in the budget of the whole call. An attempt beyond it throws. */
  readonly left: number;
  readonly signal: AbortSignal;
  /** Resolves after so many milliseconds; rejects with the signal's reason. */
  pause(ms: number): Promise<void>;
  /** A whole answer. Throws a GatewayError. `signal`: breaks this attempt off, and no other; its reason is a GatewayError. */
  generate(candidate: Candidate, request?: ModelRequest, signal?: AbortSignal): Promise<Answer>;
  /**
   * Resolves with the first content (start and usage that come before it included), so until then another candidate may
   * be tried. Throws a GatewayError, then and later. Whoever opens must read to the end, or call `return`.
   */
  open(candidate: Candidate, request?: ModelRequest): Promise<AsyncGenerator<ModelEvent, void>>;
  embed(candidate: Candidate): Promise<EmbeddingAnswer>;
}

/** How the candidates of a plan are used. Strategies hold no state: one serves all calls. */
export interface Strategy {
  generate(plan: Plan, attempts: Attempts, call: ChatCall): Promise<Answer>;
  stream(plan: Plan, attempts: Attempts, call: ChatCall): Promise<AsyncGenerator<ModelEvent, void>>;
  embed(plan: Plan, attempts: Attempts): Promise<EmbeddingAnswer>;
}

// --- Limiter and budgets ---------------------------------------------------------------------------------------------

/** What an attempt may use, known before it is made. */
export interface Estimate {
  /** A likely count, by the length of the texts. */
  inputTokens: number;
  /** No tokenizer makes more of it: for reservations. */
  maxInputTokens: number;
  /** Tokens that the answer may have; absent if nobody set a limit. */
  maxOutputTokens?: number;
  /** Undefined: the model has no price. */
  price: Price | undefined;
}

export interface Attempt {
  call: Call;
  candidate: Candidate;
  /** What is asked of this candidate: the caller's request with the settings of the Model, or a strategy's own. */
  request: ModelRequest | EmbeddingRequest;
  /** 1, 2, … over the whole call. */
  number: number;
  estimate: Estimate;
}

export interface Outcome {
  error?: GatewayError;
  /** HTTP status of the provider, or 0 if it was not reached. 200 if there is no error. */
  status: number;
  /** Milliseconds that the provider asks to wait. */
  retryAfterMs?: number;
  usage?: Usage;
  /** Milliseconds from sending to the first content, if there was any, and to the end. */
  firstContentMs?: number;
  durationMs: number;
}

export interface Lease {
  /** Called once, whatever came of the attempt. Never throws. */
  release(outcome: Outcome): void;
}

/** `yes`: a call goes at once. `busy`: it would wait for its turn. `open`: it would be refused, because the Model fails. */
export type Availability = 'yes' | 'busy' | 'open';

export interface Limiter {
  /** Waits for its turn, at most until the call's signal aborts. Throws a GatewayError (429, 503) instead of waiting too long. */
  acquire(attempt: Attempt): Lease | Promise<Lease>;
  /** Cheap, and changes nothing. A hint: others may be faster. Absent: always `yes`. */
  available?(model: ProviderModel): Availability;
}

export interface Reservation {
  /** What the reservation covers: the attempt asks the provider for no more output. Absent: as the caller wants it. */
  maxOutputTokens?: number;
  /** Reserved → spent, and the usage record with it, idempotently. Throws if that cannot be written down. */
  settle(record: UsageRecord): Promise<void>;
  /** The provider did nothing and charges nothing. */
  cancel(): Promise<void>;
}

export interface Budgets {
  /** Throws a GatewayError: 403 `BudgetExceeded`, 424 `ModelUnpriced`. Exactly one of settle and cancel follows. */
  reserve(attempt: Attempt): Reservation | Promise<Reservation>;
}

// --- Telemetry -------------------------------------------------------------------------------------------------------

export interface Telemetry {
  begin(call: Call): CallTrace;
}

export interface CallTrace {
  /** The journal answered. */
  replayed(): void;
  planned(plan: Plan): void;
  attempt(attempt: Attempt): AttemptTrace;
  /** `usage`: of all attempts together. Called once. */
  end(result: { answered?: Answered; usage: Usage; error?: GatewayError }): void;
}

export interface AttemptTrace {
  /** Headers to send along, such as traceparent. */
  headers(): Record<string, string>;
  firstContent(): void;
  /** `costNanoUsd`: null without a price, undefined if nothing is charged. */
  end(outcome: Outcome, costNanoUsd: number | null | undefined): void;
}

export interface Hooks {
  journal: Journal;
  router: Router;
  limiter: Limiter;
  budgets: Budgets;
  telemetry: Telemetry;
}
