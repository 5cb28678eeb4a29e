import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { ask, fail, ok, Simulation, type Script } from '../testing/simulation.ts';
import { reuseOf, type ForkWish } from './fork.ts';
import { findStep } from './lookup.ts';

const prompted: NonNullable<Script['behave']> = (_, __, work) =>
  ok(work.kind === 'agent' ? `${work.prompt ?? ''}!` : null);
const asks = (name: string, prompt: string, more: object = {}) => ask(name, { agent: { name: 'a', prompt }, ...more });

const workflow = {
  steps: [
    asks('plan', 'plan $(input)'),
    asks('work', '$(item)', { forEach: { items: ['x', 'y', 'z'] } }),
    {
      name: 'draft',
      repeat: { until: '$(round >= 3)', max: 5 },
      steps: [asks('write', 'round $(round)'), asks('review', 'review $(steps.write.output)')],
    },
    asks('side', 'side', { needs: ['plan'] }),
    asks('end', '$(steps.draft.output) $(steps.side.output)', { needs: ['draft', 'side'] }),
  ],
};

function fork(source: Simulation, wish: ForkWish): Simulation {
  const log = JSON.parse(JSON.stringify(source.log)) as Simulation['log'];
  return new Simulation({ workflow, input: 1, behave: prompted, reuse: reuseOf('u0', log, wish) });
}

describe('a fork', () => {
  const source = new Simulation({ workflow, input: 1, behave: prompted }).finish();

  test.each<[string, string[]]>([
    ['end', ['end']],
    ['side', ['side', 'end']],
    [
      'draft',
      ['draft#1.write', 'draft#1.review', 'draft#2.write', 'draft#2.review', 'draft#3.write', 'draft#3.review', 'end'],
    ],
    ['draft#2.review', ['draft#2.review', 'draft#3.write', 'draft#3.review', 'end']],
    [
      'work[1]',
      [
        'work[1]',
        'draft#1.write',
        'draft#1.review',
        'draft#2.write',
        'draft#2.review',
        'draft#3.write',
        'draft#3.review',
        'end',
      ],
    ],
  ])('from %s does anew what rests on it, and nothing else', (from, expected) => {
    const forked = fork(source, { from }).finish();
    expect(forked.asked.sort()).toEqual(expected.sort());
    expect(forked.summary).toMatchObject({ phase: 'Succeeded', output: source.state.output });
  });

  test('may ask something else at that step', () => {
    const forked = fork(source, { from: 'side', prompt: 'other' }).finish();
    expect(forked.state.output).toBe('review round 3!! other!!');
  });

  test('pays for nothing that it takes over', () => {
    const forked = fork(source, { from: 'end' }).finish();
    const taken = forked.log.filter(({ type, data }) => type === 'StepSucceeded' && data.source?.kind === 'fork');
    expect(taken).toHaveLength(source.asked.length - 1);
    expect(taken.every(({ data }) => 'usage' in data && data.usage.costNanoUsd === 0)).toBe(true);
  });

  test('from where a run failed does only what did not succeed', () => {
    const broken = new Simulation({
      workflow,
      input: 1,
      behave: (id, attempt, work) =>
        id === 'work[1]' || id === 'side' ? fail('ModelFailed') : prompted(id, attempt, work),
    }).finish();
    expect(broken.summary.phase).toBe('Failed');
    const retried = fork(broken, {}).finish();
    expect(retried.summary).toMatchObject({ phase: 'Succeeded', output: source.state.output });
    expect(retried.recorded('StepStarted')).not.toContain('plan');
    expect(retried.recorded('StepStarted')).not.toContain('work[0]');
  });

  test('of a run that was left at any moment comes to the same', () => {
    fc.assert(
      fc.property(fc.nat(), (cut) => {
        const left = new Simulation({ workflow, input: 1, behave: prompted }).finish();
        left.log.length = cut % left.log.length;
        expect(fork(left, {}).finish().summary).toEqual(
          expect.objectContaining({ phase: 'Succeeded', output: source.state.output }),
        );
      }),
      { numRuns: 40 },
    );
  });

  test.each([
    ['end', true],
    ['work[2]', true],
    ['draft#2.review', true],
    ['draft.nothing', false],
    ['nothing', false],
  ])('knows whether there is a step %s: %s', (id, expected) => {
    expect(findStep(source.plan, new Map(), id) !== undefined).toBe(expected);
  });
});

describe('a race that is forked', () => {
  test('is won at once by whoever won before; nobody else is asked', () => {
    const script: Script = { workflow: { steps: [{ name: 'race', race: [ask('slow'), ask('quick')] }, ask('end')] } };
    const source = new Simulation(script);
    source.end(1);
    source.finish();
    const forked = new Simulation({ ...script, reuse: reuseOf('u0', source.log, { from: 'end' }) });
    expect(forked.atWork).toEqual(['end/1']);
  });
});

describe('the cache', () => {
  const cached = { ...ask('look', { cache: { key: '$(input.url)', ttl: '1h' } }) };
  const entry = { key: 'team/main/steps[0]/x', output: 'known', run: 'u0', expiresAt: Infinity };

  test('gives the output that a run before it has recorded under the same key', () => {
    const script = { workflow: { steps: [cached] }, cache: new Map([[entry.key, entry]]) };
    const simulation = new Simulation({ ...script, input: { url: 'x' } });
    expect(simulation.summary).toMatchObject({ phase: 'Succeeded', output: 'known' });
    expect(new Simulation({ ...script, input: { url: 'y' } }).atWork).toEqual(['look/1']);
  });
});

describe('a step that gives up', () => {
  test('fails with its own words, which may be tolerated like any failure', () => {
    const gate = { name: 'gate', when: '$(input < 5)', fail: 'only $(input) points' };
    const failed = new Simulation({ workflow: { steps: [gate, ask('next')] }, input: 3 });
    expect(failed.summary).toMatchObject({
      phase: 'Failed',
      failure: { reason: 'Refused', message: 'step gate: only 3 points' },
    });
    expect(new Simulation({ workflow: { steps: [gate, ask('next')] }, input: 8 }).atWork).toEqual(['next/1']);
  });
});

describe('who won, and who had to help,', () => {
  test('can be asked for', () => {
    const steps = [
      { name: 'race', race: [ask('x'), ask('y')] },
      ask('bad', { onError: { fallback: [ask('good')] } }),
      { name: 'told', value: ['$(steps.race.winner)', '$(steps.bad.failure.reason)', '$(steps.bad.phase)'] },
    ];
    const simulation = new Simulation({
      workflow: { steps },
      behave: (id) => (id === 'bad' ? fail('RateLimited') : ok(id)),
    });
    expect(simulation.finish().state.output).toEqual(['x', 'RateLimited', 'Succeeded']);
  });
});
