import { describe, expect, test } from '@jest/globals';
import { silentLog } from './kube/log.ts';
import { polling } from './polling.ts';
import type { Clock } from './kube/index.ts';

/** A clock whose timers fire when the test says so. */
function stoppedClock() {
  const timers: (() => void)[] = [];
  const clock: Clock = {
    now: () => 0,
    monotonic: () => 0,
    after: (_ms, action) => {
      timers.push(action);
      return () => timers.splice(timers.indexOf(action), 1);
    },
  };
  const settle = () => new Promise<void>((resolve) => setImmediate(resolve));
  return {
    clock,
    pending: () => timers.length,
    turn: async () => {
      await settle();
      timers.shift()?.();
      await settle();
    },
  };
}

describe('looking again and again', () => {
  test('goes on after a look that failed', async () => {
    const { clock, turn } = stoppedClock();
    const seen: string[] = [];
    let looks = 0;
    const look = (enqueue: (key: string) => void): Promise<void> => {
      if (++looks === 1) return Promise.reject(new Error('no store'));
      enqueue(`look ${looks}`);
      return Promise.resolve();
    };
    const stop = polling({ periodMs: 10, look, clock, log: silentLog }).subscribe((key) => seen.push(key));
    await turn();
    await turn();
    stop();
    expect(seen).toEqual(['look 2', 'look 3']);
  });

  test('ends when nobody listens any more, even in the middle of a look', async () => {
    const { clock, pending, turn } = stoppedClock();
    const look = Promise.withResolvers<undefined>();
    const stop = polling({ periodMs: 10, look: () => look.promise, clock, log: silentLog }).subscribe(() => undefined);
    stop();
    look.resolve(undefined);
    await turn();
    expect(pending()).toBe(0);
  });
});
