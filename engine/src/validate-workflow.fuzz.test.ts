import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { calledWorkflows } from './core/compile/walk.ts';
import { isRecord } from './core/expression/types.ts';
import { validateWorkflow } from './validate-workflow.ts';

const word = fc.constantFrom('a', 'b', 'c', 'finally', 'x y', '', 'item');
const expression = fc.constantFrom(
  '$(input)',
  '$(steps.a.output)',
  '$(steps.b.output.x > 1)',
  '$(true)',
  '$(false)',
  '$(round > 2 || output == 1)',
  '$(outputs)',
  '$(item + index)',
  '$(',
  '$$(x)',
  'text',
  '$(steps)',
);
const junk = fc.oneof(fc.jsonValue({ maxDepth: 3 }), fc.constantFrom(null, [], {}, 0, -1, 1e9, true, '__proto__'));
/** What belongs there, most of the time. */
const mostly = (sound: fc.Arbitrary<unknown>) =>
  fc.oneof({ arbitrary: sound, weight: 6 }, { arbitrary: junk, weight: 1 });
const some = (fields: Record<string, fc.Arbitrary<unknown>>) => mostly(fc.record(fields, { requiredKeys: [] }));
const length = mostly(fc.constantFrom('1s', '5m', '0s', '2h', '9999d'));
const schema = mostly(
  fc.constantFrom(
    { type: 'object', properties: { x: { type: 'integer', default: 'y' } }, additionalProperties: false },
    { type: 'nonsense' },
    { type: 'string', default: 1 },
  ),
);
const step = (steps: fc.Arbitrary<unknown>) =>
  some({
    name: mostly(word),
    needs: mostly(fc.array(word, { maxLength: 3 })),
    when: mostly(expression),
    forEach: some({ items: mostly(fc.array(fc.integer())), as: mostly(word), until: mostly(expression) }),
    repeat: some({ until: mostly(expression), max: mostly(fc.integer({ min: -1, max: 4 })), onMax: mostly(word) }),
    retry: some({ limit: mostly(fc.nat(3)), backoff: some({ initial: length, max: length }) }),
    timeout: length,
    onError: some({ continue: mostly(fc.boolean()), fallback: steps }),
    cache: some({ key: mostly(expression), ttl: length }),
    agent: some({ name: mostly(word), prompt: mostly(expression) }),
    container: some({
      image: mostly(word),
      env: mostly(fc.array(some({ name: mostly(word), value: mostly(expression) }))),
      resources: some({ requests: mostly(fc.constant({ 'nvidia.com/gpu': '1' })) }),
    }),
    value: mostly(expression),
    steps,
    race: steps,
    workflow: some({ name: mostly(word), input: mostly(expression) }),
    wait: some({
      for: length,
      until: mostly(expression),
      event: some({ name: mostly(word), filter: mostly(expression) }),
    }),
    approval: some({ message: mostly(expression), timeout: length, form: some({ schema }) }),
    output: mostly(expression),
    agnet: junk,
  });
const { steps } = fc.letrec<{ steps: unknown }>((tie) => ({
  steps: mostly(fc.array(step(fc.option(tie('steps'), { nil: undefined, depthSize: 'small' })), { maxLength: 4 })),
}));
const workflow = some({
  input: some({ schema }),
  steps,
  finally: steps,
  output: mostly(expression),
  limits: some({ duration: length, costUsd: mostly(word) }),
  concurrency: some({ key: mostly(expression) }),
});

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

test('whatever the spec, all mistakes lead to a field of it, and nothing is thrown', () => {
  fc.assert(
    fc.property(workflow, fc.dictionary(word, workflow, { maxKeys: 2 }), (spec, workflows) => {
      for (const { path, message } of validateWorkflow(spec, { workflows })) {
        expect(message).not.toBe('');
        expect([path, leadsSomewhere({ spec }, path)]).toEqual([path, true]);
      }
    }),
    { numRuns: 500 },
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
