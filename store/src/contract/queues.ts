import { beforeEach, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { UnknownRunError } from '../errors.ts';
import { StaleWriteError, type QueueEntry, type QueuePlace } from '../store.ts';
import { event, submission, type StoreUnderTest } from './fixtures.ts';

export function describeQueues(it: () => StoreUnderTest): void {
  const uids = ['a', 'b', 'c', 'd', 'e'];
  beforeEach(async () => {
    for (const uid of uids) await it().store.submitRun(submission(uid));
  });
  const enter = (run: string, entry: Partial<QueueEntry> = {}) =>
    it().store.enterQueue({ run, queue: 'q', limit: 1, priority: 0, ...entry });
  const close = (run: string) => it().store.append(run, 0, [event('RunSucceeded')], { closed: true });

  test('as many as the limit says are admitted, the others wait in the order of their coming', async () => {
    expect(await enter('a', { limit: 2 })).toEqual({ admitted: true, ahead: [] });
    expect(await enter('b', { limit: 2 })).toEqual({ admitted: true, ahead: ['a'] });
    expect(await enter('c', { limit: 2 })).toEqual({ admitted: false, ahead: ['a', 'b'] });
    expect(await enter('d', { limit: 2 })).toEqual({ admitted: false, ahead: ['a', 'b', 'c'] });
  });

  test('queues know nothing of each other', async () => {
    expect((await enter('a')).admitted).toBe(true);
    expect(await enter('b', { queue: 'other' })).toEqual({ admitted: true, ahead: [] });
  });

  test('the end of a run admits the next, and whoever was admitted stays so until its own end', async () => {
    for (const uid of ['a', 'b', 'c']) await enter(uid);
    await close('a');
    expect(await enter('b')).toEqual({ admitted: true, ahead: [] });
    expect(await enter('c')).toEqual({ admitted: false, ahead: ['b'] });
    expect((await enter('d', { priority: 100 })).admitted).toBe(false);
    expect((await enter('b')).admitted).toBe(true);
    expect(await enter('c')).toEqual({ admitted: false, ahead: ['b', 'd'] });
  });

  test('the highest priority goes first, and among equals whoever came first', async () => {
    await enter('a');
    await enter('b', { priority: -1 });
    await enter('c', { priority: 5 });
    await enter('d', { priority: 5 });
    expect((await enter('e')).ahead).toEqual(['a', 'c', 'd']);
    for (const [last, next] of [
      ['a', 'c'],
      ['c', 'd'],
      ['d', 'e'],
      ['e', 'b'],
    ] as const) {
      await close(last);
      expect(await enter(next)).toEqual({ admitted: true, ahead: [] });
    }
  });

  test('each newcomer has a limit of its own, and nobody overtakes the first who waits', async () => {
    await enter('a', { limit: 3 });
    expect(await enter('b', { limit: 1 })).toEqual({ admitted: false, ahead: ['a'] });
    expect(await enter('c', { limit: 3 })).toEqual({ admitted: false, ahead: ['a', 'b'] });
    expect(await enter('d', { limit: 3, priority: 1 })).toEqual({ admitted: true, ahead: ['a'] });
    await close('a');
    await close('d');
    expect((await enter('b')).admitted).toBe(true);
    expect((await enter('c')).admitted).toBe(true);
  });

  test('entering again changes nothing: the first limit and priority count', async () => {
    await enter('a');
    await enter('b');
    await enter('c');
    expect(await enter('c', { limit: 9, priority: 9 })).toEqual({ admitted: false, ahead: ['a', 'b'] });
  });

  test('whoever would rather leave than wait leaves no trace', async () => {
    await enter('a');
    expect(await enter('b', { orLeave: true })).toEqual({ admitted: false, ahead: ['a'] });
    expect(await enter('c')).toEqual({ admitted: false, ahead: ['a'] });
    await close('a');
    expect((await enter('c')).admitted).toBe(true);
    expect(await enter('a2', { orLeave: true }).catch((error: unknown) => error)).toBeInstanceOf(UnknownRunError);
  });

  test('whoever would rather leave than wait stays if it was admitted', async () => {
    expect(await enter('a', { orLeave: true })).toEqual({ admitted: true, ahead: [] });
    expect((await enter('a', { orLeave: true })).admitted).toBe(true);
    expect((await enter('b')).admitted).toBe(false);
  });

  test('whoever leaves while it waits no longer stands in the way', async () => {
    await enter('a', { limit: 2 });
    await enter('b', { limit: 1 });
    await enter('c', { limit: 2 });
    expect((await enter('b', { orLeave: true })).admitted).toBe(false);
    expect((await enter('c')).admitted).toBe(true);
  });

  test('a run that ends while it waits leaves the queue', async () => {
    await enter('a');
    await enter('b');
    await enter('c');
    await close('b');
    expect((await enter('c')).ahead).toEqual(['a']);
  });

  test('a run that is over does not enter', async () => {
    await close('a');
    await expect(enter('a')).rejects.toThrow(StaleWriteError);
    expect(await enter('b')).toEqual({ admitted: true, ahead: [] });
  });

  test('a refused end of a run admits nobody', async () => {
    await enter('a');
    await enter('b');
    await expect(it().store.append('a', 7, [event('RunSucceeded')], { closed: true })).rejects.toThrow(StaleWriteError);
    expect((await enter('b')).admitted).toBe(false);
  });

  test('whatever happens, places are given as a list on paper would give them', async () => {
    const step = fc.record({
      run: fc.integer({ min: 0, max: 7 }),
      limit: fc.integer({ min: 1, max: 3 }),
      priority: fc.integer({ min: 0, max: 2 }),
      action: fc.constantFrom('enter', 'enter', 'try', 'close'),
    });
    let rounds = 0;
    const play = fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
      const round = ++rounds;
      const paper = new Paper();
      const over = new Set<string>();
      for (let run = 0; run < 8; run++) await it().store.submitRun(submission(`${round}-${run}`));
      for (const { run, limit, priority, action } of steps) {
        const uid = `${round}-${run}`;
        if (over.has(uid)) continue;
        const entry = { run: uid, queue: `q${round}`, limit, priority };
        if (action === 'close') {
          over.add(uid);
          await close(uid);
          paper.leave(uid);
        } else {
          const orLeave = action === 'try';
          expect(await it().store.enterQueue({ ...entry, orLeave })).toEqual(paper.enter({ ...entry, orLeave }));
        }
      }
    });
    await fc.assert(play, { numRuns: 30 });
  });

  test('who waits may be given another limit, which lets in all that now fit', async () => {
    for (const uid of uids) await enter(uid);
    const heard: string[] = [];
    it().store.subscribe('queues', (queue) => heard.push(queue));
    expect(await enter('c', { limit: 3 })).toEqual({ admitted: false, ahead: ['a', 'b'] });
    expect(await enter('b', { limit: 3 })).toEqual({ admitted: true, ahead: ['a', 'c'] });
    expect((await enter('c', { limit: 3 })).admitted).toBe(true);
    expect((await enter('a', { limit: 1 })).admitted).toBe(true);
    expect(await enter('d', { limit: 2 })).toEqual({ admitted: false, ahead: ['a', 'b', 'c'] });
    expect(heard).toContain('q');
  });

  test('of many who come at once, through two openings, no more are admitted than fit', async () => {
    const second = await it().second();
    const entries = uids.map((run, index) =>
      (index % 2 ? second : it().store).enterQueue({ run, queue: 'q', limit: 2, priority: 0 }),
    );
    expect((await Promise.all(entries)).filter(({ admitted }) => admitted)).toHaveLength(2);
    await second.close();
  });

  test('of many that end at once, through two openings, each makes room for one', async () => {
    const more = Array.from({ length: 12 }, (_, index) => `more-${index}`);
    for (const run of more) await it().store.submitRun(submission(run));
    const second = await it().second();
    const all = [...uids, ...more];
    for (const run of all) await enter(run, { limit: uids.length });
    await Promise.all(
      uids.map((run, index) => (index % 2 ? second : it().store).append(run, 0, [event('End')], { closed: true })),
    );
    const places = await Promise.all(more.map((run) => enter(run)));
    expect(places.map(({ admitted }) => admitted)).toEqual(more.map((_, index) => index < uids.length));
    await second.close();
  });
}

/** What a queue is, in the fewest words. */
class Paper {
  #entries: (QueueEntry & { admitted: boolean })[] = [];

  enter(entry: QueueEntry): QueuePlace {
    const { run, orLeave } = entry;
    const known = this.#entries.find((one) => one.run === run);
    if (!known) this.#entries.push({ ...entry, admitted: false });
    else if (!orLeave && !known.admitted) known.limit = entry.limit;
    this.#admit();
    const order = [...this.#entries.filter(({ admitted }) => admitted), ...this.#waiting()];
    const own = order.findIndex((known) => known.run === run);
    const admitted = order[own]?.admitted === true;
    const ahead = order.filter((other, index) => index !== own && (other.admitted || index < own));
    if (!admitted && orLeave) this.leave(run);
    return { admitted, ahead: ahead.map((other) => other.run) };
  }

  leave(run: string): void {
    this.#entries = this.#entries.filter((entry) => entry.run !== run);
    this.#admit();
  }

  #waiting() {
    return this.#entries.filter(({ admitted }) => !admitted).sort((a, b) => b.priority - a.priority);
  }

  #admit(): void {
    for (const first of this.#waiting()) {
      if (this.#entries.filter(({ admitted }) => admitted).length >= first.limit) return;
      first.admitted = true;
    }
  }
}
