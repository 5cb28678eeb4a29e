import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { isDeepStrictEqual } from 'node:util';
import { ask, fail, ok, Simulation, type Script } from '../testing/simulation.ts';
import { decide } from './decide.ts';
import type { EngineEvent } from './events.ts';

describe('whatever the order of things,', () => {
  const inner = {
    steps: [ask('look', { agent: { name: 'reader', prompt: '$(input)' } })],
    finally: [ask('tidy')],
    output: '$(steps.look.output)',
  };
  const workflow = {
    steps: [
      ask('plan', { needs: [], retry: { limit: 2 } }),
      ask('side', { needs: [], timeout: '30s', retry: { limit: 9 } }),
      ask('work', {
        needs: ['plan'],
        forEach: { items: '$(input)', parallelism: 3 },
        retry: { limit: 3, backoff: { initial: '1s' } },
        agent: { name: 'writer', prompt: '$(item) of $(steps.plan.output)' },
      }),
      {
        name: 'group',
        needs: ['work'],
        forEach: { items: '$(steps.work.output)', as: 'one', parallelism: 4 },
        repeat: { until: '$(round >= 2)', max: 3 },
        retry: { limit: 1 },
        steps: [
          ask('write', { agent: { name: 'writer', prompt: '$(one)/$(index)/$(round)/$(previous)' } }),
          ask('check', { onError: { fallback: [ask('other')] } }),
          ask('hope', { needs: ['write'], onError: { continue: true } }),
          {
            name: 'sum',
            needs: ['check', 'hope'],
            value: ['$(steps.write.output)', '$(steps.check.output)', '$(steps.hope.phase)'],
          },
        ],
      },
      { name: 'call', needs: ['plan'], workflow: { name: 'inner', input: '$(steps.plan.output)' } },
      ask('skip', { needs: ['work'], when: '$(size(steps.work.output) > 100)' }),
      ask('end', { needs: ['skip', 'group', 'side', 'call'] }),
    ],
    finally: [ask('last')],
    output: { work: '$(steps.work.output)', group: '$(steps.group.output)', call: '$(steps.call.output)' },
  };
  // Fails now and then, but never more often than it is tried again, or mended.
  const behave: Script['behave'] = (id, attempt, work) => {
    const number = Number(/\d+/.exec(id)?.[0]);
    const flaky =
      (id === 'plan' && attempt < 3) ||
      (id.startsWith('work[') && attempt < number % 4) ||
      id === 'group[2]#1.write' ||
      (id.endsWith('.check') && number % 2 === 1) ||
      (id.endsWith('.hope') && number === 3);
    return flaky
      ? fail('RateLimited')
      : ok(`${id.replace('~2', '')}: ${work.kind === 'agent' ? (work.prompt ?? '') : ''}`);
  };
  const script = (capacity: number): Script => ({
    workflow,
    workflows: { inner },
    input: ['a', 'b', 'c', 'd', 'e', 'f'],
    behave,
    capacity,
  });
  const reference = new Simulation(script(1)).finish().summary;
  const move = fc.tuple(fc.constantFrom('end', 'end', 'end', 'endAgain', 'wait', 'crash'), fc.nat(20));

  test('the same comes of it: ends in any order, doubled reports, crashes, more or less room', () => {
    expect(reference.phase).toBe('Succeeded');
    fc.assert(
      fc.property(fc.array(move, { maxLength: 120 }), fc.integer({ min: 1, max: 10 }), (moves, capacity) => {
        const simulation = new Simulation(script(capacity));
        for (const [what, place] of moves) {
          if (simulation.over) break;
          // Time may only pass as far as it doesn't end the attempt with the timeout.
          if (what === 'wait' && simulation.atWork.some((id) => id.startsWith('side'))) continue;
          simulation[what](place);
          checkInvariants(simulation, capacity);
        }
        simulation.finish();
        expect(simulation.summary).toEqual(reference);
        checkLog(simulation);
      }),
      { numRuns: 200 },
    );
  });

  test('replaying the log gives the same state and the same next decision', () => {
    fc.assert(
      fc.property(fc.array(move, { maxLength: 60 }), fc.boolean(), (moves, cancelled) => {
        const simulation = new Simulation(script(4));
        for (const [what, place] of moves) if (!simulation.over) simulation[what](place);
        if (cancelled && !simulation.over) simulation.cancel('by hand');
        const replayed = simulation.replayed();
        expect(isDeepStrictEqual(replayed, simulation.state)).toBe(true);
        const nothing = simulation.surroundings(0);
        expect(decide(replayed, simulation.now, nothing)).toEqual(decide(simulation.state, simulation.now, nothing));
      }),
      { numRuns: 200 },
    );
  });

  function checkInvariants({ state, atWork }: Simulation, capacity: number): void {
    expect(atWork.length).toBeLessThanOrEqual(capacity);
    for (const { plan, units } of state.steps.values())
      expect(units.size).toBeLessThanOrEqual(plan.forEach?.parallelism ?? (plan.forEach ? Infinity : 1));
  }

  /** Each attempt starts once, after the one before it, and ends once. */
  function checkLog({ log }: Simulation): void {
    const keys = (...types: EngineEvent['type'][]) =>
      log
        // A failure that the fallback is to mend ends nothing yet.
        .filter(({ type, data }) => types.includes(type) && !('then' in data && data.then === 'fallback'))
        .map(({ data }) => ('attempt' in data ? `${data.step}/${data.attempt}` : ''))
        // Values are computed without being started.
        .filter((key) => !key.includes('.sum/'));
    const started = keys('StepStarted');
    expect(new Set(started).size).toBe(started.length);
    expect(keys('StepSucceeded', 'StepFailed', 'StepCancelled').sort()).toEqual([...started].sort());
  }
});
