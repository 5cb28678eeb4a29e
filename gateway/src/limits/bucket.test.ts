import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { Bucket } from './bucket.ts';

const MINUTE = 60_000;

/** When each amount is taken by somebody who always takes it as soon as it can be had. */
function takenAt(bucket: Bucket, amounts: readonly number[]): number[] {
  let now = 0;
  return amounts.map((amount) => {
    now += bucket.wait(amount, now);
    expect(bucket.wait(amount, now)).toBe(0);
    bucket.take(amount, now);
    return now;
  });
}

const times = (count: number, amount = 1): number[] => Array<number>(count).fill(amount);

test('a minute has so many as the limit says, after ten seconds’ worth at once', () => {
  const at = takenAt(new Bucket(60, 0), times(100));
  expect(at.filter((time) => time === 0)).toHaveLength(10);
  expect(at.slice(9, 13)).toEqual([0, 1000, 2000, 3000]);
  expect(at.filter((time) => time < MINUTE)).toHaveLength(69);
});

test.each([1, 2, 5])('a limit of %d a minute lets the first go at once, and the others evenly', (limit) => {
  expect(takenAt(new Bucket(limit, 0), times(4))).toEqual([0, 1, 2, 3].map((turn) => (turn * MINUTE) / limit));
});

test('in any minute there is at most a sixth more than the limit, and no less than it if there is enough to do', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 500 }), fc.array(fc.nat(90_000), { maxLength: 20 }), (limit, pauses) => {
      const bucket = new Bucket(limit, 0);
      const taken: number[] = [];
      let now = 0;
      for (const pause of [0, ...pauses]) {
        now += pause;
        for (let call = 0; call < 40; call += 1) {
          now += bucket.wait(1, now);
          bucket.take(1, now);
          taken.push(now);
        }
      }
      for (const [index, from] of taken.entries()) {
        const within = taken.slice(index).filter((time) => time < from + MINUTE).length;
        expect(within).toBeLessThanOrEqual(limit + Math.max(1, limit / 6) + 1e-6);
      }
    }),
    { numRuns: 50 },
  );
});

test('what is more than it holds is had when it is full, and leaves a debt', () => {
  const bucket = new Bucket(600, 0);
  bucket.take(50, 0);
  expect(bucket.wait(300, 0)).toBe(5_000);
  bucket.take(300, 5_000);
  expect(bucket.wait(1, 5_000)).toBe(20_100);
});

describe('what a call really took', () => {
  test('is set right afterwards', () => {
    const bucket = new Bucket(600, 0);
    bucket.take(100, 0);
    bucket.give(60);
    expect(bucket.wait(60, 0)).toBe(0);
    bucket.give(-70);
    expect(bucket.wait(10, 0)).toBe(2_000);
  });

  test('never fills it beyond its brim, nor costs more than a minute', () => {
    const bucket = new Bucket(600, 0);
    bucket.give(1e9);
    expect(bucket.wait(1, 0, 100)).toBe(100);
    bucket.give(-1e9);
    expect(bucket.wait(0.001, 0)).toBe(MINUTE + 1);
  });
});

test('a limit that changes holds from then on, for what is in it as well', () => {
  const bucket = new Bucket(600, 0);
  bucket.limitTo(60, 0);
  expect(takenAt(bucket, times(12)).slice(-2)).toEqual([1000, 2000]);
  bucket.limitTo(6_000, 2_000);
  expect(bucket.wait(1, 2_000)).toBe(10);
});

test('a clock that goes back takes nothing away, and gives nothing twice', () => {
  const bucket = new Bucket(60, 10_000);
  bucket.take(10, 10_000);
  expect(bucket.wait(1, 5_000)).toBe(1000);
  expect(bucket.wait(1, 6_000)).toBe(0);
});
