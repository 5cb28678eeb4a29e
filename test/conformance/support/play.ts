// Plays a case on a target: the acts of its script, one after the other, until all of its Runs are over.
import type { RunStatus } from '@kadre/crds';
import { parseDuration } from '@kadre/engine';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Act } from './act.ts';
import type { Case } from './case.ts';
import type { Target } from './target.ts';

export async function play(one: Case, target: Target): Promise<void> {
  const applied = new Set<string>();
  const apply = async (name: string): Promise<void> => {
    const chosen = one.runs.filter(
      ({ metadata }) => metadata.name === name || (name === 'all' && !applied.has(metadata.name)),
    );
    if (chosen.length === 0) throw new Error(`script.yaml applies ${name}, which run.yaml does not have`);
    for (const run of chosen) {
      applied.add(run.metadata.name);
      await target.apply(run);
    }
  };
  for (const act of one.script) await perform(act, target, apply);
  for (const run of applied) await over(target, run);
}

async function perform(act: Act, target: Target, apply: (name: string) => Promise<void>): Promise<void> {
  if ('apply' in act) return apply(act.apply);
  if ('over' in act) return over(target, act.over);
  if ('cancel' in act) return target.cancel(act.cancel);
  if ('suspend' in act) return target.suspend(act.suspend, true);
  if ('resume' in act) return target.suspend(act.resume, false);
  if ('publish' in act) return target.publish(act.publish);
  if ('pass' in act) return target.pass(parseDuration(act.pass) ?? NaN);
  if ('reached' in act) {
    const { run, step, phase } = act.reached;
    return until(target, run, `${step ?? 'it'} is ${phase}`, (status) => phaseOf(status, step) === phase);
  }
  if ('approve' in act) return until(target, act.approve.run, 'it asks', () => target.decide(act.approve, true));
  if ('reject' in act) return until(target, act.reject.run, 'it asks', () => target.decide(act.reject, false));
  return until(target, act.job.run, 'it asks for a job', () => target.endJob(act.job));
}

function phaseOf(status: RunStatus | undefined, step: string | undefined): string | undefined {
  return step === undefined ? status?.phase : status?.steps?.find(({ name }) => name === step)?.phase;
}

function over(target: Target, run: string): Promise<void> {
  return until(target, run, 'it is over', ({ phase = '' } = {}) =>
    ['Succeeded', 'Failed', 'Cancelled'].includes(phase),
  );
}

/** A bound against hanging for ever, not a promise of speed. */
const PATIENCE = 120_000;
const PAUSE = 5;

async function until(
  target: Target,
  run: string,
  what: string,
  holds: (status: RunStatus | undefined) => boolean | Promise<boolean>,
): Promise<void> {
  const deadline = Date.now() + PATIENCE;
  for (;;) {
    const status = await target.status(run);
    if (await holds(status)) return;
    if (Date.now() > deadline)
      throw new Error(`run ${run}: waited in vain until ${what}. Its status: ${JSON.stringify(status, null, 2)}`);
    await sleep(PAUSE);
  }
}
