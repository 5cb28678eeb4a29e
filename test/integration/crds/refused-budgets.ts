// Wrong Budgets; see refused-manifests.ts.
import type { Refusal } from './refused-manifests.ts';

const budget = (fields: object) => ({ spec: { period: 'month', limits: { tokens: 1 }, ...fields } });

export const budgetRefusals: Refusal[] = [
  {
    mistake: 'no limit',
    kind: 'Budget',
    wrong: budget({ limits: {} }),
    where: 'spec.limits',
    message: 'a budget limits something: set costUsd, tokens, requests or concurrentRuns',
    right: budget({ limits: { requests: 0 } }),
  },
  {
    mistake: 'more money than can be counted',
    kind: 'Budget',
    wrong: budget({ limits: { costUsd: '9000000.01' } }),
    where: 'spec.limits.costUsd',
    message: 'sums are exact up to 9 million dollars',
    right: budget({ limits: { costUsd: '9000000.00' } }),
  },
  {
    mistake: 'an amount that is no number',
    kind: 'Budget',
    wrong: budget({ limits: { costUsd: '5 USD' } }),
    where: 'spec.limits.costUsd',
    message: 'should match',
    right: budget({ limits: { costUsd: '5' } }),
  },
  {
    mistake: 'Runs counted by Models',
    kind: 'Budget',
    wrong: budget({ limits: { concurrentRuns: 2 }, scope: { models: ['gpt'] } }),
    message: 'a Run asks many agents and models: with concurrentRuns, remove scope.agents and scope.models',
    right: budget({ limits: { concurrentRuns: 2 }, scope: { workflows: ['article'] } }),
  },
  {
    mistake: 'a period that there is not',
    kind: 'Budget',
    wrong: budget({ period: 'year' }),
    where: 'spec.period',
    message: 'supported values: "hour", "day", "week", "month", "total"',
    right: budget({ period: 'total' }),
  },
];
