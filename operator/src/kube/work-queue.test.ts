import { beforeEach, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { FakeClock, settle } from './fake-clock.ts';
import { createKubeMetrics } from './metrics.ts';
import { WorkQueue } from './work-queue.ts';

let clock: FakeClock;
let queue: WorkQueue;
let metrics: ReturnType<typeof createKubeMetrics>;
beforeEach(() => {
  clock = new FakeClock();
  metrics = createKubeMetrics();
  queue = new WorkQueue({ name: 'q', clock, metrics });
});

describe('a key', () => {
  test('waits once, however often it is added', async () => {
    queue.add('a');
    queue.add('b');
    queue.add('a');
    expect(queue.depth).toBe(2);
    expect(await queue.take()).toBe('a');
    expect(await queue.take()).toBe('b');
    expect(queue.depth).toBe(0);
  });

  test('that is added while it is worked on comes back once that is done, and not before', async () => {
    queue.add('a');
    await queue.take();
    queue.add('a');
    queue.add('a');
    expect(queue.depth).toBe(0);
    queue.done('a');
    expect(queue.depth).toBe(1);
    expect(await queue.take()).toBe('a');
    queue.done('a');
    expect(queue.depth).toBe(0);
  });

  test('reaches whoever already waits for one', async () => {
    const taken = queue.take();
    queue.add('a');
    expect(await taken).toBe('a');
  });

  test('is never worked on twice at a time, and the last addition is never lost', async () => {
    const action = fc.constantFrom('add a', 'add b', 'take', 'done a', 'done b');
    await fc.assert(
      fc.asyncProperty(fc.array(action, { maxLength: 40 }), async (actions) => {
        const own = new WorkQueue({ name: 'p', clock });
        const working = new Set<string>();
        const dirty = new Set<string>();
        for (const each of actions) {
          const [verb, key = ''] = each.split(' ');
          if (verb === 'add') dirty.add(key);
          if (verb === 'add') own.add(key);
          if (verb === 'done' && working.delete(key)) own.done(key);
          if (verb !== 'take' || own.depth === 0) continue;
          const taken = (await own.take()) ?? '';
          expect(working.has(taken)).toBe(false);
          working.add(taken);
          dirty.delete(taken);
        }
        for (const key of working) own.done(key);
        expect(own.depth).toBe(dirty.size);
      }),
    );
  });
});

describe('delays', () => {
  test('a failing key comes back after 5 ms, 10 ms, 20 ms …, at most 1000 s', async () => {
    const delays: number[] = [];
    for (let i = 0; i < 20; i++) {
      queue.addRateLimited('a');
      delays.push(clock.nextIn ?? 0);
      await clock.advance(1_000_000);
      queue.done((await queue.take()) ?? '');
    }
    expect(delays.slice(0, 4)).toEqual([5, 10, 20, 40]);
    expect(delays.at(-1)).toBe(1_000_000);
    queue.forget('a');
    queue.addRateLimited('a');
    expect(clock.nextIn).toBe(5);
  });

  test('a delay that the server asked for is kept to', () => {
    queue.addRateLimited('a', 3000);
    expect(clock.nextIn).toBe(3000);
  });

  test('of several delays the earliest counts', async () => {
    queue.addAfter('a', 1000);
    queue.addAfter('a', 100);
    queue.addAfter('a', 5000);
    await clock.advance(100);
    expect(queue.depth).toBe(1);
    expect(clock.pending).toBe(0);
  });
});

describe('shutting down', () => {
  test('wakes those who wait, drops what waits, and ends when the work under way does', async () => {
    queue.add('a');
    await queue.take();
    const waiting = queue.take();
    queue.addAfter('later', 1000);
    let over = false;
    const down = queue.shutDown().then(() => (over = true));
    expect(await waiting).toBeUndefined();
    await settle();
    expect(over).toBe(false);
    queue.add('b');
    expect(queue.depth).toBe(0);
    queue.done('a');
    await down;
    expect(clock.pending).toBe(0);
    expect(await queue.take()).toBeUndefined();
  });
});

test("depth, additions and retries are metrics under client-go's names", async () => {
  queue.add('a');
  queue.add('b');
  queue.addRateLimited('c');
  await queue.take();
  const text = await metrics.registry.metrics();
  expect(text).toContain('workqueue_depth{name="q",controller="q"} 1');
  expect(text).toContain('workqueue_adds_total{name="q",controller="q"} 2');
  expect(text).toContain('workqueue_retries_total{name="q",controller="q"} 1');
  expect(text).toContain('workqueue_queue_duration_seconds_count{name="q",controller="q"} 1');
});
