import { describe, expect, test } from '@jest/globals';
import { compileWorkflow } from './compile-workflow.ts';

const value = (name: string, expression: unknown, more: object = {}) => ({ name, value: expression, ...more });
const object = { type: 'object', additionalProperties: false };
const form = { schema: { ...object, properties: { score: { type: 'integer' } } } };

/** What is said of an expression that uses the output of `step`. */
const complaint = (step: object, expression: string): string | undefined => {
  const spec = { steps: [{ name: 'a', ...step }, value('b', expression)] };
  const compiled = compileWorkflow(spec, 'x', (name) =>
    name === 'known' ? { output: { kind: 'number' } } : undefined,
  );
  if (!('problems' in compiled)) return undefined;
  expect(compiled.problems.map(({ path }) => path)).toEqual(['steps[1].value']);
  return compiled.problems[0]?.message;
};

describe('of the output of a step it is known before the run', () => {
  test.each<[string, object, string, RegExp]>([
    ['which fields a value has', { value: { title: 'x' } }, '$(steps.a.output.titel)', /did you mean title/],
    ['what kind a field is', { value: { title: 'x' } }, '$(steps.a.output.title * 2)', /a text \* a number/],
    ['that a text with expressions inside is a text', { value: 'n: $(input)' }, '$(steps.a.output * 2)', /a text/],
    [
      'what a program leaves',
      { code: { language: 'python', source: 'pass' } },
      '$(steps.a.output.reslt)',
      /did you mean result/,
    ],
    [
      'that what it prints is a text',
      { code: { language: 'shell', source: ':' } },
      '$(steps.a.output.stdout * 2)',
      /a text/,
    ],
    ['what an expression gives', { value: '$(size(input))' }, '$(steps.a.output + "x")', /a number \+ a text/],
    [
      'that forEach gives a list',
      { value: 1, forEach: { items: '$(input)' } },
      '$(steps.a.output + 1)',
      /a list \+ a number/,
    ],
    ['of what', { value: 1, forEach: { items: '$(input)' } }, '$(steps.a.output[0].x)', /a number has no field/],
    [
      'that of a group',
      { steps: [value('c', 1)], output: { n: '$(steps.c.output)' } },
      '$(steps.a.output.m)',
      /there is: n/,
    ],
    ['that of the last step of a group', { steps: [value('c', 1)] }, '$(steps.a.output.m)', /a number has no field/],
    [
      'that of a race whose racers agree',
      { race: [value('c', 1), value('d', 2)] },
      '$(steps.a.output.m)',
      /a number has/,
    ],
    [
      'that of a step and its fallback',
      { value: 1, onError: { fallback: [value('c', 2)] } },
      '$(steps.a.output.m)',
      /a number/,
    ],
    ['who may win a race', { race: [value('c', 1), value('d', 2)] }, '$(steps.a.winner == "e")', /never "e".*c, d/],
    ['that nothing else has a winner', { value: 1 }, '$(steps.a.winner)', /only a race has a winner/],
    ['that a wait gives nothing', { wait: { for: '1s' } }, '$(steps.a.output.x)', /null has no field/],
    ['what an approval gives', { approval: { message: 'x' } }, '$(steps.a.output.aproved)', /did you mean approved/],
    [
      'what its form asks for',
      { approval: { message: 'x', form } },
      '$(steps.a.output.answer.skore)',
      /did you mean score/,
    ],
    [
      'also when time may approve',
      { approval: { message: 'x', form, onTimeout: 'approve' } },
      '$(steps.a.output.answer.x)',
      /there is: score/,
    ],
    [
      'what fields it has if there is any',
      { value: { n: 1 }, when: '$(input.ok)' },
      '$(steps.a.output.m)',
      /there is: n/,
    ],
    [
      'that of a workflow that is known',
      { workflow: { name: 'known' } },
      '$(steps.a.output.x)',
      /a number has no field/,
    ],
    [
      'the fields of a failure',
      { value: 1, onError: { continue: true } },
      '$(steps.a.failure.reasons)',
      /did you mean reason/,
    ],
  ])('%s', (_, step, expression, message) => {
    expect(complaint(step, expression)).toMatch(message);
  });

  test.each<[string, object, RegExp]>([
    [
      'what the elements of a list are',
      { value: '$(x * 2)', forEach: { items: ['t'], as: 'x' } },
      /a text \* a number/,
    ],
    [
      'that a racer which is over has lost',
      { race: [value('c', 1), value('d', '$(steps.c.output.x)', { needs: ['c'] })] },
      /null has no field/,
    ],
  ])('%s', (_, step, message) => {
    expect(compileWorkflow({ steps: [{ name: 'a', ...step }] }, 'x')).toMatchObject({
      problems: [{ message: expect.stringMatching(message) as unknown }],
    });
  });

  test.each<[string, object, string]>([
    ['what an agent gives', { agent: { name: 'x', prompt: 'x' } }, '$(steps.a.output.x * 2)'],
    ['what an unknown workflow gives', { workflow: { name: 'other' } }, '$(steps.a.output.x)'],
    [
      'whether a step with when has run',
      { value: 1, when: '$(input.ok)' },
      '$(steps.a.output == null ? 0 : steps.a.output + 1)',
    ],
    ['whether a step that may fail has', { value: 'x', onError: { continue: true } }, '$(steps.a.output == null)'],
    ['what racers of different kinds give', { race: [value('c', 1), value('d', 'x')] }, '$(steps.a.output + 1)'],
    [
      'whether elements have failed',
      { value: 1, forEach: { items: [1] }, onError: { continue: true } },
      '$(steps.a.output.filter(x, x != null))',
    ],
    [
      'whether elements were waited for',
      { value: 1, forEach: { items: [1], until: '$(size(outputs) > 0)' } },
      '$(steps.a.output.all(x, x == null))',
    ],
    ['who wins', { race: [value('c', 1), value('d', 2)] }, '$(steps.a.winner == "c" || steps.a.winner == null)'],
    ['what a payload is', { wait: { event: { name: 'x' } } }, '$(steps.a.output.x.y)'],
  ])('but not %s', (_, step, expression) => {
    expect(complaint(step, expression)).toBeUndefined();
  });
});

test('values that double with each step do not double the work', () => {
  const chain = (name: string) =>
    Array.from({ length: 60 }, (_, i) => {
      const before = `$(steps.${name}${i - 1}.output)`;
      return value(`${name}${i}`, i === 0 ? 1 : { a: before, b: [before], c: before });
    });
  const steps = [...chain('x'), ...chain('y'), value('z', '$(input ? steps.x59.output : steps.y59.output)')];
  expect(compileWorkflow({ steps, output: '$(steps.z.output.d)' }, 'x')).toEqual({
    problems: [{ path: 'output', message: "there is no field 'd'; there are: a, b, c" }],
  });
});
