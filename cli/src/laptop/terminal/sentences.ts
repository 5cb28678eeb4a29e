// Each event of a log as a line, for where nothing can be drawn over.
import type { Failure } from '@kadre/crds';
import type { StoredEvent } from '@kadre/store';
import { duration, money } from './format.ts';
import { waitText } from './tree.ts';
import type { RunView } from './view.ts';

interface Data {
  step?: string;
  attempt?: number;
  failure?: Failure;
  count?: number;
  then?: string;
  message?: string;
  queue?: string;
  usage?: { costNanoUsd: number };
}

/**
 * Undefined for what only machinery cares for.
 * @param view that has seen the event already
 * @param of another run that asked for this one: how this one is called, and when the other began
 */
export function sentence(
  view: RunView,
  event: StoredEvent,
  of?: { name: string; since: number | undefined },
): string | undefined {
  const said = sayStep(view, event) ?? sayRun(view, event);
  if (said === undefined) return undefined;
  const since = event.at - ((of ? of.since : view.startedAt) ?? event.at);
  return `${`+${(since / 1000).toFixed(2)}s`.padStart(9)}  ${of ? `${of.name}: ` : ''}${said}`;
}

function sayRun({ startedAt = 0, cost }: RunView, { type, at, data }: StoredEvent): string | undefined {
  const { failure, message, queue } = data as Data;
  const total = [duration(at - startedAt), money(cost)].filter((part) => part !== '').join(', ');
  switch (type) {
    case 'RunQueued':
      return `the run waits for a place in the queue ${queue ?? ''}`;
    case 'RunStarted':
      return 'the run started';
    case 'RunSuspended':
      return 'the run is paused';
    case 'RunResumed':
      return 'the run goes on';
    case 'CancelRequested':
      return `the run is cancelled: ${message ?? ''}`;
    case 'LimitReached':
      return `a limit ends the run: ${failure?.message ?? ''}`;
    case 'FinallyStarted':
      return 'the steps of finally begin';
    case 'RunSucceeded':
      return `the run succeeded (${total})`;
    case 'RunFailed':
      return `the run failed: ${told(failure)} (${total})`;
    case 'RunCancelled':
      return `the run was cancelled (${total})`;
    default:
      return undefined;
  }
}

function sayStep(view: RunView, { type, at, data }: StoredEvent): string | undefined {
  const { step: id, attempt = 0, count, failure, then, usage } = data as Data;
  const step = id === undefined ? undefined : view.all.get(id);
  if (id === undefined || !step) return undefined;
  const name = attempt > 1 ? `${id} (attempt ${attempt})` : id;
  const spent = [duration(at - (step.startedAt ?? at)), money(usage?.costNanoUsd ?? 0), step.source ?? ''];
  const how = spent.filter((part) => part !== '').join(', ');
  switch (type) {
    case 'StepSkipped':
      return `${name} skipped`;
    case 'StepFannedOut':
      return `${name} has ${count ?? 0} elements`;
    case 'StepStarted':
      return step.waitsFor ? `${name} ${waitText(step.waitsFor, at)}` : `${name} started`;
    case 'StepAsked':
      return `${name} ${step.waitsFor ? waitText(step.waitsFor, at) : 'asks people'}`;
    case 'StepAnswered':
      return step.waitsFor ? undefined : `${name} goes on`;
    case 'StepSucceeded':
      return `${name} succeeded (${how})`;
    case 'StepCancelled':
      return `${name} cancelled`;
    case 'StepFailed':
      return `${name} failed: ${told(failure)}${after(step.waitsFor?.kind === 'retry' ? waitText(step.waitsFor, at) : then)}`;
    default:
      return undefined;
  }
}

function told(failure: Failure | undefined): string {
  return failure ? `${failure.reason}: ${failure.message}` : 'for an unknown reason';
}

function after(what: string | undefined): string {
  if (what === 'continue') return '; the run goes on without it';
  if (what === 'fallback') return '; its fallback begins';
  return what === undefined ? '' : `; it ${what}`;
}
