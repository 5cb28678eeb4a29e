import { describe, expect, test } from '@jest/globals';
import type { Values } from '../expression/node.ts';
import type { Plan } from '../plan.ts';
import { compileWorkflow } from './compile-workflow.ts';

const values: Values = { variable: (name) => `<${name}>`, step: (name, field) => `<${name}.${field}>` };

function planOf(spec: unknown): Plan {
  const compiled = compileWorkflow(spec, 'article');
  if ('plan' in compiled) return compiled.plan;
  throw new Error(JSON.stringify(compiled.problems));
}

const write = { agent: { name: 'writer', prompt: 'x' } };

describe('a plan', () => {
  test('has the order of each list, and what is inside does not wait for what is outside', () => {
    const { steps } = planOf({
      steps: [
        { name: 'a', ...write },
        {
          name: 'draft',
          steps: [
            { name: 'b', ...write },
            { name: 'c', ...write },
            { name: 'd', ...write, needs: ['b'] },
          ],
        },
        { name: 'e', ...write, needs: [] },
        { name: 'f', ...write, needs: ['a', 'e'] },
      ],
    });
    expect(steps.steps.map(({ name, needs, dependents }) => ({ name, needs, dependents }))).toEqual([
      { name: 'a', needs: [], dependents: [1, 3] },
      { name: 'draft', needs: [0], dependents: [] },
      { name: 'e', needs: [], dependents: [3] },
      { name: 'f', needs: [0, 2], dependents: [] },
    ]);
    expect([...steps.positions]).toEqual([
      ['a', 0],
      ['draft', 1],
      ['e', 2],
      ['f', 3],
    ]);
    expect(steps.steps[1]?.action).toMatchObject({
      kind: 'steps',
      block: { steps: [{ needs: [], dependents: [1, 2] }, { needs: [0] }, { needs: [0] }] },
    });
  });

  test('lets all steps of a race start at once, unless one needs another', () => {
    const { steps } = planOf({
      steps: [
        {
          name: 'r',
          race: [
            { name: 'a', ...write },
            { name: 'b', ...write },
            { name: 'c', ...write, needs: ['a'] },
          ],
        },
      ],
    });
    expect(steps.steps[0]?.action).toMatchObject({ block: { steps: [{ needs: [] }, { needs: [] }, { needs: [0] }] } });
  });

  test('knows the path of each step, and counts the steps that do the work, those of fallbacks left out', () => {
    const { steps, finally: last } = planOf({
      steps: [
        {
          name: 'draft',
          steps: [
            {
              name: 'one',
              race: [
                { name: 'a', ...write },
                { name: 'b', value: 1 },
              ],
            },
            { name: 'c', ...write, onError: { fallback: [{ name: 'd', ...write }] } },
          ],
        },
        { name: 'e', wait: { for: '5m' } },
      ],
      finally: [{ name: 'f', ...write }],
    });
    expect([steps.weight, steps.steps[0]?.weight, last?.weight]).toEqual([4, 3, 1]);
    expect(last?.steps[0]?.path).toBe('finally[0]');
    expect(steps.steps[0]?.action).toMatchObject({
      block: {
        steps: [
          { path: 'steps[0].steps[0]', action: { block: { steps: [{ path: 'steps[0].steps[0].race[0]' }, {}] } } },
          { onError: { fallback: { steps: [{ path: 'steps[0].steps[1].onError.fallback[0]' }] } } },
        ],
      },
    });
  });

  test('has what stands around the work of a step', () => {
    const { steps } = planOf({
      input: { schema: { type: 'object' } },
      steps: [
        {
          name: 'a',
          when: '$(input.ok)',
          forEach: { items: '$(input.list)', as: 'topic', parallelism: 3, until: '$(size(outputs) > 2)' },
          repeat: { until: '$(output == round)', max: 4, onMax: 'continue' },
          retry: { limit: 2, backoff: { initial: '1s', factor: 3, max: '1m' }, reasons: ['TimedOut'] },
          timeout: '2m',
          cache: { key: '$(topic)-$(index)-$(round)' },
          onError: { continue: true },
          agent: { name: 'writer', prompt: '$(topic) $(previous)' },
        },
        { name: 'b', ...write, repeat: { max: 3 } },
      ],
    });
    const [a, b] = steps.steps;
    expect(a).toMatchObject({
      forEach: { as: 'topic', parallelism: 3 },
      repeat: { max: 4, onMax: 'continue' },
      retry: { limit: 2, initial: 1000, factor: 3, max: 60_000, reasons: new Set(['TimedOut']) },
      timeout: 120_000,
      cache: { ttl: 86_400_000 },
      onError: 'continue',
    });
    expect(a?.cache?.key.evaluate(values)).toBe('<topic>-<index>-<round>');
    expect(a?.forEach?.until).toBeDefined();
    expect(b).toMatchObject({
      repeat: { max: 3, onMax: 'fail' },
      retry: { limit: 0, initial: 1000, factor: 2, max: 300_000 },
    });
    expect(b?.repeat?.until).toBeUndefined();
    expect(b).not.toHaveProperty('when');
  });

  test.each([
    ['value', { value: { a: '$(input)' } }, { kind: 'value' }],
    ['workflow', { workflow: { name: 'other', input: '$(input)' } }, { kind: 'workflow', name: 'other' }],
    ['a length of time', { wait: { for: '5m' } }, { kind: 'timer', duration: 300_000 }],
    ['a time', { wait: { until: '2030-01-31T12:00:00+01:00' } }, { kind: 'timer' }],
    ['an event', { wait: { event: { name: 'paid', filter: '$(event.id == 1)' } } }, { kind: 'event', name: 'paid' }],
    [
      'an approval',
      { approval: { groups: ['editors'], message: 'ok?', timeout: '1h' } },
      { kind: 'approval', approval: { groups: ['editors'], onTimeout: 'reject' }, timeout: 3_600_000 },
    ],
    [
      'a container',
      { container: { image: 'x', args: ['$(input)'] } },
      { kind: 'container', container: { image: 'x' } },
    ],
  ])('has the work of a step: %s', (_, work, action) => {
    expect(planOf({ steps: [{ name: 'a', ...work }] }).steps.steps[0]?.action).toMatchObject(action);
  });

  test('has the limits, and a bound for steps if none is set', () => {
    const steps = [{ name: 'a', ...write }];
    expect(planOf({ steps }).limits).toEqual({ steps: 100_000 });
    const limits = { duration: '2h', costUsd: '0.50', tokens: 1000, steps: 5 };
    expect(planOf({ steps, limits }).limits).toEqual({
      duration: 7_200_000,
      costNanoUsd: 500_000_000,
      tokens: 1000,
      steps: 5,
    });
  });

  test('has the queue of the run, its output, and what its input must be', () => {
    const schema = { type: 'object' };
    const plan = planOf({
      input: { schema },
      steps: [{ name: 'a', ...write }],
      output: { x: '$(steps.a.output)' },
      concurrency: { key: '$(input.customer)' },
    });
    expect(plan).toMatchObject({
      name: 'article',
      inputSchema: schema,
      concurrency: { limit: 1, onConflict: 'queue' },
    });
    expect(plan.output?.evaluate(values)).toEqual({ x: '<a.output>' });
    expect(planOf({ steps: [{ name: 'a', ...write }] })).not.toHaveProperty('output');
  });
});

/** Groups of 199 steps in a chain, each of which uses the one before. */
const chains = (groups: number) => ({
  steps: Array.from({ length: groups }, (_, group) => ({
    name: `g${group}`,
    steps: Array.from({ length: 199 }, (_, i) => ({
      name: `s${group}-${i}`,
      value: i === 0 ? 1 : `$(steps['s${group}-${i - 1}'].output + 1)`,
    })),
  })),
});

const nested = (levels: number): unknown => ({
  name: `level-${levels}`,
  ...(levels === 1 ? write : { steps: [nested(levels - 1)] }),
});

describe('the size of a workflow:', () => {
  test('5,000 steps are fine', () => {
    expect(planOf(chains(25)).steps.weight).toBe(4975);
  });

  test('more are refused', () => {
    expect(compileWorkflow(chains(26), 'x')).toEqual({
      problems: [{ path: 'steps', message: expect.stringMatching(/more than 5000 steps: use forEach/) as unknown }],
    });
  });

  test('12 levels are fine', () => {
    expect(planOf({ steps: [nested(12)] }).steps.weight).toBe(1);
  });

  test.each([13, 100_000])('%d levels are refused', (levels) => {
    let step: object = { name: 'a', ...write };
    for (let i = 1; i < levels; i++) step = { name: `a${i}`, steps: [step] };
    expect(compileWorkflow({ steps: [step] }, 'x')).toEqual({
      problems: [
        {
          path: `steps${'[0].steps'.repeat(12)}`,
          message: expect.stringMatching(/nest deeper than 12 levels: make a Workflow/) as unknown,
        },
      ],
    });
  });

  test('201 steps in a list are too many', () => {
    const steps = Array.from({ length: 201 }, (_, i) => ({ name: `s${i}`, ...write }));
    expect(compileWorkflow({ steps }, 'x')).toEqual({
      problems: [
        { path: 'steps', message: 'has 201 entries; 200 are allowed: put some into a group (steps), or use forEach' },
      ],
    });
  });

  test('of thousands of mistakes the first hundred are told', () => {
    const steps = Array.from({ length: 200 }, (_, i) => ({ name: `s${i}`, value: '$(nope)', needs: ['nope'] }));
    const compiled = compileWorkflow({ steps }, 'x');
    expect('problems' in compiled && compiled.problems).toHaveLength(100);
  });
});
