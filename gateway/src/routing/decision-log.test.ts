import { expect, test } from '@jest/globals';
import type { Decision } from '@kadre/store';
import { createDecisionLog } from './decision-log.ts';

const decision = (id: string): Decision => ({ id }) as unknown as Decision;

/** A store that fails so often, and time that passes when it is told to. */
function setUp(failures: number) {
  const written: string[][] = [];
  const due: (() => void)[] = [];
  let asked = 0;
  const log = createDecisionLog({
    store: {
      recordDecisions: (all) => {
        asked += 1;
        if (asked <= failures) return Promise.reject(new Error('away'));
        written.push(all.map(({ id }) => id));
        return Promise.resolve();
      },
    },
    clock: {
      now: () => 0,
      after: (_ms, callback) => {
        due.push(callback);
        return () => undefined;
      },
    },
    logger: { warn: () => undefined },
  });
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
  return { log, written, due, turn, asked: () => asked };
}

test('decisions of one turn share a write, and nobody waits for it', async () => {
  const { log, written, turn } = setUp(0);
  for (const id of ['a', 'b', 'c']) log.add(decision(id));
  expect(written).toEqual([]);
  await turn();
  expect(written).toEqual([['a', 'b', 'c']]);
});

test('while the store is away they wait, and are written in their order', async () => {
  const { log, written, due, turn } = setUp(2);
  log.add(decision('a'));
  await turn();
  log.add(decision('b'));
  for (let times = 0; times < 2; times += 1) {
    due.shift()?.();
    await turn();
  }
  expect(written).toEqual([['a', 'b']]);
});

test('what is left is written at the end, without waiting for the time', async () => {
  const { log, written, turn } = setUp(1);
  log.add(decision('a'));
  await turn();
  await log.close();
  expect(written).toEqual([['a']]);
});

test('a store that stays away does not keep the gateway from ending', async () => {
  const { log, written, turn, due, asked } = setUp(Infinity);
  log.add(decision('a'));
  await turn();
  const closed = log.close();
  for (let times = 0; times < 4; times += 1) {
    await turn();
    due.splice(0).forEach((callback) => callback());
  }
  await closed;
  expect(written).toEqual([]);
  expect(asked()).toBeLessThanOrEqual(4);
});

test('beyond ten thousand the oldest go', async () => {
  const { log, written, turn, due } = setUp(1);
  log.add(decision('first'));
  await turn();
  for (let count = 0; count < 10_000; count += 1) log.add(decision(`d${count}`));
  due.shift()?.();
  await log.close();
  expect(written.flat()).toHaveLength(10_000);
  expect(written.flat()).not.toContain('first');
});
