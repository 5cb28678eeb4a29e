import { describe, expect, test } from '@jest/globals';
import { ask, fail, noUsage, ok, Simulation } from '../testing/simulation.ts';
import { settle } from './settle.ts';
import { project } from './project.ts';

describe('steps', () => {
  test('run one after the other, and the last one’s output is the run’s', () => {
    const simulation = new Simulation({ workflow: { steps: [ask('a'), ask('b'), ask('c')] } });
    expect(simulation.atWork).toEqual(['a/1']);
    expect(simulation.finish().summary).toEqual({
      phase: 'Succeeded',
      progress: '3/3',
      steps: ['a Succeeded 1', 'b Succeeded 1', 'c Succeeded 1'],
      failure: undefined,
      output: 'c',
    });
  });

  test('that need nothing run side by side, and a join waits for all', () => {
    const simulation = new Simulation({
      workflow: { steps: [ask('a'), ask('b', { needs: [] }), ask('c', { needs: ['a', 'b'] })] },
    });
    expect(simulation.atWork).toEqual(['a/1', 'b/1']);
    simulation.end(1);
    expect(simulation.atWork).toEqual(['a/1']);
    simulation.end(0);
    expect(simulation.atWork).toEqual(['c/1']);
  });

  test('whose condition is false are skipped, with the output null, and those after them still run', () => {
    const steps = [
      ask('a', { when: '$(input.go)' }),
      ask('b', { when: '$(steps.a.output == null)' }),
      ask('c', { when: '$(!input.go)', needs: ['a'] }),
    ];
    expect(new Simulation({ workflow: { steps }, input: { go: false } }).finish().summary).toMatchObject({
      phase: 'Succeeded',
      progress: '3/3',
      steps: ['a Skipped', 'b Succeeded 1', 'c Succeeded 1'],
    });
    expect(new Simulation({ workflow: { steps }, input: { go: true } }).finish().summary.steps).toEqual([
      'a Succeeded 1',
      'b Skipped',
      'c Skipped',
    ]);
  });

  test('beside one that fails are stopped, those that wait for it never start', () => {
    const steps = [ask('a'), ask('b', { needs: [] }), ask('c', { needs: ['a'] }), ask('d', { needs: ['b'] })];
    const simulation = new Simulation({
      workflow: { steps },
      behave: (id) => (id === 'a' ? fail('AgentFailed', 'broken') : ok(1)),
    });
    simulation.end(0);
    expect(simulation.over).toBe(false);
    expect(simulation.atWork).toEqual(['b/1']);
    expect(simulation.finish().summary).toMatchObject({
      phase: 'Failed',
      steps: ['a Failed 1', 'b Cancelled 1', 'c Cancelled', 'd Cancelled'],
      failure: { reason: 'AgentFailed', message: 'step a: broken' },
    });
    expect(simulation.recorded('StepStarted')).toEqual(['a', 'b']);
  });

  test('whose expression fails on the values it meets fail the run without being started', () => {
    const simulation = new Simulation({
      workflow: { steps: [ask('a'), ask('b', { agent: { name: 'writer', prompt: '$(steps.a.output.x)' } })] },
    });
    expect(simulation.finish().summary).toMatchObject({
      phase: 'Failed',
      steps: ['a Succeeded 1', 'b Failed'],
      failure: { reason: 'InvalidExpression', message: "step b: steps[1].agent.prompt: a text has no field 'x'" },
    });
  });

  test.each([
    ['condition', ask('a', { when: '$(input.n)' }), /steps\[0\]\.when: takes an expression that is true or false/],
    ['list', ask('a', { forEach: { items: '$(input.n)' } }), /steps\[0\]\.forEach\.items: takes a list, not a number/],
  ])('with a %s of the wrong kind fail the run', (_, step, message) => {
    const { failure } = new Simulation({ workflow: { steps: [step] }, input: { n: 5 } }).finish().summary;
    expect(failure).toEqual({ reason: 'InvalidExpression', message: expect.stringMatching(message) as unknown });
  });

  test('see the input, earlier outputs, the run and nothing else', () => {
    const agent = { name: 'writer', prompt: '$(input.a) $(steps.a.output) $(run.namespace)/$(run.name) $(run.uid)' };
    const prompts: unknown[] = [];
    const workflow = { steps: [ask('a'), { name: 'b', agent }] };
    new Simulation({
      workflow,
      input: { a: 5 },
      behave: (id, _, work) => (prompts.push(work.kind === 'agent' && work.prompt), ok(id)),
    }).finish();
    expect(prompts).toEqual(['x', '5 a team/run u1']);
  });
});

describe('the output of a workflow', () => {
  test('is what it says, with types', () => {
    const workflow = { steps: [ask('a')], output: { a: '$(steps.a.output)', n: '$(1 + 1)' } };
    expect(new Simulation({ workflow }).finish().summary.output).toEqual({ a: 'a', n: 2 });
  });

  test('that cannot be evaluated fails the run, although all steps succeeded', () => {
    const workflow = { steps: [ask('a')], output: '$(steps.a.output.b)' };
    expect(new Simulation({ workflow }).finish().summary).toMatchObject({
      phase: 'Failed',
      steps: ['a Succeeded 1'],
      failure: { reason: 'InvalidExpression', message: "output: a text has no field 'b'" },
    });
  });
});

describe('retry', () => {
  const retried = (retry: object) => ({ steps: [ask('a', { retry })] });
  const waits = ({ log }: Simulation) => {
    const starts = log.filter(({ type }) => type === 'StepStarted').map(({ at }) => at);
    return starts.slice(1).map((at, i) => at - (starts[i] ?? 0));
  };
  /** Shortened by up to a fifth, each by another part, so that many don't come back together. */
  const expectAbout = (actual: number[], expected: number[]): void => {
    expect(actual).toHaveLength(expected.length);
    const parts = actual.map((wait, i) => wait / (expected[i] ?? 0));
    for (const part of parts) expect(part).toBeGreaterThanOrEqual(0.8);
    for (const part of parts) expect(part).toBeLessThanOrEqual(1);
    expect(new Set(parts.map((part) => part.toFixed(3))).size).toBe(parts.length);
  };

  test('waits longer each time, up to the maximum, and gives up after the limit', () => {
    const simulation = new Simulation({
      workflow: retried({ limit: 4, backoff: { initial: '1s', factor: 3, max: '10s' } }),
      behave: () => fail('AgentFailed'),
    });
    expect(simulation.finish().summary).toMatchObject({
      phase: 'Failed',
      steps: ['a Failed 5'],
      failure: { reason: 'AgentFailed', message: 'step a: no' },
    });
    expectAbout(waits(simulation), [1000, 3000, 9000, 10_000]);
  });

  test('waits a second, two, four and so on if nothing else is said', () => {
    const simulation = new Simulation({ workflow: retried({ limit: 3 }), behave: () => fail('AgentFailed') });
    expectAbout(waits(simulation.finish()), [1000, 2000, 4000]);
  });

  test.each([
    ['happens for a reason that is listed', 'RateLimited', 2],
    ['doesn’t happen for another reason', 'AgentFailed', 1],
  ] as const)('%s', (_, reason, attempts) => {
    const simulation = new Simulation({
      workflow: retried({ limit: 1, reasons: ['RateLimited'] }),
      behave: () => fail(reason),
    });
    expect(waits(simulation.finish())).toHaveLength(attempts - 1);
  });

  test('shows that the step waits, and why', () => {
    const simulation = new Simulation({
      workflow: retried({ limit: 1 }),
      behave: () => fail('RateLimited', 'slow down'),
    });
    simulation.end(0);
    expect(project(simulation.state).steps).toMatchObject([
      { phase: 'Waiting', attempt: 1, reason: 'RateLimited', message: 'slow down' },
    ]);
  });
});

describe('timeout', () => {
  const timed = { steps: [ask('a', { timeout: '10s', retry: { limit: 1, backoff: { initial: '1s' } } })] };

  test('stops the attempt, which counts as failed only when it has been stopped', () => {
    const simulation = new Simulation({ workflow: timed });
    simulation.wait();
    expect(simulation.now).toBe(11_000);
    expect(simulation.log.at(-1)).toMatchObject({
      type: 'StepStopping',
      data: { step: 'a', attempt: 1, failure: { reason: 'TimedOut' } },
    });
    expect(simulation.atWork).toEqual(['a/1']);
    simulation.report('a', 1, 'stopped');
    simulation.wait();
    expect(simulation.atWork).toEqual(['a/2']);
    simulation.end(0);
    expect(simulation.summary).toMatchObject({ phase: 'Succeeded', steps: ['a Succeeded 2'] });
  });

  test('counts even if the answer comes while the attempt is being stopped', () => {
    const simulation = new Simulation({ workflow: { steps: [ask('a', { timeout: '10s' })] } });
    simulation.wait();
    simulation.report('a', 1, ok('late'));
    expect(simulation.summary).toMatchObject({ phase: 'Failed', failure: { reason: 'TimedOut' } });
  });

  test('runs for each attempt anew', () => {
    const simulation = new Simulation({ workflow: timed, behave: () => fail('RateLimited') });
    simulation.now += 9000;
    simulation.end(0);
    simulation.wait();
    const again = simulation.now;
    simulation.wait();
    expect(simulation.now).toBe(again + 10_000);
    expect(simulation.log.at(-1)).toMatchObject({ type: 'StepStopping', data: { attempt: 2 } });
  });
});

describe('a run that is cancelled', () => {
  test('starts nothing more and ends once all that was at work has been stopped', () => {
    const simulation = new Simulation({ workflow: { steps: [ask('a'), ask('b', { needs: [] }), ask('c')] } });
    simulation.cancel('by hand');
    expect(simulation.over).toBe(false);
    simulation.report('a', 1, 'stopped');
    simulation.report('b', 1, ok('just in time'));
    expect(simulation.summary).toEqual({
      phase: 'Cancelled',
      progress: '1/3',
      steps: ['a Cancelled 1', 'b Succeeded 1', 'c Cancelled'],
      failure: { reason: 'Cancelled', message: 'by hand' },
      output: undefined,
    });
  });

  test('while a step waits for another attempt ends at once', () => {
    const simulation = new Simulation({
      workflow: { steps: [ask('a', { retry: { limit: 5 } })] },
      behave: () => fail('RateLimited'),
    });
    simulation.end(0);
    simulation.cancel('by hand');
    expect(simulation.summary).toMatchObject({ phase: 'Cancelled', steps: ['a Cancelled 1'] });
  });

  test('after it failed stays failed', () => {
    const simulation = new Simulation({
      workflow: { steps: [ask('a'), ask('b', { needs: [] })] },
      behave: () => fail('AgentFailed'),
    });
    simulation.end(0);
    simulation.cancel('too late');
    expect(simulation.finish().summary).toMatchObject({ phase: 'Failed' });
  });
});

describe('the end of an attempt', () => {
  const simulation = () => new Simulation({ workflow: { steps: [ask('a'), ask('b')] } });

  test.each([
    ['that is over already', 'a', 1],
    ['that never was', 'a', 2],
    ['of another step', 'x', 1],
  ])('%s changes nothing', (_, id, attempt) => {
    const one = simulation();
    one.end(0);
    expect(settle(one.state, id, attempt, ok(1), noUsage, 0)).toBeUndefined();
  });

  test('that the agent gave up by itself is a failure', () => {
    const one = simulation();
    one.report('a', 1, 'stopped');
    expect(one.summary.failure).toEqual({
      reason: 'AgentFailed',
      message: 'step a: the task was cancelled at the agent',
    });
  });

  test('with more output than a run may hold is a failure that is not tried again', () => {
    const one = new Simulation({
      workflow: { steps: [ask('a', { retry: { limit: 5 } })] },
      behave: () => ({ output: 1, bytes: 2 ** 30 }),
    });
    expect(one.finish().summary).toMatchObject({ steps: ['a Failed 1'], failure: { reason: 'InvalidOutput' } });
  });

  test('adds what it used to the run’s usage', () => {
    const one = simulation();
    const event = settle(
      one.state,
      'a',
      1,
      ok(1),
      { inputTokens: 10, outputTokens: 2, costNanoUsd: 1_500_000, unpricedCalls: 1 },
      0,
    );
    expect(event).toMatchObject({ type: 'StepSucceeded', data: { usage: { costNanoUsd: 1_500_000 } } });
  });
});
