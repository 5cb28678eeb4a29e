// Which limits a call is under: Budgets of its namespace, its run's limits, and those of its agent for one attempt.
import {
  budgetAccount,
  isInScope,
  isTimeZone,
  nanoUsd,
  periodAt,
  type AgentSpec,
  type Budget,
  type FailureReason,
} from '@kadre/crds';
import { delegatorsOf, type Amount, type Charge, type StepClaims } from '@kadre/store';
import type { BudgetSource } from '../options.ts';
import type { Attempt } from '../pipeline/hooks.ts';
import type { KnownRun } from './runs.ts';

/** One limit, as an account is charged for it and as people are told of it. */
export interface CallLimit {
  charge: Charge;
  /** Such as `Budget monthly of namespace team`. */
  name: string;
  /** What to do about it where no new period comes. */
  remedy: string;
  /** Why a call that passes it fails. */
  reason: Extract<FailureReason, 'BudgetExceeded' | 'RunLimitExceeded' | 'LimitExceeded'>;
  /** The Budget, where it is one. */
  budget?: string;
}

const FOREVER = 'total';

export function limitsOf(
  { call, candidate }: Attempt,
  source: BudgetSource | undefined,
  run: KnownRun | undefined,
  now: number,
): CallLimit[] {
  const { namespace, agent, step } = call.caller;
  const limits: CallLimit[] = [];
  if (source) {
    const subject = { agent, model: candidate.model.metadata.name, workflow: run?.subject };
    for (const budget of source.list(namespace)) {
      if (isInScope(budget.spec, subject)) limits.push(...limitOfBudget(budget, namespace, now));
    }
  }
  if (!step) return limits;
  if (run) limits.push(...limitsOfRuns(step.run, run));
  // What an agent hands to others is done for it, and within its limits.
  const parts = [...delegatorsOf(step), { step: step.step, agent }];
  return [...limits, ...parts.flatMap((part) => limitOfAttempt(step, part, source?.ofAgent(namespace, part.agent)))];
}

/** What was asked for by another run is done for that one, and within its limits as well. */
function limitsOfRuns(uid: string, { limit, above }: KnownRun): CallLimit[] {
  const remedy = 'Raise the limits of the Workflow and of the Run.';
  const reason = 'RunLimitExceeded';
  return [
    ...limitFor(`run/${uid}`, limit, { name: 'the limits of the run', remedy, reason }),
    ...above.flatMap((one) =>
      limitFor(`run/${one.uid}`, one.limit, { name: 'the limits of the run that has asked for it', remedy, reason }),
    ),
  ];
}

function limitOfAttempt(
  { run, attempt }: StepClaims,
  { step, agent }: { step: string; agent: string },
  { tokens, costUsd }: NonNullable<AgentSpec['limits']> = {},
): CallLimit[] {
  const limit = {
    ...(costUsd !== undefined && { costNanoUsd: nanoUsd(costUsd) }),
    ...(tokens !== undefined && { tokens }),
  };
  return limitFor(`run/${run}/step/${step}/${attempt}`, limit, {
    name: `the limits of Agent ${agent} for one attempt`,
    remedy: 'Raise the limits of the Agent.',
    reason: 'LimitExceeded',
  });
}

/** One that limits places of Runs alone has nothing to do with calls. */
function limitOfBudget({ metadata, spec }: Budget, namespace: string, now: number): CallLimit[] {
  const { costUsd, tokens, requests } = spec.limits;
  if (costUsd === undefined && tokens === undefined && requests === undefined) return [];
  // The operator complains of a zone that there is not; until somebody mends it, the budget still holds.
  const { key, endsAt } = periodAt(spec.period, isTimeZone(spec.timeZone) ? spec.timeZone : 'UTC', now);
  const limit = {
    ...(costUsd !== undefined && { costNanoUsd: nanoUsd(costUsd) }),
    ...(tokens !== undefined && { tokens }),
    ...(requests !== undefined && { requests }),
  };
  const charge: Charge = {
    account: budgetAccount(namespace, metadata.name),
    period: key,
    ...(endsAt !== undefined && { endsAt }),
    limit,
    lenient: spec.action === 'warn',
  };
  const name = `Budget ${metadata.name} of namespace ${namespace}`;
  const remedy = 'The budget never begins anew: raise its limits.';
  return [{ charge, name, remedy, reason: 'BudgetExceeded', budget: metadata.name }];
}

function limitFor(
  account: string,
  limit: Partial<Amount>,
  words: Pick<CallLimit, 'name' | 'remedy' | 'reason'>,
): CallLimit[] {
  if (limit.costNanoUsd === undefined && limit.tokens === undefined) return [];
  return [{ charge: { account, period: FOREVER, limit }, ...words }];
}
