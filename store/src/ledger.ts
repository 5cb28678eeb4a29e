// The ledger of money: what calls may cost is set aside before they are made, at every level at once, and what they did
// cost is written down after. Nothing is ever spent twice, nor forgotten.

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

/** What is counted. Costs are USD × 10⁻⁹. Integers; what would pass Number.MAX_SAFE_INTEGER stays there. */
export interface Amount {
  costNanoUsd: number;
  /** Read and written together. */
  tokens: number;
}

export interface Count extends Amount {
  /** Calls. */
  requests: number;
}

/** An account is charged by everybody who names it; its limits are those of whoever asks. */
export interface Charge {
  /** Such as `namespace/team/budget/monthly`. Accounts `run/<uid>` and `run/<uid>/…` end with the run. */
  account: string;
  /** Such as `2026-11` or `2026-11-21`; `total` if it never begins anew. */
  period: string;
  /** When the period is over, in milliseconds since 1970, so that its count may be forgotten some time after. */
  endsAt?: number;
  /** Beyond which nothing is set aside. Absent fields: no limit; what is charged is counted all the same. */
  limit: Partial<Count>;
  /** Where the limit is passed, that is told and nothing is refused. */
  lenient?: boolean;
}

export interface Reservation {
  /** Idempotency key: the id of the call. */
  id: string;
  /** When a reservation that nobody settled counts as spent: its gateway has died, and the call may have been made. */
  expiresAt: number;
  /** At least one; each account once. */
  charges: Charge[];
  /** The most that the call can come to. What costs nothing passes a limit that is used up. */
  amount: Amount;
}

/** A limit, and what stands in the way of one call more. */
export interface Shortfall {
  account: string;
  period: string;
  what: keyof Count;
  limit: number;
  spent: number;
  reserved: number;
}

export type ReservationResult =
  /** `passed`: limits of lenient charges. */
  | { granted: true; passed: Shortfall[] }
  /** The first of the charges whose limit would be passed. */
  | ({ granted: false } & Shortfall);

/** What a call came to; `costNanoUsd` is null where nobody knows. */
export interface Spent {
  costNanoUsd: number | null;
  tokens: number;
}

export interface Balance {
  account: string;
  period: string;
  spent: Count;
  reserved: Count;
  /** Calls whose cost nobody knows; `spent` leaves it out. */
  unpricedCalls: number;
  /** Calls that were turned away for this account's sake. */
  refusals: number;
}

export interface Ledger {
  /**
   * Sets the amount aside on all accounts, or on none. However many gateways ask at once, spent and reserved together
   * never pass a limit by what was granted. Idempotent by id. Concurrent calls share one commit. What is not granted
   * leaves no trace: it may be asked again.
   */
  reserve(reservation: Reservation): Promise<ReservationResult>;
  /**
   * Turns a reservation into what was spent, and records the usage, in one transaction. Idempotent. Whoever comes after
   * the reservation expired replaces the worst case by what it was.
   */
  settle(id: string, spent: Spent, usage?: UsageRecord): Promise<void>;
  /** Gives a reservation back: the call was not made. Idempotent. */
  release(id: string): Promise<void>;
  /** Counts a call that was turned away for the account's sake. The same id twice in a row counts once. */
  countRefusal(id: string, charge: Pick<Charge, 'account' | 'period' | 'endsAt'>): Promise<void>;
  /** One for each, in the order asked for, whether it was ever charged or not; by `now`, expired reservations are spent. */
  balances(accounts: readonly Pick<Charge, 'account' | 'period'>[], now: number): Promise<Balance[]>;
}
