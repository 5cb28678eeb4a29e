import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { FairQueue, type Place } from './fair-queue.ts';

interface Item extends Place {
  number: number;
}

const drain = (queue: FairQueue<Item>): Item[] => {
  const served: Item[] = [];
  for (let item = queue.shift(); item; item = queue.shift()) served.push(item);
  return served;
};

test('turns go round among namespaces, and in each among its agents, whoever came first', () => {
  const queue = new FairQueue<Item>();
  const calls = ['a/greedy', 'a/greedy', 'a/greedy', 'a/modest', 'b/late', 'b/late'];
  for (const [number, call] of calls.entries()) {
    const [namespace = '', agent = ''] = call.split('/');
    queue.add({ namespace, agent, number });
  }
  expect(queue.ahead({ namespace: 'a', agent: 'greedy' })).toBe(6);
  expect(queue.ahead({ namespace: 'a', agent: 'new' })).toBe(4);
  expect(queue.ahead({ namespace: 'c', agent: 'new' })).toBe(2);
  expect(drain(queue).map(({ number }) => number)).toEqual([0, 4, 3, 5, 1, 2]);
});

const place = fc.record({ namespace: fc.constantFrom('x', 'y', 'z'), agent: fc.constantFrom('a', 'b', 'c', 'd') });
const step = fc.oneof(
  { weight: 3, arbitrary: place.map((at) => ({ add: at })) },
  { weight: 2, arbitrary: fc.constant({ serve: true as const }) },
  { weight: 1, arbitrary: fc.nat().map((number) => ({ leave: number })) },
);

test('whatever comes, goes and is served: nobody is lost, nobody overtakes himself, nobody waits for somebody’s second turn', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
      const queue = new FairQueue<Item>();
      const waiting: Item[] = [];
      /** Who had a turn since each of those who wait began to, or had one himself. */
      const turns = new Map<string, string[]>();
      const served = (item: Item): void => {
        const own = waiting.filter(({ namespace, agent }) => namespace === item.namespace && agent === item.agent);
        expect(own[0]).toBe(item);
        for (const [name, others] of turns) {
          const [namespace] = name.split('/');
          if (item.namespace !== namespace || name === nameOf(item)) continue;
          expect(others).not.toContain(item.agent);
          others.push(item.agent);
        }
        for (const [namespace, others] of rounds) {
          if (namespace === item.namespace) continue;
          expect(others).not.toContain(item.namespace);
          others.push(item.namespace);
        }
        turns.set(nameOf(item), []);
        rounds.set(item.namespace, []);
        forget(item);
      };
      const rounds = new Map<string, string[]>();
      const forget = (item: Item): void => {
        waiting.splice(waiting.indexOf(item), 1);
        if (!waiting.some((other) => nameOf(other) === nameOf(item))) turns.delete(nameOf(item));
        if (!waiting.some(({ namespace }) => namespace === item.namespace)) rounds.delete(item.namespace);
      };
      for (const [number, one] of steps.entries()) {
        if ('add' in one) {
          const item = { ...one.add, number };
          queue.add(item);
          waiting.push(item);
          if (!turns.has(nameOf(item))) turns.set(nameOf(item), []);
          if (!rounds.has(item.namespace)) rounds.set(item.namespace, []);
        } else if ('serve' in one) {
          const next = queue.first();
          expect(queue.shift()).toBe(next);
          if (next) served(next);
          else expect(waiting).toEqual([]);
        } else if (waiting.length > 0) {
          const item = waiting[one.leave % waiting.length] as Item;
          expect([queue.delete(item), queue.delete(item)]).toEqual([true, false]);
          forget(item);
        }
        expect(queue.size).toBe(waiting.length);
      }
      expect(drain(queue)).toHaveLength(waiting.length);
    }),
    { numRuns: 200 },
  );
});

const nameOf = ({ namespace, agent }: Place): string => `${namespace}/${agent}`;
