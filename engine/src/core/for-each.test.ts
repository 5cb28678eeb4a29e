import { describe, expect, test } from '@jest/globals';
import { ask, fail, ok, Simulation, type Script } from '../testing/simulation.ts';
import type { Json } from './expression/values.ts';

describe('forEach', () => {
  const fan = (forEach: object, more: object = {}) => ({
    steps: [ask('a', { forEach, agent: { name: 'writer', prompt: '$(item)-$(index)' }, ...more }), ask('b')],
    output: '$(steps.a.output)',
  });
  const prompt = (work: { kind: string; prompt?: string }): Json => work.prompt ?? null;

  test('runs once for each element and gives the outputs in order, whatever ends first', () => {
    const simulation = new Simulation({
      workflow: fan({ items: '$(input)' }),
      input: ['x', 'y', 'z'],
      behave: (_, __, work) => ok(prompt(work)),
    });
    expect(simulation.atWork).toEqual(['a[0]/1', 'a[1]/1', 'a[2]/1']);
    for (const place of [2, 0, 0]) simulation.end(place);
    expect(simulation.atWork).toEqual(['b/1']);
    expect(simulation.finish().summary).toMatchObject({
      phase: 'Succeeded',
      progress: '4/4',
      output: ['x-0', 'y-1', 'z-2'],
    });
  });

  test('over an empty list gives an empty list', () => {
    expect(new Simulation({ workflow: fan({ items: '$(input)' }), input: [] }).finish().summary).toMatchObject({
      phase: 'Succeeded',
      progress: '2/2',
      output: [],
    });
  });

  test('has no more at work than its parallelism, elements that wait for another attempt included', () => {
    const behave: Script['behave'] = (id, attempt) => (id === 'a[0]' && attempt === 1 ? fail('RateLimited') : ok(id));
    const simulation = new Simulation({
      workflow: fan({ items: [1, 2, 3, 4], parallelism: 2 }, { retry: { limit: 1 } }),
      behave,
    });
    expect(simulation.atWork).toEqual(['a[0]/1', 'a[1]/1']);
    simulation.end(0);
    expect(simulation.atWork).toEqual(['a[1]/1']);
    simulation.end(0);
    expect(simulation.atWork).toEqual(['a[2]/1']);
    simulation.wait();
    expect(simulation.atWork).toEqual(['a[2]/1', 'a[0]/2']);
    expect(simulation.finish().summary.output).toEqual(['a[0]', 'a[1]', 'a[2]', 'a[3]']);
  });

  test('starts no element after one has failed, lets those at work end, and fails with the first failure', () => {
    const behave: Script['behave'] = (id) =>
      id === 'a[1]' ? fail('AgentFailed', 'first') : id === 'a[0]' ? fail('AgentFailed', 'second') : ok(id);
    const simulation = new Simulation({ workflow: fan({ items: [1, 2, 3, 4, 5], parallelism: 3 }), behave });
    simulation.end(1);
    expect(simulation.atWork).toEqual(['a[0]/1', 'a[2]/1']);
    simulation.end(0);
    simulation.end(0);
    expect(simulation.summary).toMatchObject({ phase: 'Failed', failure: { message: 'step a[1]: first' } });
    expect(simulation.recorded('StepStarted')).toEqual(['a[0]', 'a[1]', 'a[2]']);
  });

  test('forgets about elements that wait for another attempt once one has failed for good', () => {
    const behave: Script['behave'] = (id) => (id === 'a[0]' ? fail('RateLimited') : fail('AgentFailed'));
    const simulation = new Simulation({
      workflow: fan({ items: [1, 2] }, { retry: { limit: 5, reasons: ['RateLimited'] } }),
      behave,
    });
    simulation.end(0);
    simulation.end(0);
    expect(simulation.summary).toMatchObject({ phase: 'Failed', failure: { message: 'step a[1]: no' } });
  });

  test('over 10,000 elements asks no more for each of them than over 1,000', () => {
    const questions = (count: number): number => {
      const workflow = fan({ items: '$(input)', parallelism: 50 });
      const simulation = new Simulation({ workflow, input: Array<Json>(count).fill(1), capacity: 40 });
      const { phase, progress } = simulation.finish().summary;
      expect({ phase, progress }).toEqual({ phase: 'Succeeded', progress: `${count + 1}/${count + 1}` });
      return simulation.questions / count;
    };
    expect(questions(10_000)).toBeLessThan(questions(1000) * 1.1);
  });
});
