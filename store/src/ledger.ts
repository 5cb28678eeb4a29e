// The ledger of money: what calls may cost is set aside before they are made, at every level at once, and what they did
// cost is written down after. Nothing is ever spent twice, nor forgotten.
import type { UsageRecord } from './store.ts';

/** What is counted. Costs are USD × 10⁻⁹, integers. */
export interface Amount {
  costNanoUsd: number;
  /** Read and written together. */
  tokens: number;
}

/** An account is charged by everybody who names it; its limits are those of whoever asks. */
export interface Charge {
  /** Such as `namespace/team/budget/monthly`, `run/<uid>` or `attempt/<uid>/<step>/<n>`. */
  account: string;
  /** Such as `2026-11` or `2026-11-21`; `total` if it never begins anew. */
  period: string;
  /** Beyond which nothing is set aside. Absent fields: no limit; what is charged is counted all the same. */
  limit: Partial<Amount> & { requests?: number };
}

export interface Reservation {
  /** Idempotency key: the id of the call. */
  id: string;
  /** Milliseconds since 1970. */
  at: number;
  /** When a reservation that nobody settled counts as spent: its gateway has died, and the call may have been made. */
  expiresAt: number;
  charges: Charge[];
  /** The most that the call can come to. */
  amount: Amount;
}

export type ReservationResult =
  | { granted: true }
  | {
      granted: false;
      /** The first of the charges whose limit would be passed. */
      account: string;
      period: string;
      what: 'costNanoUsd' | 'tokens' | 'requests';
      limit: number;
      spent: number;
      reserved: number;
    };

export interface Balance {
  account: string;
  period: string;
  spent: Amount & { requests: number };
  reserved: Amount & { requests: number };
}

export interface Ledger {
  /**
   * Sets the amount aside on all accounts, or on none. However many gateways ask at once, spent and reserved together
   * never pass a limit. Idempotent by id.
   */
  reserve(reservation: Reservation): Promise<ReservationResult>;
  /**
   * Turns a reservation into what was spent, and records the usage, in one transaction. Idempotent; whoever comes after
   * the reservation expired replaces the worst case by what it was.
   */
  settle(id: string, spent: Amount, usage?: UsageRecord): Promise<void>;
  /** Of those accounts and periods that were ever charged. */
  balances(accounts: readonly { account: string; period: string }[]): Promise<Balance[]>;
}
