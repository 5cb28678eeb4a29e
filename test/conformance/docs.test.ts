// docs/workflows.md says what is true: each example is run, and each table names all that there is.
import { describe, expect, test } from '@jest/globals';
import { failureReasons, runPhases, stepPhases } from '@kadre/crds';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { functions, methods } from '../../engine/src/core/expression/functions.ts';
import { stepEvent } from './support/log.ts';
import { examplesOf } from './support/examples.ts';
import { openFresh } from './support/local/fresh-sqlite.ts';
import { startLocal } from './support/local/target.ts';
import { play } from './support/play.ts';

const markdown = readFileSync(join(import.meta.dirname, '..', '..', 'docs', 'workflows.md'), 'utf8');

describe('an example of docs/workflows.md', () => {
  test.each(examplesOf(markdown).map((example) => [example.title, example] as const))('%s', async (_title, example) => {
    const { one, run, ending, outputs } = example;
    const target = await startLocal(one, openFresh, 'never');
    try {
      await play(one, target);
      const { phase, output } = (await target.status(run)) ?? {};
      expect({ phase, output, failure: (await target.failure(run))?.reason }).toEqual({
        output: undefined,
        failure: undefined,
        ...ending,
      });
      const events = ((await target.log(run)) ?? []).map((event) => stepEvent(event));
      for (const [step, expected] of Object.entries(outputs))
        expect({ [step]: events.find((event) => event?.step === step)?.output }).toEqual({ [step]: expected });
    } finally {
      await target.close();
    }
  });
});

describe('docs/workflows.md names', () => {
  test.each([
    ['reason', failureReasons],
    ['phase of a run', runPhases],
    ['phase of a step', stepPhases],
    ['function', [...functions.keys(), ...methods.keys()].filter((name) => !['dyn', 'bool'].includes(name))],
  ])('every %s', (_what, names) => {
    expect(names.filter((name) => !new RegExp(`\`${name}\\b`).test(markdown))).toEqual([]);
  });
});
