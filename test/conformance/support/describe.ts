// The suite as tests, for one kind of target.
import { describe, expect, test } from '@jest/globals';
import type { Run, StepStatus } from '@kadre/crds';
import type { Case, Expected, Named } from './case.ts';
import { broken } from './invariants.ts';
import { history, stepEvent, type LoggedEvent } from './log.ts';
import { workflowOf } from './local/submission.ts';
import { play } from './play.ts';
import type { StartTarget, Target } from './target.ts';

/** @param options mortal: an engine dies in each case */
export function describeConformance(
  title: string,
  cases: readonly Case[],
  start: StartTarget,
  { mortal = false } = {},
): void {
  describe(title, () => {
    test.each(cases.map((one) => [one.name, one] as const))('%s', async (_name, one) => {
      const target = await start(one);
      try {
        await play(one, target);
        for (const run of one.runs) await check(one, run, target);
        if (mortal) expect(target.deaths()).toBeGreaterThan(0);
      } finally {
        await target.close();
      }
    });
  });
}

export async function check(one: Case, run: Named<Run>, target: Target): Promise<void> {
  const { name } = run.metadata;
  const expected = one.expected[name];
  if (!expected) throw new Error(`expected.yaml says nothing about run ${name}`);
  const { phase, output, steps } = (await target.status(name)) ?? {};
  const failure = await target.failure(name);
  const events = await target.log(name);
  // All at once: what went another way tells most.
  expect({ name, phase, failure: failure?.reason, output, ...(events && told(expected, events)) }).toEqual({
    name,
    phase: expected.phase,
    failure: expected.failure,
    output: expected.output,
    ...(events && { run: expected.run, steps: expected.steps ?? {}, outputs: expected.outputs ?? {} }),
  });
  expect(wrongPhases(expected, steps ?? [])).toEqual([]);
  if (expected.message !== undefined) expect(failure?.message).toContain(expected.message);
  if (!events) return;
  const workflow = workflowOf(one, run) ?? workflowOf(one, originalOf(one, run));
  if (!workflow) throw new Error(`run ${name} names no workflow of this folder`);
  expect(broken(one, workflow, events)).toEqual([]);
  const asked = target.asked(name);
  if (asked) expect(wrongCalls(asked, events)).toEqual([]);
}

/** What the log has to say of what is expected. */
function told(expected: Expected, events: readonly LoggedEvent[]) {
  const { run, steps } = history(events);
  const outputs = new Map(events.map((event) => stepEvent(event)).map((event) => [event?.step, event?.output]));
  return {
    run,
    steps: expected.steps ? steps : {},
    outputs: Object.fromEntries(Object.keys(expected.outputs ?? {}).map((step) => [step, outputs.get(step)])),
  };
}

/** The work of each attempt that an agent ended was done once, whoever asked for it how often. */
function wrongCalls(asked: Record<string, number>, events: readonly LoggedEvent[]): string[] {
  const byService = new Set<string>();
  return events.flatMap((event) => {
    const about = stepEvent(event);
    if (!about) return [];
    const name = `${about.step}/${about.attempt}`;
    if (about.word === 'service') byService.add(name);
    const calls = asked[name] ?? 0;
    // A checked answer that does not fit may be asked for once more.
    const allowed = about.word.startsWith('failed InvalidOutput')
      ? [1, 2]
      : about.word.startsWith('succeeded')
        ? [1]
        : [0, 1];
    const over = byService.has(name) && /^(succeeded|failed|cancelled)/.test(about.word);
    return over && !allowed.includes(calls)
      ? [`the model was asked ${calls} times for ${name}, which ${about.word}`]
      : [];
  });
}

/** The status shows of each step what the log says last of it. */
function wrongPhases({ steps = {} }: Expected, shown: readonly StepStatus[]): string[] {
  return shown.flatMap(({ name, phase }) => {
    const last = steps[name]?.at(-1);
    if (last === undefined || last.startsWith('fanned out')) return [];
    const [word = ''] = last.split(' ');
    return word === phase.toLowerCase() ? [] : [`the status shows step ${name} as ${phase}; it ${last}`];
  });
}

/** The Run at the beginning of a chain of forks. */
function originalOf(one: Case, run: Named<Run>): Named<Run> {
  const forked = one.runs.find(({ metadata }) => metadata.name === run.spec.fork?.run);
  return forked ? originalOf(one, forked) : run;
}
