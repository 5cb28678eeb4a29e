// Money is set aside before it is spent: at every level at once, as much as the call can come to at most. So however many
// calls are made at the same moment, through however many gateways, together they never pass a limit.
import type { Reservation as Entry, ReservationResult, Shortfall, Store, UsageRecord } from '@kadre/store';
import type { Registry } from 'prom-client';
import { unavailable, type GatewayError } from '../errors.ts';
import type { BudgetSource, Clock } from '../options.ts';
import type { Attempt, Budgets, Reservation } from '../pipeline/hooks.ts';
import { limitsOf, type CallLimit } from './limits.ts';
import { createBudgetMetrics } from './metrics.ts';
import { refusal, unpriced } from './refusal.ts';
import { createRuns, type KnownRun } from './runs.ts';
import { worstCaseOf } from './worst-case.ts';

type BudgetStore = Pick<Store, 'recordUsage' | 'reserve' | 'settle' | 'release' | 'submission'>;

interface BudgetOptions {
  store: BudgetStore;
  /** Absent: there are none but the limits of runs. */
  source: BudgetSource | undefined;
  clock: Clock;
  /** Milliseconds that one call may take. */
  callMs: number;
  registry: Registry | undefined;
}

/** How much later than the longest call a reservation counts as spent: clocks differ, and settling takes its time. */
const GRACE_MS = 120_000;

export function createBudgets({ store, source, clock, callMs, registry }: BudgetOptions): Budgets {
  const metrics = registry && createBudgetMetrics(registry);
  const runs = createRuns(store);
  const unlimited: Reservation = {
    settle: (record) => store.recordUsage(record),
    cancel: () => Promise.resolve(),
  };

  const under = (attempt: Attempt, run: KnownRun | undefined): Reservation | Promise<Reservation> => {
    const now = clock.now();
    const limits = limitsOf(attempt, source, run, now);
    return limits.length === 0 ? unlimited : reserve(attempt, limits, now);
  };

  const reserve = async (attempt: Attempt, limits: CallLimit[], now: number): Promise<Reservation> => {
    const { call, number, estimate, candidate } = attempt;
    const blocking = limits.find(({ charge }) => charge.limit.costNanoUsd !== undefined && !charge.lenient);
    if (blocking && !estimate.price) throw unpriced(candidate.model.metadata.name, blocking);
    const { amount, maxOutputTokens } = worstCaseOf(attempt);
    const id = reservationId(call.id, number);
    const entry = { id, expiresAt: now + callMs + GRACE_MS, charges: limits.map(({ charge }) => charge), amount };
    const result = await reserved(store, entry);
    if (!result.granted) throw refused(limits, result, call.caller.namespace);
    for (const one of result.passed) metrics?.passed(call.caller.namespace, limitOf(limits, one)?.budget);
    const bounded = limits.some(
      ({ charge: { limit } }) => limit.costNanoUsd !== undefined || limit.tokens !== undefined,
    );
    return {
      ...(bounded && call.operation === 'chat' && { maxOutputTokens }),
      settle: (record) => store.settle(id, spentOf(record), record),
      cancel: () => store.release(id),
    };
  };

  const refused = (limits: CallLimit[], shortfall: Shortfall, namespace: string): GatewayError => {
    const limit = limitOf(limits, shortfall);
    metrics?.refused(namespace, limit?.budget);
    if (!limit) throw new Error(`the ledger refused for ${shortfall.account}, which was not asked for`);
    return refusal(limit, shortfall);
  };

  return {
    reserve: (attempt) => {
      const { step } = attempt.call.caller;
      const run = step && runs(step.run);
      if (!(run instanceof Promise)) return under(attempt, run);
      return run.then(
        (found) => under(attempt, found),
        (cause: unknown) => {
          throw outOfReach(cause);
        },
      );
    },
  };
}

/** As the ids of usage records: one for each attempt of a call. */
const reservationId = (call: string, number: number): string => (number === 1 ? call : `${call}/${number}`);

async function reserved(store: BudgetStore, entry: Entry): Promise<ReservationResult> {
  try {
    return await store.reserve(entry);
  } catch (cause) {
    throw outOfReach(cause);
  }
}

/** Nothing is spent that cannot be written down. */
const outOfReach = (cause: unknown): GatewayError =>
  unavailable('The ledger of budgets cannot be reached just now.', '1', cause);

const limitOf = (limits: CallLimit[], { account }: Shortfall): CallLimit | undefined =>
  limits.find(({ charge }) => charge.account === account);

const spentOf = ({ costNanoUsd, inputTokens, outputTokens }: UsageRecord) => ({
  costNanoUsd,
  tokens: inputTokens + outputTokens,
});
