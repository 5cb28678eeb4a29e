import { runStatus } from '@kadre/crds';
import { describe, expect, test } from '@jest/globals';
import { ask, fail, noUsage, ok, Simulation } from '../testing/simulation.ts';
import { settle } from './settle.ts';
import { evolve } from './evolve.ts';
import type { Json } from './expression/values.ts';
import { project } from './project.ts';

const sized = (status: unknown): number => JSON.stringify(status).length;

describe('the status of a run', () => {
  test('shows every step of a small workflow in order, with times', () => {
    const simulation = new Simulation({ workflow: { steps: [ask('a'), ask('b'), ask('c')] } });
    simulation.now = 61_000;
    simulation.end(0);
    expect(project(simulation.state)).toEqual({
      phase: 'Running',
      progress: '1/3',
      startedAt: '1970-01-01T00:00:01.000Z',
      usage: { inputTokens: 0, outputTokens: 0, costUsd: '0' },
      steps: [
        {
          name: 'a',
          phase: 'Succeeded',
          attempt: 1,
          startedAt: '1970-01-01T00:00:01.000Z',
          finishedAt: '1970-01-01T00:01:01.000Z',
        },
        { name: 'b', phase: 'Running', attempt: 1, startedAt: '1970-01-01T00:01:01.000Z' },
        { name: 'c', phase: 'Pending' },
      ],
    });
  });

  test('has at most 32 lines and 16 KB for 200 steps, and shows what is at work, what ended last and what comes next', () => {
    const steps = Array.from({ length: 200 }, (_, i) => ask(`step-${i}-${'x'.repeat(50)}`));
    const simulation = new Simulation({ workflow: { steps } });
    for (let i = 0; i < 100; i++) simulation.end(0);
    const status = project(simulation.state);
    expect(status.steps?.length).toBeLessThanOrEqual(32);
    expect(sized(status)).toBeLessThan(16_384);
    const shown = status.steps?.map(({ name }) => Number(/\d+/.exec(name)?.[0])) ?? [];
    expect(shown).toEqual([...shown].sort((a, b) => a - b));
    expect(status.steps?.filter(({ phase }) => phase === 'Running').map(({ name }) => name)).toEqual([
      steps[100]?.name,
    ]);
    expect(shown).toContain(99);
  });

  test('has at most 32 lines and 16 KB for 10,000 elements that all fail with long messages', () => {
    const workflow = { steps: [ask('fan', { forEach: { items: '$(input)' }, retry: { limit: 1 } })] };
    const simulation = new Simulation({
      workflow,
      input: Array<Json>(10_000).fill(1),
      behave: () => fail('RateLimited', 'é'.repeat(400)),
    });
    for (let i = 0; i < 500; i++) simulation.end(0);
    const status = project(simulation.state);
    expect(status.steps).toHaveLength(32);
    expect(sized(status)).toBeLessThan(20_000);
    expect(runStatus.safeParse(status).success).toBe(true);
  });

  test('shows elements at work before those that are over, below their step', () => {
    const workflow = { steps: [ask('fan', { forEach: { items: [1, 2, 3, 4], parallelism: 2 } }), ask('end')] };
    const simulation = new Simulation({ workflow });
    simulation.end(0);
    expect(simulation.summary.steps).toEqual([
      'fan Running',
      'fan[0] Succeeded 1',
      'fan[1] Running 1',
      'fan[2] Running 1',
      'end Pending',
    ]);
    expect(simulation.summary.progress).toBe('1/5');
  });

  test.each<[string, Json, unknown]>([
    ['a small one is there', { a: [1, null] }, { a: [1, null] }],
    ['null is there', null, null],
    [
      'a long text gives its beginning',
      'é'.repeat(9000),
      { truncated: true, characters: 9002, preview: 'é'.repeat(1024) },
    ],
    [
      'a large object gives the beginning of its JSON',
      { a: 'x'.repeat(9000) },
      { truncated: true, characters: 9008, preview: `{"a":"${'x'.repeat(1018)}` },
    ],
  ])('of the output: %s', (_, output, expected) => {
    const simulation = new Simulation({ workflow: { steps: [ask('a')] }, behave: () => ok(output) }).finish();
    expect(project(simulation.state).output).toEqual(expected);
  });

  test.each([
    [0, '0'],
    [1, '0.000000001'],
    [1_500_000, '0.0015'],
    [2_000_000_000, '2'],
    [1_234_567_890_123, '1234.567890123'],
  ])('shows %d nano-USD as %s', (costNanoUsd, costUsd) => {
    const { state } = new Simulation({ workflow: { steps: [ask('a')] } });
    const event = settle(
      state,
      'a',
      1,
      ok(1),
      { ...noUsage, costNanoUsd, unpricedCalls: costNanoUsd === 0 ? 0 : 2 },
      0,
    );
    if (event) evolve(state, event);
    expect(project(state).usage).toMatchObject(costNanoUsd === 0 ? { costUsd } : { costUsd, unpricedCalls: 2 });
  });

  test('is one that the API server takes, at every moment', () => {
    const workflow = {
      steps: [
        ask('a', { when: '$(input == 1)' }),
        ask('b', { forEach: { items: [1, 2] }, retry: { limit: 1 } }),
        ask('c'),
      ],
      output: '$(steps.b.output)',
    };
    const simulation = new Simulation({
      workflow,
      behave: (id, attempt) => (attempt === 1 ? fail('TimedOut') : ok(id)),
    });
    while (!simulation.over) {
      expect(runStatus.safeParse(project(simulation.state)).error).toBeUndefined();
      if (simulation.atWork.length > 0) simulation.end(0);
      else simulation.wait();
    }
    expect(runStatus.safeParse(project(simulation.state)).error).toBeUndefined();
  });
});
