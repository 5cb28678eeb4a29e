// What Prometheus sees of budgets.
import { Counter, type Registry } from 'prom-client';

/** `budget`: its name; absent for the limits of a run or of an attempt. */
export interface BudgetMetrics {
  refused(namespace: string, budget: string | undefined): void;
  passed(namespace: string, budget: string | undefined): void;
}

export function createBudgetMetrics(registry: Registry): BudgetMetrics {
  const labelNames = ['namespace', 'budget'] as const;
  const refusals = new Counter({
    name: 'kadre_gateway_budget_refusals_total',
    help: 'Calls refused because a Budget, or without a name the limits of a run or an attempt, had no room for them.',
    labelNames,
    registers: [registry],
  });
  const passed = new Counter({
    name: 'kadre_gateway_budget_passed_total',
    help: 'Calls let through that may pass a limit of a Budget which only warns.',
    labelNames,
    registers: [registry],
  });
  return {
    refused: (namespace, budget = '') => refusals.inc({ namespace, budget }),
    passed: (namespace, budget = '') => passed.inc({ namespace, budget }),
  };
}
