// The suite is worth what its checks notice.
import { describe, expect, test } from '@jest/globals';
import type { WorkflowSpec } from '@kadre/crds';
import { broken } from './support/invariants.ts';
import type { LoggedEvent } from './support/log.ts';

const value = (name: string, more: object = {}) => ({ name, value: 1, ...more });
const workflow = {
  steps: [
    value('plan'),
    {
      name: 'work',
      forEach: { items: [1, 2, 3], as: 'item', parallelism: 2 },
      steps: [value('one'), value('two')],
      onError: { fallback: [value('instead')] },
    },
    value('aside', { needs: [] }),
    value('end', { needs: ['work', 'aside'] }),
  ],
} as WorkflowSpec;
const one = { name: '', workflows: [], agents: [], models: [], tools: [], runs: [], script: [], expected: {} };

/** `step` starts, `step!` succeeds, `step?` fails with a fallback to come; each in its first attempt. */
function log(...words: string[]): LoggedEvent[] {
  const events = words.map((word) => {
    const step = word.replace(/[!?]$/, '');
    if (word.endsWith('!')) return { type: 'StepSucceeded', data: { step, attempt: 1 } };
    if (word.endsWith('?'))
      return { type: 'StepFailed', data: { step, attempt: 1, failure: { reason: 'TimedOut' }, then: 'fallback' } };
    return { type: 'StepStarted', data: { step, attempt: 1, route: { kind: 'inline' } } };
  });
  return [{ type: 'RunStarted', data: {} }, ...events, { type: 'RunSucceeded', data: {} }];
}

const inside = (index: number) => [`work[${index}]`, `work[${index}].one!`, `work[${index}].two!`, `work[${index}]!`];
const sound = ['plan!', 'aside!', ...inside(0), ...inside(1), ...inside(2), 'end!'];

test('nothing is wrong with a sound log, with or without a fallback', () => {
  expect(broken(one, workflow, log(...sound))).toEqual([]);
  const fallback = ['work[0]', 'work[0].one!', 'work[0]?', 'work[0].fallback.instead!', 'work[0]!'];
  expect(broken(one, workflow, log('plan!', ...fallback, 'aside!', 'end!'))).toEqual([]);
});

describe('is noticed:', () => {
  test.each<[string, LoggedEvent[], RegExp]>([
    ['a run without an end', log(...sound).slice(0, -1), /does not end once/],
    ['a run with two ends', [...log(...sound), ...log().slice(1)], /does not end once/],
    ['a step that never ends', log('plan', 'aside!', ...inside(0), 'end!'), /plan\/1 does not start and end once/],
    ['an outcome that is recorded twice', log('plan!', 'plan!', ...sound.slice(1)), /plan\/1 does not start and end/],
    ['a start that is recorded twice', log('plan', 'plan', 'plan!', ...sound.slice(1)), /plan\/1 does not start/],
    ['a step before its turn', log(...inside(0), 'plan!', 'aside!', 'end!'), /work begins before plan is over/],
    ['a step whose need was never done', log('plan!', ...inside(0), 'end!'), /end begins before aside is over/],
    [
      'a step inside before its turn',
      log('plan!', 'aside!', 'work[0]', 'work[0].two!', 'work[0].one!', 'work[0]!', 'end!'),
      /work\[0\]\.two begins before work\[0\]\.one is over/,
    ],
    [
      'too many elements at once',
      log('plan!', 'aside!', 'work[0]', 'work[1]', 'work[2]', 'work[0]!', 'work[1]!', 'work[2]!', 'end!'),
      /work has 3 elements at work, 2 are allowed/,
    ],
    ['a step that nobody knows', log('stranger!', ...sound), /no step stranger/],
  ])('%s', (_what, events, problem) => {
    expect(broken(one, workflow, events).join('\n')).toMatch(problem);
  });
});
