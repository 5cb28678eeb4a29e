import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { TimeHeap } from './heap.ts';

const times = fc.array(fc.integer({ min: 0, max: 50 }), { maxLength: 60 });
const filled = (entries: number[]): TimeHeap<{ at: number }> => {
  const heap = new TimeHeap<{ at: number }>();
  for (const at of entries) heap.push({ at });
  return heap;
};

describe('a queue ordered by time', () => {
  test('gives everything that is due and the time of what comes next', () => {
    fc.assert(
      fc.property(times, fc.integer({ min: 0, max: 50 }), (entries, now) => {
        const due: number[] = [];
        const later = filled(entries).visitDue(now, ({ at }) => due.push(at) > 0);
        expect(due.sort((a, b) => a - b)).toEqual(entries.filter((at) => at <= now).sort((a, b) => a - b));
        expect(later).toBe(Math.min(...entries.filter((at) => at > now)));
      }),
    );
  });

  test('loses its first entries and no others', () => {
    fc.assert(
      fc.property(times, fc.integer({ min: 0, max: 50 }), (entries, before) => {
        const heap = filled(entries);
        heap.dropWhile(({ at }) => at < before);
        const left: number[] = [];
        heap.visitDue(Infinity, ({ at }) => left.push(at) > 0);
        expect(left.sort((a, b) => a - b)).toEqual(entries.filter((at) => at >= before).sort((a, b) => a - b));
      }),
    );
  });

  test('stops looking when told to', () => {
    let seen = 0;
    filled([1, 2, 3]).visitDue(10, () => ++seen < 2);
    expect(seen).toBe(2);
  });
});
