// Trying again, and modifiers where they can do nothing.
import type { Retry } from '@kadre/crds';
import type { Report } from '../expression/template.ts';
import type { RetryPolicy } from '../plan.ts';
import { compileDuration } from './durations.ts';
import type { Site } from './outline.ts';

export function compileRetry(retry: Retry | undefined, path: string, report: Report): RetryPolicy {
  const { initial, factor, max } = { initial: '1s', factor: 2, max: '5m', ...retry?.backoff };
  const policy = {
    limit: retry?.limit ?? 0,
    initial: compileDuration(initial, `${path}.backoff.initial`, report),
    factor,
    max: compileDuration(max, `${path}.backoff.max`, report),
    ...(retry?.reasons && { reasons: new Set(retry.reasons) }),
  };
  if (policy.initial > policy.max && policy.max > 0)
    report(`${path}.backoff`, `initial (${initial}) must not exceed max (${max}): raise max or lower initial`);
  return policy;
}

/** Retry of what would come to the same, and cache of what is not to be taken over from an earlier run. */
export function refuseIdleModifiers({ step, path, problems }: Site): void {
  const { retry, cache, value, wait, approval, fail, timeout } = step;
  const computes = value !== undefined;
  if (retry && computes) problems.report(`${path}.retry`, 'a value comes to the same each time: remove retry');
  else if (retry && fail !== undefined)
    problems.report(`${path}.retry`, 'a step that gives up does so each time: remove retry');
  else if (retry && approval)
    problems.report(
      `${path}.retry`,
      'a decision stands and is not asked for again: remove retry; to ask anew after a change, repeat a group of steps',
    );
  else if (retry && wait && (!wait.event || timeout === undefined))
    problems.report(
      `${path}.retry`,
      wait.event
        ? 'a wait for an event fails only at its timeout: set timeout, or remove retry'
        : 'a wait does not fail: remove retry',
    );
  if (!cache) return;
  if (computes) problems.report(`${path}.cache`, 'a value costs nothing to compute: remove cache');
  if (fail !== undefined) problems.report(`${path}.cache`, 'a step that gives up has no output: remove cache');
  if (wait) problems.report(`${path}.cache`, 'a wait has nothing to take over from an earlier run: remove cache');
  if (approval)
    problems.report(`${path}.cache`, 'people decide about this run, not about an earlier one: remove cache');
}
