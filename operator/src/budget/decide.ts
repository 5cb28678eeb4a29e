// What to say about a Budget. The gateway enforces it; here is only told how far it is used.
import { nanoUsd, usdText, type Budget, type BudgetStatus, type Condition } from '@kadre/crds';
import type { Count } from '@kadre/store';
import { conditionsOf, news, type Fact } from '../build/readiness.ts';
import type { Health } from '../kube/conditions.ts';
import type { Plan, PlannedEvent } from '../kube/plan.ts';
import type { BudgetSnapshot } from './observe.ts';

/** Calls come by the dozen, so the ledger is looked at now and then. */
const LOOK_AGAIN_MS = 10_000;

export function decideBudget(snapshot: BudgetSnapshot, now: Date): Plan {
  const { budget, period, balance, runs } = snapshot;
  if (budget.metadata.deletionTimestamp !== undefined) return {};
  const facts = [exceeded(snapshot), warning(snapshot)];
  const conditions = conditionsOf(budget, healthOf(snapshot), facts, now);
  const { spent, reserved, refusals, unpricedCalls } = balance;
  const status: BudgetStatus = {
    observedGeneration: budget.metadata.generation,
    ...(period.startsAt !== undefined && { periodStart: time(period.startsAt) }),
    ...(period.endsAt !== undefined && { periodEnd: time(period.endsAt) }),
    spent: told(spent),
    reserved: told(reserved),
    left: leftOf(snapshot),
    refusals,
    ...(unpricedCalls > 0 && { unpricedCalls }),
    ...(budget.spec.limits.concurrentRuns !== undefined && { runs }),
    conditions,
  };
  const untilNext = (period.endsAt ?? Infinity) - now.getTime();
  const events = [
    ...(news(budget.status?.conditions, conditions).events ?? []),
    ...newlyTrue(budget.status?.conditions, conditions),
    ...refused(snapshot),
  ];
  return {
    status: { ...status },
    requeueAfter: Math.max(1, Math.min(LOOK_AGAIN_MS, untilNext)),
    ...(events.length > 0 && { events }),
  };
}

function healthOf({ budget: { spec }, zoneExists }: BudgetSnapshot): Health {
  if (!zoneExists) {
    const message = `There is no time zone ${spec.timeZone}, so periods begin in UTC: name one such as Europe/Berlin.`;
    return { state: 'stalled', reason: 'InvalidTimeZone', message };
  }
  if (spec.action === 'warn') {
    return { state: 'ready', reason: 'Watched', message: 'Calls that may pass a limit are let through, and reported.' };
  }
  return { state: 'ready', reason: 'Enforced', message: 'Calls that may pass a limit are refused.' };
}

function exceeded(snapshot: BudgetSnapshot): Fact {
  const used = limitsReached(snapshot, 100);
  if (used.length === 0) {
    return { type: 'Exceeded', status: 'False', reason: 'WithinLimits', message: 'No limit is used up.' };
  }
  const { action } = snapshot.budget.spec;
  const consequence =
    action === 'block' ? `Calls are refused ${until(snapshot)}.` : 'Calls are let through all the same.';
  const message = `Used up: ${used.join(', ')}. ${consequence}`;
  return { type: 'Exceeded', status: 'True', reason: 'LimitReached', message };
}

function warning(snapshot: BudgetSnapshot): Fact {
  const { warnAt } = snapshot.budget.spec;
  const used = limitsReached(snapshot, warnAt);
  const reason = used.length === 0 ? 'WithinLimits' : 'NearLimit';
  const message =
    used.length === 0
      ? `Less than ${warnAt} % of each limit is spent.`
      : `${warnAt} % or more are spent of ${used.join(', ')}.`;
  return { type: 'Warning', status: used.length === 0 ? 'False' : 'True', reason, message };
}

const until = ({ period: { endsAt } }: BudgetSnapshot): string =>
  endsAt === undefined ? 'until the limit is raised' : `until the period begins anew at ${time(endsAt)}`;

/** Names of the limits of which so many percent are spent. */
function limitsReached({ budget, balance: { spent } }: BudgetSnapshot, percent: number): string[] {
  const { costUsd, ...counts } = limitsOf(budget);
  const reached = (limit: number | undefined, value: number): boolean =>
    limit !== undefined && BigInt(value) * 100n >= BigInt(limit) * BigInt(percent);
  return [
    ...(reached(costUsd, spent.costNanoUsd) ? ['costUsd'] : []),
    ...(['tokens', 'requests'] as const).filter((what) => reached(counts[what], spent[what])),
  ];
}

function leftOf({ budget, balance: { spent, reserved } }: BudgetSnapshot): NonNullable<BudgetStatus['left']> {
  const { costUsd, tokens, requests } = limitsOf(budget);
  const left = (limit: number, what: keyof Count): number => Math.max(0, limit - spent[what] - reserved[what]);
  return {
    ...(costUsd !== undefined && { costUsd: usdText(left(costUsd, 'costNanoUsd')) }),
    ...(tokens !== undefined && { tokens: left(tokens, 'tokens') }),
    ...(requests !== undefined && { requests: left(requests, 'requests') }),
  };
}

/** Costs in USD × 10⁻⁹. */
function limitsOf({ spec: { limits } }: Budget): { costUsd?: number; tokens?: number; requests?: number } {
  const { costUsd, tokens, requests } = limits;
  return {
    ...(costUsd !== undefined && { costUsd: nanoUsd(costUsd) }),
    ...(tokens !== undefined && { tokens }),
    ...(requests !== undefined && { requests }),
  };
}

const told = ({ costNanoUsd, tokens, requests }: Count): NonNullable<BudgetStatus['spent']> => ({
  costUsd: usdText(costNanoUsd),
  tokens,
  requests,
});

function newlyTrue(before: Condition[] | undefined, after: Condition[]): PlannedEvent[] {
  return after.flatMap(({ type, status, reason, message }): PlannedEvent[] => {
    if ((type !== 'Exceeded' && type !== 'Warning') || status !== 'True') return [];
    if (before?.some((known) => known.type === type && known.status === 'True')) return [];
    return [{ type: 'Warning', reason, action: 'Count', note: message.slice(0, 1000) }];
  });
}

function refused({ budget, period, balance: { refusals } }: BudgetSnapshot): PlannedEvent[] {
  const { status } = budget;
  const isSamePeriod = status?.periodStart === (period.startsAt === undefined ? undefined : time(period.startsAt));
  const more = refusals - (isSamePeriod ? (status?.refusals ?? 0) : 0);
  if (more <= 0) return [];
  const note = `${more} ${more === 1 ? 'call was' : 'calls were'} refused, because ${more === 1 ? 'it' : 'they'} might have passed a limit.`;
  return [{ type: 'Warning', reason: 'CallsRefused', action: 'Refuse', note }];
}

const time = (at: number): string => new Date(at).toISOString().replace('.000Z', 'Z');
