// The suite as tests, for one kind of target.
import { describe, expect, test } from '@jest/globals';
import type { Run } from '@kadre/crds';
import type { Case, Expected, Named } from './case.ts';
import { broken } from './invariants.ts';
import { history, stepEvent } from './log.ts';
import { workflowOf } from './local/submission.ts';
import { play } from './play.ts';
import type { StartTarget, Target } from './target.ts';

export function describeConformance(title: string, cases: readonly Case[], start: StartTarget): void {
  describe(title, () => {
    test.each(cases.map((one) => [one.name, one] as const))('%s', async (_name, one) => {
      const target = await start(one);
      try {
        await play(one, target);
        for (const run of one.runs) await check(one, run, target);
      } finally {
        await target.close();
      }
    });
  });
}

async function check(one: Case, run: Named<Run>, target: Target): Promise<void> {
  const { name } = run.metadata;
  const expected = one.expected[name];
  if (!expected) throw new Error(`expected.yaml says nothing about run ${name}`);
  expect({ [name]: await ending(name, target) }).toEqual({ [name]: endingIn(expected) });
  const { message } = (await target.failure(name)) ?? {};
  if (expected.message !== undefined) expect(message).toContain(expected.message);
  const events = await target.log(name);
  if (!events) return;

  const { run: words, steps } = history(events);
  expect({ [name]: { run: words, ...(expected.steps && { steps }) } }).toEqual({
    [name]: { run: expected.run, ...(expected.steps && { steps: expected.steps }) },
  });
  const outputs = new Map(events.map((event) => stepEvent(event)).map((event) => [event?.step, event?.output]));
  for (const [step, output] of Object.entries(expected.outputs ?? {}))
    expect({ [step]: outputs.get(step) }).toEqual({ [step]: output });

  const workflow = workflowOf(one, run) ?? workflowOf(one, originalOf(one, run));
  if (!workflow) throw new Error(`run ${name} names no workflow of this folder`);
  expect(broken(one, workflow, events)).toEqual([]);
  expect(wrongCalls(target.asked(name) ?? {}, events)).toEqual([]);
}

/** The work of each attempt that an agent ended was done once, whoever asked for it how often. */
function wrongCalls(asked: Record<string, number>, events: Parameters<typeof history>[0]): string[] {
  const byService = new Set<string>();
  return events.flatMap((event) => {
    const about = stepEvent(event);
    if (!about) return [];
    const name = `${about.step}/${about.attempt}`;
    if (about.word === 'service') byService.add(name);
    const calls = asked[name] ?? 0;
    // A checked answer that does not fit is asked for once more.
    const allowed = about.word.startsWith('failed InvalidOutput')
      ? [2]
      : about.word.startsWith('succeeded')
        ? [1]
        : [0, 1];
    const over = byService.has(name) && /^(succeeded|failed|cancelled)/.test(about.word);
    return over && !allowed.includes(calls)
      ? [`the model was asked ${calls} times for ${name}, which ${about.word}`]
      : [];
  });
}

async function ending(run: string, target: Target) {
  const { phase, output } = (await target.status(run)) ?? {};
  return { phase, failure: (await target.failure(run))?.reason, output };
}

function endingIn({ phase, failure, output }: Expected) {
  return { phase, failure, output };
}

/** The Run at the beginning of a chain of forks. */
function originalOf(one: Case, run: Named<Run>): Named<Run> {
  const forked = one.runs.find(({ metadata }) => metadata.name === run.spec.fork?.run);
  return forked ? originalOf(one, forked) : run;
}
