import { describe, expect, test } from '@jest/globals';
import { compileWorkflow } from './compile-workflow.ts';

const problemsOf = (spec: unknown) => {
  const compiled = compileWorkflow(spec, 'x');
  return 'problems' in compiled ? compiled.problems : [];
};
const ask = { agent: { name: 'writer', prompt: 'x' } };

describe('a step is reported that can never run, because one before it always fails:', () => {
  const no = { name: 'no', fail: 'no' };
  const after = { name: 'after', ...ask };
  test.each<[string, object]>([
    ['it gives up', no],
    [
      'it is a group that gives up',
      {
        name: 'no',
        steps: [
          { name: 'a', ...ask },
          { name: 'b', fail: 'x' },
        ],
      },
    ],
    [
      'it is a race that none can win',
      {
        name: 'no',
        race: [
          { name: 'a', fail: 'x' },
          { name: 'b', fail: 'x' },
        ],
      },
    ],
    ['its fallback gives up, too', { ...no, onError: { fallback: [{ name: 'a', fail: 'x' }] } }],
  ])('%s', (_, step) => {
    expect(problemsOf({ steps: [step, after] })).toEqual([
      {
        path: 'steps[1]',
        message: expect.stringMatching(/because no always fails before it: give no a condition/) as unknown,
      },
    ]);
  });

  test.each<[string, object]>([
    ['it gives up under a condition', { ...no, when: '$(input.bad)' }],
    ['it is tolerated', { ...no, onError: { continue: true } }],
    ['it has a way out', { ...no, onError: { fallback: [{ name: 'a', ...ask }] } }],
    [
      'another one may win',
      {
        name: 'no',
        race: [
          { name: 'a', fail: 'x' },
          { name: 'b', ...ask },
        ],
      },
    ],
    ['it gives up for each element, if there is any', { ...no, forEach: { items: '$(input)' } }],
  ])('but not if %s', (_, step) => {
    expect(problemsOf({ steps: [step, after] })).toEqual([]);
  });

  test('nor in a race, where the next one has its turn', () => {
    expect(problemsOf({ steps: [{ name: 'r', race: [no, { ...after, needs: ['no'] }] }] })).toEqual([]);
  });
});
