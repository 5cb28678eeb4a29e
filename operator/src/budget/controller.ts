import { splitKey } from '../kube/index.ts';
import { decideBudget } from './decide.ts';
import { observeBudget } from './observe.ts';
import type { Context } from '../context.ts';

/** Says of each Budget how far it is used. */
export function registerBudgetController({ manager, caches, store, clock }: Context): void {
  const { budgets, runs } = caches;
  manager.controller({
    name: 'budget',
    for: budgets,
    reconcile: async (key, { signal }) => {
      const { namespace, name } = splitKey(key);
      const budget = budgets.get(namespace, name);
      if (!budget) return undefined;
      const now = clock.now();
      const places = budget.spec.limits.concurrentRuns === undefined ? [] : runs.list(namespace);
      const snapshot = await observeBudget(budget, store, places, now);
      return manager.executor.execute(budget, decideBudget(snapshot, new Date(now)), { signal });
    },
  });
}
