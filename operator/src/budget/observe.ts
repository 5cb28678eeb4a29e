import { budgetAccount, isInScope, isTimeZone, periodAt, type Budget, type Period, type Run } from '@kadre/crds';
import type { Balance, Store } from '@kadre/store';

/** All that a decision about a Budget rests on. */
export interface BudgetSnapshot {
  budget: Budget;
  /** As the gateway counts: in UTC where the time zone does not exist. */
  period: Period;
  zoneExists: boolean;
  balance: Balance;
  /** How many of its Runs are at work. */
  runs: number;
}

export async function observeBudget(
  budget: Budget,
  store: Pick<Store, 'balances'>,
  runs: readonly Run[],
  now: number,
): Promise<BudgetSnapshot> {
  const { namespace = '', name } = budget.metadata;
  const { period: kind, timeZone } = budget.spec;
  const zoneExists = isTimeZone(timeZone);
  const period = periodAt(kind, zoneExists ? timeZone : 'UTC', now);
  const [balance] = await store.balances([{ account: budgetAccount(namespace, name), period: period.key }], now);
  if (!balance) throw new Error(`the ledger has no balance of Budget ${name}`);
  return { budget, period, zoneExists, balance, runs: runs.filter((run) => counts(budget, run)).length };
}

function counts({ spec }: Budget, { spec: run, status }: Run): boolean {
  const phase = status?.phase;
  const isAtWork = phase === 'Running' || phase === 'Waiting' || phase === 'Paused';
  return isAtWork && isInScope(spec, { workflow: run.workflow?.name ?? run.agent?.name });
}
