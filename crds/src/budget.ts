// Budget: how much of a period's money, tokens, requests and places the calls of a namespace may take.
import { z } from 'zod';
import { dnsLabel, timeZone } from './common.ts';
import { usd } from './limits.ts';
import { rules } from './markers.ts';
import { conditions, observedGeneration, type Resource } from './meta.ts';

export const budgetPeriods = ['hour', 'day', 'week', 'month', 'total'] as const;
export type BudgetPeriod = (typeof budgetPeriods)[number];

const names = (what: string) =>
  z.array(dnsLabel).min(1).max(64).optional().describe(`Only these ${what}. Absent: all.`);

const scope = z.object({
  agents: names('Agents'),
  models: names('Models'),
  workflows: names('Workflows'),
});

const limits = z
  .object({
    costUsd: usd
      .meta(
        rules({
          message: 'sums are exact up to 9 million dollars: choose a smaller costUsd, or a shorter period',
          rule: 'double(self) <= 9000000.0',
        }),
      )
      .optional()
      .describe('What the calls may cost, in USD. Models without a known price are refused.'),
    tokens: z
      .int()
      .min(0)
      .max(1_000_000_000_000_000)
      .optional()
      .describe('How many tokens the calls may read and write together.'),
    requests: z.int().min(0).max(1_000_000_000_000).optional().describe('How many calls may be made.'),
    concurrentRuns: z
      .int()
      .min(1)
      .max(100_000)
      .optional()
      .describe('How many Runs may be at work at once, whatever the period; others wait for their turn.'),
  })
  .meta(
    rules({
      message: 'a budget limits something: set costUsd, tokens, requests or concurrentRuns',
      rule: 'has(self.costUsd) || has(self.tokens) || has(self.requests) || has(self.concurrentRuns)',
    }),
  );

export const budgetSpec = z
  .object({
    scope: scope
      .optional()
      .describe('Which calls count: those that match all lists that are set. Absent: all calls of the namespace.'),
    period: z
      .enum(budgetPeriods)
      .describe('When it begins anew: with each full hour, day, week (on Monday) or month; total: never.'),
    timeZone: timeZone.default('UTC').describe('In which days and months begin, such as Europe/Berlin.'),
    limits: limits.describe('What may be used in a period.'),
    action: z
      .enum(['block', 'warn'])
      .default('block')
      .describe('What becomes of a call that might pass a limit: it is refused, or let through and reported.'),
    warnAt: z
      .int()
      .min(1)
      .max(100)
      .default(80)
      .describe('The condition Warning is true from so many percent of a limit on.'),
  })
  .meta(
    rules({
      message:
        'a Run asks many agents and models: with concurrentRuns, remove scope.agents and scope.models, or make it a budget of its own',
      rule: '!has(self.limits.concurrentRuns) || !has(self.scope) || (!has(self.scope.agents) && !has(self.scope.models))',
    }),
  );

const spending = {
  costUsd: z.string().max(32).optional().describe('USD.'),
  tokens: z.int().optional().describe('Tokens.'),
  requests: z.int().optional().describe('Calls.'),
};

export const budgetStatus = z.object({
  observedGeneration,
  periodStart: z.string().max(64).optional().describe('When the period began, RFC 3339. Absent for total.'),
  periodEnd: z.string().max(64).optional().describe('When it begins anew, RFC 3339. Absent for total.'),
  spent: z.object(spending).optional().describe('What the calls of the period came to.'),
  reserved: z.object(spending).optional().describe('What calls under way may come to at most.'),
  left: z.object(spending).optional().describe('What is neither spent nor reserved, where there is a limit.'),
  refusals: z.int().optional().describe('How many calls were refused in the period because of this budget.'),
  unpricedCalls: z.int().optional().describe('Calls whose cost nobody knows; spent leaves it out.'),
  runs: z.int().optional().describe('How many of its Runs are at work, where concurrentRuns limits them.'),
  conditions,
});

export type BudgetSpec = z.infer<typeof budgetSpec>;
export type BudgetStatus = z.infer<typeof budgetStatus>;
export type Budget = Resource<BudgetSpec, BudgetStatus>;

/** Who makes a call, or what runs; an absent name matches no list. */
export interface BudgetSubject {
  agent?: string | undefined;
  model?: string | undefined;
  workflow?: string | undefined;
}

/** Whether what the subject does counts for the budget. */
export function isInScope({ scope: wanted = {} }: Pick<BudgetSpec, 'scope'>, subject: BudgetSubject): boolean {
  const { agents, models, workflows } = wanted;
  const matches = (list: string[] | undefined, name: string | undefined): boolean =>
    list === undefined || (name !== undefined && list.includes(name));
  return matches(agents, subject.agent) && matches(models, subject.model) && matches(workflows, subject.workflow);
}

/** Where the store counts what the calls of a budget use. By name: who deletes a budget and makes it again spends no more. */
export const budgetAccount = (namespace: string, name: string): string => `namespace/${namespace}/budget/${name}`;

/** Begins the names of these queues: those of workflows begin with their namespace. */
const BUDGET_QUEUE = 'budget:';

/** The Budget, as `<namespace>/<name>`, whose queue it is; undefined: it is that of a workflow. */
export const budgetOfQueue = (queue: string): string | undefined =>
  queue.startsWith(BUDGET_QUEUE) ? queue.slice(BUDGET_QUEUE.length) : undefined;

/** The queue that a run must pass, and how many may be at work in it. */
export interface RunQueue {
  /** Names the queue in the store. */
  queue: string;
  limit: number;
}

/**
 * The queues that budgets with `concurrentRuns` are to a new run, by name. A budget that only warns holds nobody up.
 *
 * @param budgets those of the namespace
 * @param subject name of the Workflow that runs, or of the Agent that is asked
 */
export function runQueuesOf(budgets: readonly Budget[], namespace: string, subject: string): RunQueue[] {
  const queues = budgets.flatMap(({ metadata, spec }): RunQueue[] => {
    const limit = spec.limits.concurrentRuns;
    if (limit === undefined || spec.action === 'warn' || !isInScope(spec, { workflow: subject })) return [];
    return [{ queue: `${BUDGET_QUEUE}${namespace}/${metadata.name}`, limit }];
  });
  return queues.sort((left, right) => (left.queue < right.queue ? -1 : 1));
}
