import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { isDeepStrictEqual } from 'node:util';
import { ask, fail, ok, Simulation, type Script } from '../testing/simulation.ts';
import { decide } from './decide.ts';
import type { EngineEvent } from './events.ts';

describe('whatever the order of things,', () => {
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
      ask('skip', { needs: ['work'], when: '$(size(steps.work.output) > 100)' }),
      ask('nested', {
        needs: ['work', 'side'],
        forEach: { items: '$(steps.work.output)', as: 'one' },
        agent: { name: 'writer', prompt: '$(one)' },
      }),
      ask('end', { needs: ['skip', 'nested'] }),
    ],
    output: { work: '$(steps.work.output)', nested: '$(steps.nested.output)', skip: '$(steps.skip.output)' },
  };
  // Fails now and then, but never more often than it is tried again.
  const behave: Script['behave'] = (id, attempt, work) => {
    const flaky =
      (id === 'plan' && attempt < 3) || (id.startsWith('work[') && attempt < Number(/\d+/.exec(id)?.[0]) % 4);
    return flaky ? fail('RateLimited') : ok(`${id}: ${work.kind === 'agent' ? (work.prompt ?? '') : ''}`);
  };
  const script = (capacity: number): Script => ({ workflow, input: ['a', 'b', 'c', 'd', 'e', 'f'], behave, capacity });
  const reference = new Simulation(script(1)).finish().summary;
  const move = fc.tuple(fc.constantFrom('end', 'end', 'end', 'endAgain', 'wait', 'crash'), fc.nat(20));

  test('the same comes of it: ends in any order, doubled reports, crashes, more or less room', () => {
    expect(reference.phase).toBe('Succeeded');
    fc.assert(
      fc.property(fc.array(move, { maxLength: 80 }), fc.integer({ min: 1, max: 10 }), (moves, capacity) => {
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
      { numRuns: 300 },
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
        .filter(({ type }) => types.includes(type))
        .map(({ data }) => ('attempt' in data ? `${data.step}/${data.attempt}` : ''));
    const started = keys('StepStarted');
    expect(new Set(started).size).toBe(started.length);
    expect(keys('StepSucceeded', 'StepFailed', 'StepCancelled').sort()).toEqual([...started].sort());
  }
});
