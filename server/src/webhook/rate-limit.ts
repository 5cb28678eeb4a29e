// How often something may happen, for each key apart: a bucket that fills evenly, and is full at first.
import { BoundedMap } from '@kadre/store';
import type { Clock } from '../options.ts';

const CAPACITY = 10_000;
const MINUTE = 60_000;

export interface RateLimit {
  /** Takes one of the `perMinute` of the key; if there is none, the milliseconds until there will be, else 0. */
  take(key: string, perMinute: number): number;
}

export function createRateLimit(clock: Clock): RateLimit {
  const buckets = new BoundedMap<string, { left: number; at: number }>(CAPACITY);
  return {
    take: (key, perMinute) => {
      const now = clock.now();
      const { left, at } = buckets.get(key) ?? { left: perMinute, at: now };
      // A clock that was set back must not empty the bucket.
      const filled = Math.min(perMinute, left + (Math.max(0, now - at) * perMinute) / MINUTE);
      const taken = filled >= 1;
      buckets.set(key, { left: taken ? filled - 1 : filled, at: now });
      return taken ? 0 : Math.ceil(((1 - filled) * MINUTE) / perMinute);
    },
  };
}
