// Money is set aside before it is spent: at every level at once, as much as the call can come to at most. So however many
// calls are made at the same moment, through however many gateways, together they never pass a limit.
import type { ReservationResult, Shortfall, Spent, Store, UsageRecord } from '@kadre/store';
import type { Registry } from 'prom-client';
import { unavailable, type GatewayError } from '../errors.ts';
import type { BudgetSource, Clock } from '../options.ts';
import { pause } from '../pause.ts';
import type { Attempt, Budgets, Reservation } from '../pipeline/hooks.ts';
import { limitsOf, type CallLimit } from './limits.ts';
import { createBudgetMetrics } from './metrics.ts';
import { refusal, unpriced } from './refusal.ts';
import { createRuns, type KnownRun, type RunStore } from './runs.ts';
import { shorterOf, worstCaseOf, type WorstCase } from './worst-case.ts';

type BudgetStore = RunStore & Pick<Store, 'recordUsage' | 'reserve' | 'settle' | 'release' | 'countRefusal'>;

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
/** How long a call waits for others that have set more aside than they need. */
const PATIENCE_MS = 60_000;
const FIRST_PAUSE_MS = 20;
const LONGEST_PAUSE_MS = 1_000;

export function createBudgets(options: BudgetOptions): Budgets {
  const { store, source, clock, registry } = options;
  const metrics = registry && createBudgetMetrics(registry);
  const runs = createRuns(store);
  const unlimited: Reservation = {
    settle: (record) => store.recordUsage(record),
    cancel: () => Promise.resolve(),
  };

  const under = (attempt: Attempt, run: KnownRun | undefined): Reservation | Promise<Reservation> => {
    const limits = (): CallLimit[] => limitsOf(attempt, source, run, clock.now());
    return limits().length === 0 ? unlimited : reserve(attempt, limits);
  };

  const reserve = async (attempt: Attempt, limits: () => CallLimit[]): Promise<Reservation> => {
    const { call, estimate, candidate } = attempt;
    const blocking = limits().find(({ charge }) => charge.limit.costNanoUsd !== undefined && !charge.lenient);
    if (blocking && !estimate.price) throw unpriced(candidate.model.metadata.name, blocking);
    const id = reservationId(attempt);
    const { passed, worst, held } = await roomFor(attempt, limits, options).catch(async (error: unknown) => {
      throw error instanceof NoRoom ? await refused(id, error, call.caller.namespace) : outOfReach(error, call.signal);
    });
    for (const { budget } of passed) metrics?.passed(call.caller.namespace, budget);
    return {
      ...(held && call.operation === 'chat' && { maxOutputTokens: worst.maxOutputTokens }),
      settle: (record) => store.settle(id, spentOf(record), record),
      cancel: () => store.release(id),
    };
  };

  const refused = async (id: string, { limit, shortfall }: NoRoom, namespace: string): Promise<GatewayError> => {
    metrics?.refused(namespace, limit.budget);
    await store.countRefusal(id, limit.charge).catch(() => undefined);
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
          throw outOfReach(cause, attempt.call.signal);
        },
      );
    },
  };
}

class NoRoom extends Error {
  readonly limit: CallLimit;
  readonly shortfall: Shortfall;

  constructor(limit: CallLimit, shortfall: Shortfall) {
    super('no room is left for the call');
    this.limit = limit;
    this.shortfall = shortfall;
  }
}

interface Room {
  worst: WorstCase;
  /** Whether the worst case must be made true. */
  held: boolean;
  /** Limits that only warn. */
  passed: CallLimit[];
}

/**
 * Sets aside what the attempt can come to. An answer whose length nobody limits is held to what is left; and where only
 * the reservations of others stand in the way, which mostly come to less in the end, it waits for them. Throws NoRoom.
 */
async function roomFor(attempt: Attempt, limitsNow: () => CallLimit[], options: BudgetOptions): Promise<Room> {
  const { store, clock, callMs } = options;
  const began = clock.now();
  let worst = worstCaseOf(attempt);
  for (let wait = FIRST_PAUSE_MS; ;) {
    const limits = limitsNow();
    const charges = limits.map(({ charge }) => charge);
    const expiresAt = clock.now() + callMs + GRACE_MS;
    const result = await store.reserve({ id: reservationId(attempt), expiresAt, charges, amount: worst.amount });
    if (result.granted) return roomOf(limits, worst, result);
    const limit = limitOf(limits, result);
    if (!limit) throw new Error(`the ledger refused for ${result.account}, which was not asked for`);
    const { what, limit: most, spent } = result;
    const shorter = what === 'requests' ? undefined : shorterOf(attempt, worst, what, most - spent);
    if (shorter) {
      worst = shorter;
      continue;
    }
    const mayHelp = what !== 'requests' && spent + worst.amount[what] <= most;
    if (!mayHelp || clock.now() - began > PATIENCE_MS) throw new NoRoom(limit, result);
    await pause(wait * (0.5 + Math.random() / 2), attempt.call.signal, clock);
    wait = Math.min(2 * wait, LONGEST_PAUSE_MS);
  }
}

function roomOf(limits: CallLimit[], worst: WorstCase, result: ReservationResult & { granted: true }): Room {
  const passed = result.passed.flatMap((one) => limitOf(limits, one) ?? []);
  const held = limits.some(({ charge: { limit } }) => limit.costNanoUsd !== undefined || limit.tokens !== undefined);
  return { worst, held, passed };
}

/** As the ids of usage records: one for each attempt of a call. */
const reservationId = ({ call, number }: Attempt): string => (number === 1 ? call.id : `${call.id}/${number}`);

/** Nothing is spent that cannot be written down. */
function outOfReach(cause: unknown, signal: AbortSignal): unknown {
  if (signal.aborted) return signal.reason;
  return unavailable('The ledger of budgets cannot be reached just now.', '1', cause);
}

const limitOf = (limits: CallLimit[], { account }: Shortfall): CallLimit | undefined =>
  limits.find(({ charge }) => charge.account === account);

const spentOf = ({ costNanoUsd, inputTokens, outputTokens }: UsageRecord): Spent => ({
  costNanoUsd,
  tokens: inputTokens + outputTokens,
});
