// The ledger of money. Writes of one turn share a transaction, and transactions follow each other: whoever reserves sees
// what everybody before has reserved.
import type { Amount, Charge, Count, Reservation, ReservationResult, Shortfall, Spent } from '../ledger.ts';
import { balanceOf, emptyBalance, type BalanceRow } from '../rows.ts';
import type { Store, UsageRecord } from '../store.ts';
import type { Access } from './access.ts';
import { insertUsage } from './gateway.ts';
import type { Statements } from './statements.ts';

interface ReservationRow {
  cost: number;
  tokens: number;
  /** JSON: pairs of account and period. */
  charged: string;
  settled: number;
}

type Account = [account: string, period: string];

export function ledger({ sql, write, read }: Access) {
  return {
    reserve: (reservation: Reservation) => write(() => reserve(sql, reservation)),
    settle: (id: string, { costNanoUsd, tokens }: Spent, usage?: UsageRecord) =>
      write(() => {
        const unpriced = costNanoUsd === null ? 1 : 0;
        const row = closed(sql, id);
        for (const account of accountsOf(row)) {
          sql.settleOn.run(row?.cost ?? 0, row?.tokens ?? 0, costNanoUsd ?? 0, tokens, unpriced, ...account);
        }
        if (usage) insertUsage(sql, usage);
      }),
    release: (id: string) =>
      write(() => {
        const row = closed(sql, id);
        for (const account of accountsOf(row)) sql.releaseOn.run(row?.cost ?? 0, row?.tokens ?? 0, ...account);
      }),
    countRefusal: (id: string, { account, period, endsAt }: Pick<Charge, 'account' | 'period' | 'endsAt'>) =>
      write(() => {
        sql.refuseOn.run(account, period, endsAt ?? null, id);
      }),
    balances: (accounts: readonly Pick<Charge, 'account' | 'period'>[], now: number) =>
      read(() => {
        const expired = expiredOn(sql, now);
        return accounts.map(({ account, period }) =>
          balanceOf(rowOf(sql, account, period), expired.get(nameOf([account, period])) ?? []),
        );
      }),
  } satisfies Partial<Store>;
}

/** Reservations that nobody settled in time become what was spent, and periods that are long over are forgotten. */
export function pruneLedger(sql: Statements, before: number): void {
  for (const row of sql.expiredReservations.all(before - 1) as unknown as ReservationRow[]) {
    const { cost, tokens } = row;
    for (const account of accountsOf(row)) sql.settleOn.run(cost, tokens, cost, tokens, 0, ...account);
  }
  sql.pruneReservations.run(before);
  sql.pruneBalances.run(before);
}

function reserve(sql: Statements, { id, expiresAt, charges, amount }: Reservation): ReservationResult {
  if (sql.reservation.get(id)) return { granted: true, passed: [] };
  const passed: Shortfall[] = [];
  for (const charge of charges) {
    const shortfall = shortfallOf(sql, charge, amount);
    if (!shortfall) continue;
    if (!charge.lenient) return { granted: false, ...shortfall };
    passed.push(shortfall);
  }
  const { costNanoUsd, tokens } = amount;
  for (const { account, period, endsAt = null } of charges) {
    sql.reserveOn.run(costNanoUsd, tokens, account, period, endsAt);
  }
  const charged = charges.map(({ account, period }): Account => [account, period]);
  sql.insertReservation.run(id, expiresAt, costNanoUsd, tokens, JSON.stringify(charged));
  return { granted: true, passed };
}

function rowOf(sql: Statements, account: string, period: string): BalanceRow {
  return (sql.balance.get(account, period) as BalanceRow | undefined) ?? emptyBalance(account, period);
}

function shortfallOf(sql: Statements, { account, period, limit }: Charge, amount: Amount): Shortfall | undefined {
  const wanted: Count = { ...amount, requests: 1 };
  const balance = balanceOf(rowOf(sql, account, period), []);
  for (const what of ['costNanoUsd', 'tokens', 'requests'] as const) {
    const most = limit[what];
    const [spent, reserved] = [balance.spent[what], balance.reserved[what]];
    if (most === undefined || wanted[what] === 0 || spent + reserved + wanted[what] <= most) continue;
    return { account, period, what, limit: most, spent, reserved };
  }
  return undefined;
}

/** The reservation, if it was open until now. */
function closed(sql: Statements, id: string): ReservationRow | undefined {
  const row = sql.reservation.get(id) as ReservationRow | undefined;
  if (!row || row.settled) return undefined;
  sql.closeReservation.run(id);
  return row;
}

const accountsOf = (row: ReservationRow | undefined): Account[] => (row ? (JSON.parse(row.charged) as Account[]) : []);
const nameOf = (account: Account): string => JSON.stringify(account);

function expiredOn(sql: Statements, now: number): Map<string, Amount[]> {
  const expired = new Map<string, Amount[]>();
  for (const row of sql.expiredReservations.all(now) as unknown as ReservationRow[]) {
    for (const account of accountsOf(row)) {
      const name = nameOf(account);
      expired.set(name, [...(expired.get(name) ?? []), { costNanoUsd: row.cost, tokens: row.tokens }]);
    }
  }
  return expired;
}
