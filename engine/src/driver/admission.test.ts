import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { Admission } from './admission.ts';

class Run {
  pokes = 0;
  poke(): void {
    this.pokes++;
  }
}

describe('places at an agent', () => {
  test('are given up to the limit; whoever comes later is called when one falls free', () => {
    const admission = new Admission(() => 2);
    const [one, two] = [new Run(), new Run()];
    expect([admission.acquire('a', one), admission.acquire('a', one), admission.acquire('a', two)]).toEqual([
      true,
      true,
      false,
    ]);
    expect(admission.acquire('b', two)).toBe(true);
    admission.release('a');
    expect(two.pokes).toBe(1);
    expect(admission.acquire('a', two)).toBe(true);
  });

  test('go round: a run with much to do does not keep others waiting', () => {
    const admission = new Admission(() => 1);
    const [greedy, modest] = [new Run(), new Run()];
    admission.acquire('a', greedy);
    admission.acquire('a', modest);
    admission.acquire('a', greedy);
    admission.release('a');
    expect(admission.acquire('a', greedy)).toBe(false);
    expect(admission.acquire('a', modest)).toBe(true);
    admission.release('a');
    expect(admission.acquire('a', greedy)).toBe(true);
  });

  test('that were kept for a run which needs none, or is gone, go to the next', () => {
    const admission = new Admission(() => 1);
    const [one, two, three, four] = [new Run(), new Run(), new Run(), new Run()];
    for (const run of [one, two, three, four]) admission.acquire('a', run);
    admission.release('a');
    admission.settle(two);
    expect(three.pokes).toBe(1);
    admission.withdraw(three);
    expect(four.pokes).toBe(1);
    expect(admission.acquire('a', four)).toBe(true);
  });

  test('of attempts from before a restart count, even beyond the limit', () => {
    const admission = new Admission(() => 1);
    const run = new Run();
    admission.reclaim('a');
    admission.reclaim('a');
    expect(admission.acquire('a', run)).toBe(false);
    admission.release('a');
    expect(run.pokes).toBe(0);
    admission.release('a');
    expect(run.pokes).toBe(1);
  });

  test('never exceed the limit and never stand empty while somebody waits', () => {
    const action = fc.tuple(fc.constantFrom('acquire', 'release', 'settle'), fc.nat(3));
    fc.assert(
      fc.property(fc.array(action, { maxLength: 100 }), fc.integer({ min: 1, max: 3 }), (actions, limit) => {
        const admission = new Admission(() => limit);
        const runs = [new Run(), new Run(), new Run(), new Run()];
        let used = 0;
        const waiting = new Set<Run>();
        for (const [what, which] of actions) {
          const run = runs[which] as Run;
          if (what === 'acquire' && admission.acquire('a', run)) used++;
          else if (what === 'acquire') waiting.add(run);
          else if (what === 'settle') admission.settle(run);
          else if (used > 0) used = given(admission, used, 1);
          expect(used).toBeLessThanOrEqual(limit);
        }
        // Once all places are given back, everybody who waits gets in, one after the other.
        for (const run of runs) admission.settle(run);
        given(admission, used, used);
        while (waiting.size > 0) {
          const admitted = [...waiting].filter((run) => admission.acquire('a', run));
          expect(admitted.length).toBeGreaterThan(0);
          for (const run of admitted) waiting.delete(run);
          given(admission, admitted.length, admitted.length);
        }
      }),
    );
  });
});

/** Gives back so many of the places that are used; returns how many are left. */
function given(admission: Admission, used: number, back: number): number {
  for (let i = 0; i < back; i++) admission.release('a');
  return used - back;
}
