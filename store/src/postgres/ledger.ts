// The ledger of money. Whoever reserves waits for those who change the same accounts, on whatever gateway.
import type { Amount, Balance, Charge, Reservation, ReservationResult, Spent } from '../ledger.ts';
import { balanceOf, emptyBalance, type BalanceRow } from '../rows.ts';
import type { Store, UsageRecord } from '../store.ts';
import { plain, type Batches } from './batches.ts';
import type { Access } from './access.ts';

// In a batch, what makes room comes first.
const FIRST = '0';
const THEN = '1';

export function ledger({ db }: Access, batches: Batches) {
  return {
    reserve: async (reservation: Reservation) =>
      JSON.parse(await batches.write(THEN, reservationItem(reservation))) as ReservationResult,
    settle: async (id: string, { costNanoUsd, tokens }: Spent, usage?: UsageRecord) => {
      const spent = { cost: costNanoUsd ?? 0, tokens, unpriced: costNanoUsd === null ? 1 : 0 };
      const item = { kind: 'settle', id: plain(id), ...spent, usage: usage && usageItem(usage) };
      await batches.write(FIRST, JSON.stringify(item));
    },
    release: async (id: string) => {
      await batches.write(FIRST, JSON.stringify({ kind: 'release', id: plain(id), unpriced: 0 }));
    },
    countRefusal: async (id: string, { account, period, endsAt }: Pick<Charge, 'account' | 'period' | 'endsAt'>) => {
      const charges = [{ account: plain(account), period: plain(period), ends_at: endsAt }];
      await batches.write(FIRST, JSON.stringify({ kind: 'refuse', id: plain(id), charges }));
    },
    balances: async (accounts: readonly Pick<Charge, 'account' | 'period'>[], now: number): Promise<Balance[]> => {
      const asked = accounts.map(({ account, period }) => ({ account: plain(account), period: plain(period) }));
      const rows = await db.read<BalanceRow & { expired: Amount[] }>('balances', [JSON.stringify(asked), now]);
      const found = new Map(rows.map((row) => [nameOf(row), row]));
      return asked.map((one) => {
        const row = found.get(nameOf(one));
        return row ? balanceOf(row, row.expired) : balanceOf(emptyBalance(one.account, one.period), []);
      });
    },
  } satisfies Partial<Store>;
}

const nameOf = ({ account, period }: Pick<Charge, 'account' | 'period'>): string => JSON.stringify([account, period]);

function reservationItem({ id, expiresAt, charges, amount }: Reservation): string {
  return JSON.stringify({
    kind: 'reserve',
    id: plain(id),
    expires_at: expiresAt,
    cost: amount.costNanoUsd,
    tokens: amount.tokens,
    charges: charges.map(({ account, period, endsAt, limit, lenient = false }) => ({
      account: plain(account),
      period: plain(period),
      ends_at: endsAt,
      cost: limit.costNanoUsd,
      tokens: limit.tokens,
      requests: limit.requests,
      lenient,
    })),
  });
}

function usageItem({ run, ...call }: UsageRecord) {
  return {
    id: plain(call.id),
    at: call.at,
    namespace: plain(call.namespace),
    agent: plain(call.agent),
    model: plain(call.model),
    run: run && plain(run.uid),
    step: run && plain(run.step),
    attempt: run?.attempt,
    input_tokens: call.inputTokens,
    output_tokens: call.outputTokens,
    cost_nano_usd: call.costNanoUsd,
  };
}
