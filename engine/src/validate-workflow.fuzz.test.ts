import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { calledWorkflows } from './core/compile/walk.ts';
import { isRecord } from './core/expression/types.ts';
import { validateWorkflow } from './validate-workflow.ts';

const word = fc.constantFrom('a', 'b', 'c', 'd', 'e', 'finally', 'item');
const expression = fc.constantFrom(
  '$(input)',
  '$(steps.a.output)',
  '$(steps.b.output.x > 1)',
  '$(steps.c.failure == null)',
  '$(true)',
  '$(false)',
  '$(round > 2 || output == 1)',
  '$(size(outputs) > 1)',
  '$(item + index)',
  '$(',
  '$$(x)',
  'text',
  '$(steps)',
);
const junk = fc.oneof(fc.jsonValue({ maxDepth: 3 }), fc.constantFrom(null, [], {}, 0, -1, 1e9, true, '__proto__'));
const schema = fc.constantFrom(
  {},
  { type: 'string' },
  { type: 'object', properties: { x: { type: 'integer', default: 'y' } }, additionalProperties: false },
  { type: 'nonsense' },
  { type: 'string', default: 1 },
);
const length = fc.constantFrom('1s', '5m', '0s', '2h', '9999d');

type Wrap = (sound: fc.Arbitrary<unknown>) => fc.Arbitrary<unknown>;

/** Workflows with fields that pass through `wrap`. */
function workflowOf(wrap: Wrap, ...required: string[]): fc.Arbitrary<unknown> {
  const some = (fields: Record<string, fc.Arbitrary<unknown>>) => {
    const wrapped = Object.entries(fields).map(([name, field]) => [name, wrap(field)] as const);
    const requiredKeys = required.filter((name) => name in fields);
    return fc.record(Object.fromEntries(wrapped), { requiredKeys });
  };
  const step = (steps: fc.Arbitrary<unknown>) =>
    some({
      name: word,
      needs: fc.array(word, { maxLength: 3 }),
      when: expression,
      forEach: some({ items: fc.oneof(fc.array(fc.integer()), expression), as: word, until: expression }),
      repeat: some({
        until: expression,
        max: fc.integer({ min: 1, max: 4 }),
        onMax: fc.constantFrom('fail', 'continue'),
      }),
      retry: some({ limit: fc.nat(3), backoff: some({ initial: length, max: length }) }),
      timeout: length,
      onError: some({ continue: fc.boolean(), fallback: steps }),
      cache: some({ key: expression, ttl: length }),
      agent: some({ name: word, prompt: expression }),
      container: some({
        image: word,
        env: fc.array(some({ name: word, value: expression })),
        resources: some({ requests: fc.constant({ 'nvidia.com/gpu': '1' }) }),
      }),
      value: expression,
      steps,
      race: steps,
      workflow: some({ name: word, input: fc.oneof(expression, fc.record({ x: expression, y: fc.integer() })) }),
      wait: some({ for: length, until: expression, event: some({ name: word, filter: expression }) }),
      approval: some({ message: expression, timeout: length, form: some({ schema }) }),
      output: expression,
      fail: expression,
    });
  const stepsOf = (levels: number): fc.Arbitrary<unknown> => {
    const inside = levels === 1 ? fc.constant([{ name: 'z', value: 1 }]) : stepsOf(levels - 1);
    return fc.array(step(inside), { minLength: 1, maxLength: 2 });
  };
  return some({
    input: some({ schema }),
    steps: stepsOf(2),
    finally: stepsOf(1),
    output: expression,
    limits: some({ duration: length, costUsd: fc.constant('5') }),
    concurrency: some({ key: expression }),
  });
}

/** Whether the rest of a path leads to a value, or at least to where it would be. */
function leadsSomewhere(value: unknown, rest: string): boolean {
  if (rest === '') return true;
  if (Array.isArray(value)) {
    const [head, index] = /^\[(\d+)\]/.exec(rest) ?? [];
    return (
      head !== undefined &&
      Number(index) < value.length &&
      leadsSomewhere(value[Number(index)], rest.slice(head.length))
    );
  }
  const name = rest.replace(/^\./, '');
  if (!isRecord(value)) return false;
  const inside = Object.keys(value).some(
    (key) => name.startsWith(key) && leadsSomewhere(value[key], name.slice(key.length)),
  );
  return inside || !/[.[]/.test(name);
}

const needed = ['name', 'items', 'max', 'limit', 'key', 'image', 'message', 'schema', 'steps', 'as', 'value'];

test.each([
  ['sound in each field', workflowOf((sound) => sound, ...needed)],
  [
    'broken here and there',
    workflowOf((sound) => fc.oneof({ arbitrary: sound, weight: 12 }, { arbitrary: junk, weight: 1 })),
  ],
])('of a workflow %s all mistakes lead to a field of it, and nothing is thrown', (_, workflow) => {
  fc.assert(
    fc.property(workflow, fc.dictionary(word, workflow, { maxKeys: 2 }), (spec, workflows) => {
      for (const { path, message } of validateWorkflow(spec, { workflows })) {
        expect(message).not.toBe('');
        expect([path, leadsSomewhere({ spec }, path)]).toEqual([path, true]);
      }
    }),
    { numRuns: 60 },
  );
});

test('rubbish never makes the check throw', () => {
  fc.assert(
    fc.property(fc.anything(), (spec) => {
      expect(Array.isArray(validateWorkflow(spec))).toBe(true);
      expect(Array.isArray(calledWorkflows(spec))).toBe(true);
    }),
  );
});

test.each([
  ['a value', (deep: unknown) => ({ steps: [{ name: 'a', value: deep }] })],
  ['a form', (deep: unknown) => ({ steps: [{ name: 'a', approval: { message: 'x', form: { schema: deep } } }] })],
  ['the input', (deep: unknown) => ({ input: { schema: deep }, steps: [{ name: 'a', value: 1 }] })],
  ['an unknown field', (deep: unknown) => ({ deep, steps: [{ name: 'a', value: 1 }] })],
  [
    'a known field',
    (deep: unknown) => ({ steps: [{ name: 'a', needs: deep, repeat: deep, race: deep, onError: deep }] }),
  ],
])('%s that nests ten thousand levels deep is refused', (_, specOf) => {
  let deep: unknown = 'x';
  for (let i = 0; i < 10_000; i++) deep = { items: deep };
  expect(validateWorkflow(specOf(deep))).not.toEqual([]);
});
