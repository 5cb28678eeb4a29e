// Budgets, and what is left of them, for tests.
import { budgetAccount, type Budget, type BudgetSpec } from '@kadre/crds';
import type { Balance, Store } from '@kadre/store';
import { NAMESPACE } from './bed.ts';

export const PRICE = { inputPerMillion: '1000', outputPerMillion: '1000' };
/** An echo of forty characters, at one per mille of a dollar for each token. */
export const PROMPT = 'x'.repeat(40);
export const SPENT = { costNanoUsd: 20_000_000, tokens: 20, requests: 1 };

export function budgetOf(name: string, spec: Partial<BudgetSpec>): Budget {
  const metadata = {
    name,
    namespace: NAMESPACE,
    uid: name,
    resourceVersion: '1',
    generation: 1,
    creationTimestamp: '',
  };
  const defaults = { period: 'total', timeZone: 'UTC', action: 'block', warnAt: 80, limits: {} } as const;
  return { apiVersion: 'kadre.dev/v1alpha1', kind: 'Budget', metadata, spec: { ...defaults, ...spec } };
}

export async function balanceIn(store: Store, name: string, period = 'total', now = Date.now()): Promise<Balance> {
  const [found] = await store.balances([{ account: budgetAccount(NAMESPACE, name), period }], now);
  if (!found) throw new Error('there is no balance');
  return found;
}
