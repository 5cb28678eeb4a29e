import { describe, expect, test } from '@jest/globals';
import { ask, fail, ok, Simulation, type Script } from '../testing/simulation.ts';

const play = (steps: object[], more: object = {}, script: Partial<Script> = {}): Simulation =>
  new Simulation({ workflow: { steps, ...more }, ...script }).finish();
const result = ({ state }: Simulation) => state.output;

describe('a group', () => {
  test('has its steps in their own order, and the output of its last one', () => {
    const simulation = new Simulation({
      workflow: { steps: [ask('first'), { name: 'group', steps: [ask('x'), ask('y')] }, ask('last')] },
    });
    simulation.end(0);
    expect(simulation.atWork).toEqual(['group.x/1']);
    simulation.end(0);
    expect(simulation.atWork).toEqual(['group.y/1']);
    expect(simulation.finish().summary).toMatchObject({
      phase: 'Succeeded',
      progress: '4/4',
      steps: [
        'first Succeeded 1',
        'group Succeeded 1',
        'group.x Succeeded 1',
        'group.y Succeeded 1',
        'last Succeeded 1',
      ],
    });
    expect(simulation.state.frame.main.steps[1]?.output).toBe('group.y');
  });

  test('may say what its output is; its steps see those before the group', () => {
    const group = {
      name: 'group',
      steps: [ask('x', { agent: { name: 'writer', prompt: 'after $(steps.first.output)' } }), ask('y', { needs: [] })],
      output: { both: ['$(steps.x.output)', '$(steps.y.output)'] },
    };
    const behave: Script['behave'] = (id, _, work) =>
      ok(work.kind === 'agent' && id === 'group.x' ? (work.prompt ?? '') : id);
    const simulation = play([ask('first'), group], {}, { behave });
    expect(result(simulation)).toEqual({ both: ['after first', 'group.y'] });
  });

  test('fails with its step, after what is at work in it has stopped, and is tried again as a whole', () => {
    const group = { name: 'group', retry: { limit: 1 }, steps: [ask('x', { needs: [] }), ask('y', { needs: [] })] };
    const simulation = new Simulation({
      workflow: { steps: [group] },
      behave: (id) => (id === 'group.x' ? fail('RateLimited') : ok(id)),
    });
    simulation.end(0);
    expect(simulation.recorded('StepFailed')).toEqual(['group.x']);
    expect(simulation.atWork).toEqual(['group.y/1']);
    simulation.end(0);
    expect(simulation.recorded('StepCancelled')).toEqual(['group.y']);
    simulation.wait();
    expect(simulation.atWork).toEqual(['group~2.x/1', 'group~2.y/1']);
    expect(simulation.finish().summary).toMatchObject({ phase: 'Succeeded', output: 'group~2.y' });
  });

  test('that takes longer than its timeout is stopped', () => {
    const simulation = new Simulation({ workflow: { steps: [{ name: 'group', timeout: '10s', steps: [ask('x')] }] } });
    simulation.wait();
    expect(simulation.recorded('StepStopping')).toEqual(['group']);
    expect(simulation.finish().summary).toMatchObject({ phase: 'Failed', failure: { reason: 'TimedOut' } });
  });

  test('is run for each element, side by side, within the limits of each level', () => {
    const inner = {
      name: 'inner',
      forEach: { items: '$(list)', as: 'one', parallelism: 2 },
      agent: { name: 'a', prompt: '$(one)' },
    };
    const outer = { name: 'outer', forEach: { items: '$(input)', as: 'list', parallelism: 2 }, steps: [inner] };
    const simulation = new Simulation({
      workflow: { steps: [outer] },
      input: [[1, 2, 3], [4], [5, 6]],
      behave: (_, __, work) => ok(work.kind === 'agent' ? Number(work.prompt) : 0),
    });
    expect(simulation.atWork).toEqual(['outer[0].inner[0]/1', 'outer[0].inner[1]/1', 'outer[1].inner[0]/1']);
    expect(result(simulation.finish())).toEqual([[1, 2, 3], [4], [5, 6]]);
    expect(simulation.summary.progress).toBe('6/6');
  });
});

describe('rounds', () => {
  test('go on until the condition over the round holds', () => {
    const group = {
      name: 'draft',
      repeat: { until: '$(output.score >= 8)', max: 5 },
      steps: [{ name: 'review', value: { score: '$(round * 3)', before: '$(previous == null ? 0 : previous.score)' } }],
    };
    expect(result(play([group]))).toEqual({ score: 9, before: 6 });
  });

  test.each([
    ['fails with LimitExceeded', {}, { phase: 'Failed', failure: { reason: 'LimitExceeded' } }],
    ['goes on with the last output', { onMax: 'continue' }, { phase: 'Succeeded', output: 3 }],
  ])('that reach their bound: %s', (_, more, expected) => {
    const step = { name: 'count', repeat: { until: '$(output > 3)', max: 3, ...more }, value: '$(round)' };
    expect(play([step]).summary).toMatchObject(expected);
  });

  test('without a condition are as many as the bound says', () => {
    expect(result(play([{ name: 'count', repeat: { max: 7 }, value: '$(previous == null ? 1 : previous * 2)' }]))).toBe(
      64,
    );
  });

  test('are tried again one by one', () => {
    const simulation = play(
      [ask('poll', { repeat: { max: 2 }, retry: { limit: 1 } })],
      {},
      {
        behave: (id, attempt) => (id === 'poll#2' && attempt === 1 ? fail('TimedOut') : ok(`${id}/${attempt}`)),
      },
    );
    expect(result(simulation)).toBe('poll#2/2');
    expect(simulation.recorded('StepStarted')).toEqual(['poll#1', 'poll#2', 'poll#2']);
  });

  test('of ten thousand take as long each, however many went before', () => {
    const simulation = play([{ name: 'count', repeat: { max: 10_000 }, value: '$(round)' }]);
    expect(simulation.log).toHaveLength(10_002);
  });
});

describe('a race', () => {
  const race = { name: 'race', race: [ask('slow'), ask('quick'), ask('third')] };

  test('is won by the first to succeed; the others are cancelled', () => {
    const simulation = new Simulation({ workflow: { steps: [race] } });
    expect(simulation.atWork).toEqual(['race.slow/1', 'race.quick/1', 'race.third/1']);
    simulation.end(1);
    expect(simulation.finish().summary).toMatchObject({ phase: 'Succeeded', output: 'race.quick' });
    expect(simulation.recorded('StepCancelled')).toEqual(['race.slow', 'race.third']);
  });

  test('goes on while somebody may still win', () => {
    const simulation = play([race], {}, { behave: (id) => (id === 'race.third' ? ok(id) : fail('AgentFailed')) });
    expect(result(simulation)).toBe('race.third');
  });

  test('that nobody wins fails with the last failure', () => {
    const simulation = play([race], {}, { behave: (id) => fail('AgentFailed', id) });
    expect(simulation.summary).toMatchObject({ phase: 'Failed', failure: { reason: 'AgentFailed' } });
    expect(simulation.state.failure?.message).toContain('race.third');
  });
});

describe('enough of a forEach', () => {
  test('ends it: the elements at work are cancelled, those that come after never start', () => {
    const vote = ask('vote', {
      forEach: { items: '$(input)', parallelism: 3, until: '$(outputs.filter(one, one == "yes").size() >= 2)' },
    });
    const simulation = new Simulation({ workflow: { steps: [vote] }, input: [1, 2, 3, 4, 5], behave: () => ok('yes') });
    simulation.end(0);
    simulation.end(1);
    expect(simulation.finish().summary.output).toEqual(['yes', null, 'yes', null, null]);
    expect(simulation.recorded('StepCancelled').sort()).toEqual(['vote[1]', 'vote[3]']);
  });
});

describe('a failure', () => {
  const flaky: Script['behave'] = (id) =>
    id.startsWith('bad') && !id.includes('fallback') ? fail('ModelFailed', 'no') : ok(id);

  test('that is tolerated leaves null, and its reason for whoever asks', () => {
    const steps = [
      ask('bad', { onError: { continue: true } }),
      { name: 'why', value: ['$(steps.bad.output)', '$(steps.bad.failure.reason)', '$(steps.bad.phase)'] },
    ];
    expect(result(play(steps, {}, { behave: flaky }))).toEqual([null, 'ModelFailed', 'Failed']);
  });

  test('of an element that is tolerated leaves null at its place', () => {
    const step = ask('bad', { forEach: { items: '$(input)' }, onError: { continue: true } });
    const behave: Script['behave'] = (id) => (id === 'bad[1]' ? fail('ModelFailed') : ok(id));
    expect(result(play([step], {}, { input: [1, 2, 3], behave }))).toEqual(['bad[0]', null, 'bad[2]']);
  });

  test('is mended by the fallback, whose last output is the step’s', () => {
    const step = ask('bad', { retry: { limit: 1 }, onError: { fallback: [ask('b'), ask('c')] } });
    const simulation = play([step, ask('next')], { output: '$(steps.bad.output)' }, { behave: flaky });
    expect(result(simulation)).toBe('bad.fallback.c');
    expect(simulation.recorded('StepStarted')).toEqual(['bad', 'bad', 'bad.fallback.b', 'bad.fallback.c', 'next']);
  });

  test('can be asked for in the fallback that is to mend it', () => {
    const step = ask('bad', { onError: { fallback: [{ name: 'why', value: '$(steps.bad.failure.reason)' }] } });
    expect(result(play([step], {}, { behave: flaky }))).toBe('ModelFailed');
  });

  test('of the fallback is final', () => {
    const step = ask('bad', { onError: { fallback: [ask('b')] } });
    const simulation = play([step], {}, { behave: (id) => fail('ModelFailed', id) });
    expect(simulation.state.failure).toEqual({ reason: 'ModelFailed', message: 'step bad.fallback.b: bad.fallback.b' });
  });

  test('of an expression is no reason to try again, but may be tolerated', () => {
    const bad = {
      name: 'bad',
      retry: { limit: 3 },
      onError: { continue: true },
      agent: { name: 'a', prompt: '$(input.x.y)' },
    };
    const simulation = play([bad, ask('next')], {}, { input: {} });
    expect(simulation.summary).toMatchObject({ phase: 'Succeeded', output: 'next' });
  });
});

describe('finally', () => {
  const atEnd = {
    finally: [
      { name: 'clean', value: { phase: '$(run.phase)', why: '$(run.failure == null ? "" : run.failure.reason)' } },
    ],
  };
  const cleaned = ({ state }: Simulation) => state.frame.finally?.steps[0]?.output;

  test.each([
    ['success', {}, { phase: 'Succeeded', why: '' }, 'Succeeded'],
    ['failure', { behave: () => fail('ModelFailed') }, { phase: 'Failed', why: 'ModelFailed' }, 'Failed'],
  ])('runs after %s and knows of it', (_, script, expected, phase) => {
    const simulation = play([ask('a')], atEnd, script);
    expect(cleaned(simulation)).toEqual(expected);
    expect(simulation.summary.phase).toBe(phase);
  });

  test('runs after the run was cancelled, and is not cancelled itself', () => {
    const simulation = new Simulation({ workflow: { steps: [ask('a'), ask('b')], finally: [ask('clean')] } });
    simulation.cancel('enough');
    simulation.end(0);
    expect(simulation.atWork).toEqual(['clean/1']);
    expect(simulation.finish().summary).toMatchObject({ phase: 'Cancelled', failure: { message: 'enough' } });
  });

  test('that fails makes a run fail that had succeeded', () => {
    const simulation = play(
      [ask('a')],
      { finally: [ask('clean')] },
      { behave: (id) => (id === 'clean' ? fail('ModelFailed') : ok(id)) },
    );
    expect(simulation.summary).toMatchObject({ phase: 'Failed', failure: { reason: 'ModelFailed' } });
  });

  test('of a called workflow runs when the call is stopped', () => {
    const workflows = { inner: { steps: [ask('work')], finally: [ask('tidy')] } };
    const simulation = new Simulation({
      workflow: { steps: [{ name: 'call', timeout: '5s', workflow: { name: 'inner' } }] },
      workflows,
    });
    simulation.wait();
    simulation.end(0);
    expect(simulation.atWork).toEqual(['call.tidy/1']);
    expect(simulation.finish().summary).toMatchObject({ phase: 'Failed', failure: { reason: 'TimedOut' } });
  });
});

describe('a called workflow', () => {
  test('has its own input and output', () => {
    const workflows = {
      double: { steps: [{ name: 'x', value: '$(input.n * 2)' }], output: { twice: '$(steps.x.output)' } },
    };
    const steps = [{ name: 'call', workflow: { name: 'double', input: { n: '$(input)' } } }];
    expect(result(play(steps, { output: '$(steps.call.output.twice)' }, { workflows, input: 21 }))).toBe(42);
  });

  test('may call itself, so deep and no deeper', () => {
    const down = {
      steps: [
        { name: 'leaf', value: '$(input)' },
        { name: 'more', when: '$(input > 0)', workflow: { name: 'down', input: '$(input - 1)' } },
      ],
      output: '$(steps.more.output == null ? steps.leaf.output : steps.more.output)',
    };
    const from = (input: number) =>
      play([{ name: 'go', workflow: { name: 'down', input: '$(input)' } }], {}, { workflows: { down }, input });
    expect(from(5).summary).toMatchObject({ phase: 'Succeeded', output: 0 });
    expect(from(99).summary).toMatchObject({ phase: 'Failed', failure: { reason: 'LimitExceeded' } });
  });

  test('that was not there fails the step', () => {
    const steps = [{ name: 'call', workflow: { name: 'nowhere' } }];
    expect(play(steps).summary).toMatchObject({ phase: 'Failed', failure: { reason: 'WorkflowNotFound' } });
  });
});

describe('a wait', () => {
  test('for a length of time or until a time takes no agent', () => {
    const steps = [
      { name: 'rest', wait: { for: '5m' } },
      { name: 'later', wait: { until: '$(input)' } },
    ];
    const simulation = new Simulation({ workflow: { steps }, input: '1970-01-01T01:00:00Z' });
    expect(simulation.summary).toMatchObject({ phase: 'Waiting' });
    simulation.finish();
    expect(simulation.now).toBe(3_600_000);
  });

  test('for an event ends with the first that fits, and takes each event once', () => {
    const steps = [{ name: 'paid', wait: { event: { name: 'paid', filter: '$(event.sum > input)' } } }];
    const simulation = new Simulation({ workflow: { steps }, input: 5 });
    simulation.report('paid', 1, { ...ok({ sum: 9 }), source: { kind: 'event', id: 'e1' } });
    expect(simulation.summary).toMatchObject({ phase: 'Succeeded', output: { sum: 9 } });
    expect([...simulation.state.consumed]).toEqual(['e1']);
  });

  test('that its timeout ends has failed', () => {
    const steps = [{ name: 'paid', timeout: '1h', wait: { event: { name: 'paid' } } }];
    const simulation = new Simulation({ workflow: { steps } });
    simulation.wait();
    expect(simulation.finish().summary).toMatchObject({ phase: 'Failed', failure: { reason: 'TimedOut' } });
  });
});

describe('an approval', () => {
  const sign = (more: object = {}) => [{ name: 'sign', approval: { message: 'ok?', timeout: '1h', ...more } }];

  test.each([
    ['rejects', {}, { phase: 'Failed', failure: { reason: 'ApprovalRejected' } }],
    [
      'approves, if the workflow says so',
      { onTimeout: 'approve' },
      { phase: 'Succeeded', output: { approved: true, by: null } },
    ],
  ])('that nobody decides in time %s', (_, more, expected) => {
    expect(play(sign(more)).summary).toMatchObject(expected);
  });

  test('by somebody else needs to know who asked', () => {
    expect(play(sign({ otherThanRequester: true })).summary).toMatchObject({ failure: { reason: 'InvalidInput' } });
    const simulation = new Simulation({ workflow: { steps: sign({ otherThanRequester: true }) }, requestedBy: 'anna' });
    expect(simulation.summary.phase).toBe('Waiting');
  });
});

describe('limits', () => {
  test('of steps end a run, and finally still runs', () => {
    const more = { limits: { steps: 3 }, finally: [ask('clean')] };
    const simulation = play([ask('a', { forEach: { items: '$(input)' } })], more, { input: [1, 2, 3, 4] });
    expect(simulation.summary).toMatchObject({ phase: 'Failed', failure: { reason: 'LimitExceeded' } });
    expect(simulation.recorded('StepStarted')).toEqual(['a[0]', 'a[1]', 'a[2]', 'clean']);
  });

  test('of steps hold for what is computed, too', () => {
    const simulation = play([{ name: 'count', repeat: { max: 10 }, value: '$(round)' }], { limits: { steps: 3 } });
    expect(simulation.summary).toMatchObject({ phase: 'Failed', failure: { reason: 'LimitExceeded' } });
    expect(simulation.recorded('StepSucceeded')).toEqual(['count#1', 'count#2', 'count#3']);
  });

  test.each([
    ['nothing', {}],
    ['go on', { retry: { limit: 3, backoff: { initial: '1s' } }, onError: { continue: true } }],
    ['fall back', { onError: { fallback: [ask('c')] } }],
  ])(
    'of money end a run at the first call that they refuse, also if its step would do this about it: %s',
    (_, more) => {
      const simulation = new Simulation({ workflow: { steps: [ask('a', more), ask('b')], finally: [ask('clean')] } });
      simulation.report('a', 1, { failure: { reason: 'RunLimitExceeded', message: 'no room is left' } });
      expect(simulation.atWork).toEqual(['clean/1']);
      expect(simulation.finish().summary).toMatchObject({
        phase: 'Failed',
        failure: { reason: 'LimitExceeded', message: 'no room is left' },
      });
    },
  );

  test('of time end a run', () => {
    const simulation = new Simulation({ workflow: { steps: [ask('a')], limits: { duration: '1m' } } });
    simulation.wait();
    expect(simulation.finish().summary).toMatchObject({ phase: 'Failed', failure: { reason: 'TimedOut' } });
  });

  test('are the tighter of the workflow’s and the run’s', () => {
    const simulation = play([ask('a'), ask('b')], { limits: { steps: 5 } }, { limits: { steps: 1 } });
    expect(simulation.summary).toMatchObject({ phase: 'Failed', failure: { reason: 'LimitExceeded' } });
  });
});

describe('a run that is suspended', () => {
  test('ends what is at work, and starts nothing until it goes on', () => {
    const simulation = new Simulation({ workflow: { steps: [ask('a'), ask('b')] } });
    simulation.suspend(true);
    simulation.end(0);
    expect(simulation.atWork).toEqual([]);
    expect(simulation.summary.phase).toBe('Paused');
    simulation.suspend(false);
    expect(simulation.atWork).toEqual(['b/1']);
  });
});
