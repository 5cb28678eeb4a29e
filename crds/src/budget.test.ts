import { expect, test } from '@jest/globals';
import { API_VERSION, nanoUsd, runQueuesOf, usdText, type Budget, type BudgetSpec } from './index.ts';

const budget = (name: string, spec: Partial<BudgetSpec>): Budget => ({
  apiVersion: API_VERSION,
  kind: 'Budget',
  metadata: { name, namespace: 'team', uid: name, resourceVersion: '1', generation: 1, creationTimestamp: '' },
  spec: { period: 'total', timeZone: 'UTC', action: 'block', warnAt: 80, limits: { concurrentRuns: 2 }, ...spec },
});

test('a budget of places is a queue to the Runs in its scope, unless it only warns', () => {
  const budgets = [
    budget('all', {}),
    budget('reports', { scope: { workflows: ['report'] }, limits: { concurrentRuns: 1, costUsd: '5' } }),
    budget('soft', { action: 'warn' }),
    budget('money', { limits: { costUsd: '5' } }),
  ];
  const all = { queue: 'budget:team/all', limit: 2 };
  expect(runQueuesOf(budgets, 'team', 'report')).toEqual([all, { queue: 'budget:team/reports', limit: 1 }]);
  expect(runQueuesOf(budgets, 'team', 'article')).toEqual([all]);
});

test.each([
  ['0', 0, '0'],
  ['0.50', 500_000_000, '0.5'],
  ['12', 12_000_000_000, '12'],
  ['0.000001', 1_000, '0.000001'],
  ['9000000', 9_000_000_000_000_000, '9000000'],
  ['999999999.999999', Number.MAX_SAFE_INTEGER, '9007199.254740991'],
])('%s USD are %d nano-USD, and %s again', (text, nano, again) => {
  expect(nanoUsd(text)).toBe(nano);
  expect(usdText(nano)).toBe(again);
});
