import { describe, expect, test } from '@jest/globals';
import { calledWorkflows } from './core/compile/walk.ts';
import { validateWorkflow } from './validate-workflow.ts';

describe('of the workflows that steps call', () => {
  const call = (name: string, input?: unknown, more: object = {}) => ({
    steps: [{ name: 'a', workflow: { name, ...(input !== undefined && { input }) }, ...more }],
  });
  const schema = {
    type: 'object',
    required: ['topic'],
    additionalProperties: false,
    properties: { topic: { type: 'string' }, list: { type: 'array', items: { type: 'number' } } },
  };
  const workflows = {
    article: { input: { schema }, steps: [{ name: 'x', value: { title: '$(input.topic)' } }] },
    free: { steps: [{ name: 'x', value: '$(input)' }] },
    broken: { steps: [{ name: 'x', value: '$(nope)' }] },
    again: call('again'),
    ping: { steps: [{ name: 'x', workflow: { name: 'pong', input: 1 } }] },
    pong: { steps: [{ name: 'x', workflow: { name: 'ping' }, when: '$(input.n > 1)' }] },
  };

  test.each<[string, unknown]>([
    ['one whose input fits', call('article', { topic: 'x', list: [1] })],
    ['one whose input may fit', call('article', '$(input)')],
    ['one whose fields may fit', call('article', { topic: '$(input.topic)', list: '$(input.list)' })],
    ['one without a schema', call('free')],
    ['one that calls itself', call('again')],
    ['some that call each other', call('ping')],
  ])('nothing is wrong with %s', (_, spec) => {
    expect(validateWorkflow(spec, { workflows })).toEqual([]);
  });

  test.each<[string, unknown, string, RegExp]>([
    ['one that is not there', call('artcle', {}), 'workflow.name', /no Workflow artcle: did you mean article\?/],
    ['one called like a method of objects', call('to-string'), 'workflow.name', /no Workflow to-string; there are/],
    [
      'one with a mistake',
      call('broken'),
      'workflow.name',
      /broken has a mistake itself: spec.steps\[0\].value: .*nope/,
    ],
    ['an input that is missing', call('article'), 'workflow', /article does not take no input: input must be object/],
    ['a literal that does not fit', call('article', { topic: 1 }), 'workflow.input', /input.topic must be string/],
    [
      'an expression of another kind',
      call('article', '$(size(input))'),
      'workflow.input',
      /takes an object here, not a number/,
    ],
    [
      'a field of another kind',
      call('article', { topic: '$(1 + 1)' }),
      'workflow.input.topic',
      /takes a text here, not a number/,
    ],
    [
      'elements of another kind',
      call('article', { topic: '$(input)', list: ['x$(input)'] }),
      'workflow.input.list',
      /takes a number here/,
    ],
    ['a field too few', call('article', { list: '$(input)' }), 'workflow.input', /takes a field topic here: add it/],
    [
      'a field too many',
      call('article', { topic: '$(input)', lisst: 1 }),
      'workflow.input.lisst',
      /no field lisst: did you mean list/,
    ],
  ])('it is reported: %s', (_, spec, path, message) => {
    expect(validateWorkflow(spec, { workflows })).toEqual([
      { path: `spec.steps[0].${path}`, message: expect.stringMatching(message) as unknown },
    ]);
  });

  test('the output is known', () => {
    const spec = { ...call('article', { topic: 'x' }), output: '$(steps.a.output.titel)' };
    expect(validateWorkflow(spec, { workflows })).toEqual([
      { path: 'spec.output', message: "there is no field 'titel': did you mean title?" },
    ]);
  });

  test('a chain of thousands is followed as far as a run would', () => {
    const chain = Object.fromEntries(
      Array.from({ length: 5000 }, (_, i) => [
        `w${i}`,
        i === 4999 ? { steps: [{ name: 'x', value: 1 }] } : call(`w${i + 1}`),
      ]),
    );
    expect(validateWorkflow(call('w0'), { workflows: chain })).toEqual([]);
  });

  test('the names are known, on all levels', () => {
    const inner = (name: string, workflow: string) => [{ name, workflow: { name: workflow } }];
    expect(
      calledWorkflows({
        steps: [
          { name: 'a', steps: inner('b', 'w1') },
          { name: 'c', race: inner('d', 'w2'), onError: { fallback: inner('e', 'w3') } },
          { name: 'f', workflow: { name: 'w1' } },
        ],
        finally: inner('g', 'w4'),
      }),
    ).toEqual(['w1', 'w2', 'w3', 'w4']);
  });
});
