import { describe, expect, test } from '@jest/globals';
import { compileWorkflow } from './compile-workflow.ts';

const problemsOf = (spec: unknown) => {
  const compiled = compileWorkflow(spec, 'x');
  return 'problems' in compiled ? compiled.problems : [];
};
const value = (name: string, expression: string, more: object = {}) => ({ name, value: expression, ...more });
const group = (name: string, steps: object[], more: object = {}) => ({ name, steps, ...more });
const race = (name: string, steps: object[], more: object = {}) => ({ name, race: steps, ...more });

describe('an expression sees', () => {
  test.each<[string, object]>([
    [
      'steps above, through all levels',
      { steps: [value('a', '1'), group('g', [group('h', [value('b', '$(steps.a.output)')])])] },
    ],
    ['steps of its own group', { steps: [group('g', [value('a', '1'), value('b', '$(steps.a.output)')])] }],
    ['a group as a whole', { steps: [group('g', [value('a', '1')]), value('b', '$(steps.g.output)')] }],
    [
      'the steps inside, in the output of their group',
      { steps: [group('g', [value('a', '1'), value('b', '2')], { output: '$(steps.a.output) $(steps.b.output)' })] },
    ],
    [
      'the steps inside, in repeat.until of their group',
      { steps: [group('g', [value('a', '1')], { repeat: { max: 3, until: '$(steps.a.output == "2")' } })] },
    ],
    [
      'the round and what the one before gave, in a loop',
      { steps: [group('g', [value('a', '$(round) $(previous)')], { repeat: { max: 3 } })] },
    ],
    [
      'the elements of the loops around it',
      {
        steps: [
          group('g', [value('b', '$(row) $(cell) $(index)', { forEach: { items: '$(row)', as: 'cell' } })], {
            forEach: { items: '$(input)', as: 'row' },
          }),
        ],
      },
    ],
    [
      'the element, in the fallback',
      {
        steps: [
          value('a', '$(x)', {
            forEach: { items: [1], as: 'x' },
            onError: { fallback: [value('b', '$(x) $(index)')] },
          }),
        ],
      },
    ],
    [
      'why a step failed that may fail',
      {
        steps: [
          value('a', '1', { onError: { continue: true } }),
          value('b', '$(steps.a.failure.reason)', { when: '$(steps.a.phase == "Failed")' }),
        ],
      },
    ],
    [
      'in finally all steps of the workflow, and how it ended',
      {
        steps: [value('a', '1'), value('b', '2')],
        finally: [value('c', '$(steps.a.output) $(run.phase) $(run.failure.reason)'), value('d', '$(steps.c.output)')],
      },
    ],
    [
      'a step of a race that is over, if it needs it',
      { steps: [race('r', [value('a', '1'), value('b', '$(steps.a.failure.message)', { needs: ['a'] })])] },
    ],
    [
      'a name with dashes, written with underscores',
      { steps: [value('fact-check', '1'), value('b', '$(steps.fact_check.output)')] },
    ],
  ])('%s', (_, spec) => {
    expect(problemsOf(spec)).toEqual([]);
  });
});

describe('an expression does not see', () => {
  test.each<[string, object, string, RegExp]>([
    [
      'a step inside a group',
      {
        steps: [
          group('draft', [value('write', '1'), value('review', '2'), value('last', '3')]),
          value('b', '$(steps.review.output)'),
        ],
      },
      'steps[1].value',
      /^review is inside draft: refer to steps.draft.output, and give draft an output such as \$\(steps.review.output\)$/,
    ],
    [
      'the last step inside a group, which gives its output already',
      { steps: [group('draft', [value('write', '1')]), value('b', '$(steps.write.output)')] },
      'steps[1].value',
      /^write is inside draft: refer to steps.draft.output$/,
    ],
    [
      'a step two levels down',
      {
        steps: [group('my-draft', [group('inner', [value('write', '1')])]), value('b', '$(steps.write.output)')],
      },
      'steps[1].value',
      /^write is inside inner: refer to steps\['my-draft'\].output$/,
    ],
    [
      'a step inside a group that is not over',
      { steps: [value('b', '$(steps.write.output)'), group('draft', [value('write', '1')], { needs: [] })] },
      'steps[0].value',
      /write is inside draft: refer to steps.draft.output once draft is over/,
    ],
    [
      'a racer',
      { steps: [race('fast', [value('a', '1'), value('b', '1')]), value('c', '$(steps.a.output)')] },
      'steps[1].value',
      /a is inside the race fast: refer to steps.fast.output/,
    ],
    [
      'another racer',
      { steps: [race('fast', [value('a', '1'), value('b', '$(steps.a.output)')])] },
      'steps[0].race[1].value',
      /a isn't there yet when b starts: add a to its needs/,
    ],
    [
      'a step of a fallback',
      { steps: [value('a', '1', { onError: { fallback: [value('b', '1')] } }), value('c', '$(steps.b.output)')] },
      'steps[1].value',
      /b is in the fallback of a: refer to steps.a.output/,
    ],
    [
      'what the step itself has made, in its fallback: there is nothing',
      { steps: [value('a', '1', { onError: { fallback: [value('b', '$(steps.a.output.x)')] } })] },
      'steps[0].onError.fallback[0].value',
      /null/,
    ],
    [
      'the steps inside the one that failed, in its fallback',
      { steps: [group('g', [value('a', '1')], { onError: { fallback: [value('b', '$(steps.a.output)')] } })] },
      'steps[0].onError.fallback[0].value',
      /a is inside g, whose steps are not seen from here/,
    ],
    [
      'the group around it',
      { steps: [group('g', [value('a', '$(steps.g.output)')])] },
      'steps[0].steps[0].value',
      /g is around this step and not over yet; with repeat, previous/,
    ],
    [
      'a step that the group around it does not wait for',
      { steps: [value('a', '1'), group('g', [value('b', '$(steps.a.output)')], { needs: [] })] },
      'steps[1].steps[0].value',
      /a isn't there yet when g starts: add a to the needs of g/,
    ],
    [
      'a step that the group around it comes before',
      { steps: [group('g', [value('b', '$(steps.a.output)')]), value('a', '1')] },
      'steps[0].steps[0].value',
      /because a comes after g: move a above g/,
    ],
    [
      'a step of finally, before it',
      { steps: [value('a', '$(steps.b.output)')], finally: [value('b', '1')] },
      'steps[0].value',
      /b is a step of finally, which comes last/,
    ],
    [
      'how the run ends, before it has',
      { steps: [value('a', '$(run.phase)')] },
      'steps[0].value',
      /run.phase is known in finally only/,
    ],
    [
      'the round, outside the loop',
      { steps: [value('a', '1', { repeat: { max: 2 }, onError: { fallback: [value('b', '$(round)')] } })] },
      'steps[0].onError.fallback[0].value',
      /round is known inside a step with repeat only/,
    ],
    [
      'the output of the round, inside it',
      { steps: [value('a', '$(output)', { repeat: { max: 2 } })] },
      'steps[0].value',
      /output is known in repeat.until only/,
    ],
    [
      'the outputs so far, inside an element',
      { steps: [value('a', '$(outputs)', { forEach: { items: [1] } })] },
      'steps[0].value',
      /outputs is known in forEach.until only/,
    ],
    [
      'the element, in forEach.until',
      { steps: [value('a', '1', { forEach: { items: [1], as: 'x', until: '$(x == outputs[0])' } })] },
      'steps[0].forEach.until',
      /no variable x/,
    ],
    [
      'an event, outside the filter',
      { steps: [{ name: 'a', wait: { event: { name: 'paid' } } }, value('b', '$(event.id)')] },
      'steps[1].value',
      /event is known in wait.event.filter only/,
    ],
    [
      'any step, in the key of the queue',
      { steps: [value('a', '1')], concurrency: { key: '$(steps.a.output)' } },
      'concurrency.key',
      /no step has run yet/,
    ],
  ])('%s', (_, spec, path, message) => {
    expect(problemsOf(spec)).toEqual([{ path, message: expect.stringMatching(message) as unknown }]);
  });
});
