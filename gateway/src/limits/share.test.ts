import { expect, test } from '@jest/globals';
import type { GatewaySeat } from '@kadre/store';
import { createSharedLimits } from './share.ts';
import { HandClock } from './testing/hand-clock.ts';

function setUp(seat: () => Promise<GatewaySeat>) {
  const clock = new HandClock();
  const said: string[] = [];
  const seats = new Map<string, number>();
  const say = (_facts: unknown, message: string): void => void said.push(message);
  const shared = createSharedLimits({
    store: {
      seatGateway: (id, ttl) => {
        seats.set(id, ttl);
        return seat();
      },
      unseatGateway: (id) => {
        seats.delete(id);
        return Promise.resolve();
      },
    },
    clock,
    logger: { info: say, warn: say } as never,
    heartbeatMs: 5_000,
  });
  return { clock, said, seats, shared };
}

test('a gateway is alone until it knows better, follows the others, and gives its share back', async () => {
  const answers = [{ rank: 1, of: 2 }, { rank: 1, of: 2 }, { rank: 0, of: 1 }]; // prettier-ignore
  const { clock, said, seats, shared } = setUp(() => Promise.resolve(answers.shift() ?? { rank: 0, of: 3 }));
  expect(shared.current()).toEqual({ rank: 0, of: 1 });
  shared.start();
  shared.start();
  await clock.pass(0);
  const first = shared.current();
  expect([first, [...seats.values()]]).toEqual([{ rank: 1, of: 2 }, [15_000]]);
  await clock.pass(5_000);
  // The same object: whoever looks sees at once that nothing has changed.
  expect(shared.current()).toBe(first);
  await clock.pass(5_000);
  expect(shared.current()).toEqual({ rank: 0, of: 1 });
  await shared.stop();
  expect([seats.size, clock.timers, said.length]).toEqual([0, 0, 2]);
});

test('while the store is away the last known share stays, and one line says so', async () => {
  let away = false;
  const seat = { rank: 0, of: 2 };
  const { clock, said, shared } = setUp(() => (away ? Promise.reject(new Error('away')) : Promise.resolve(seat)));
  shared.start();
  await clock.pass(0);
  away = true;
  await clock.pass(60_000);
  expect([shared.current(), said.length]).toEqual([seat, 2]);
  await shared.stop();
});

test('a store that does not answer holds nobody up who wants to stop', async () => {
  const { clock, shared } = setUp(() => new Promise(() => undefined));
  shared.start();
  const stopped = shared.stop();
  await clock.pass(1_000);
  await stopped;
  expect(clock.timers).toBe(0);
});
