// Several engines may run at once, and each run is one engine's at a time.
import { describe, expect, test } from '@jest/globals';
import { FencedError, StaleWriteError, type Store } from '../store.ts';
import { event, eventually, submission, type StoreUnderTest } from './fixtures.ts';

const TTL = 600_000;

export function describeEngines(it: () => StoreUnderTest): void {
  const submit = async (...uids: string[]): Promise<void> => {
    for (const uid of uids) await it().store.submitRun(submission(uid));
  };

  test('each seat has a number that was never given before', async () => {
    const first = await it().store.joinEngines(TTL);
    await it().store.leaveEngines(first);
    const second = await it().store.joinEngines(TTL);
    const third = await (await it().reopen()).joinEngines(TTL);
    expect(new Set([first, second, third]).size).toBe(3);
    expect(third).toBeGreaterThan(second);
  });

  test('an engine claims runs in order of submission, as many as it wants, each once', async () => {
    await submit('c', 'a', 'b');
    const epoch = await it().store.joinEngines(TTL);
    expect(await it().store.claimRuns(epoch, 2)).toEqual(['c', 'a']);
    expect(await it().store.claimRuns(epoch, 2)).toEqual(['b']);
    expect(await it().store.claimRuns(epoch, 2)).toEqual([]);
    await submit('d');
    expect(await it().store.claimRuns(epoch, 0)).toEqual([]);
    expect(await it().store.claimRuns(epoch, 2)).toEqual(['d']);
  });

  test('a run that is over is nobody’s to claim', async () => {
    await submit('a', 'b');
    await it().store.append('a', 0, [event('RunSucceeded')], { closed: true });
    const epoch = await it().store.joinEngines(TTL);
    expect(await it().store.claimRuns(epoch, 9)).toEqual(['b']);
  });

  test('a claimed run takes the appends of its engine', async () => {
    await submit('a');
    const epoch = await it().store.joinEngines(TTL);
    await it().store.claimRuns(epoch, 1);
    await it().store.append('a', 0, [event('A')], { epoch });
    await it().store.append('a', 1, [event('B')], { epoch, closed: true });
    expect(await it().store.openRuns()).toEqual([]);
  });

  test.each<[string, (epoch: number) => number | undefined]>([
    ['without a seat', () => undefined],
    ['with another seat', (epoch) => epoch + 1],
    ['with an earlier seat', (epoch) => epoch - 1],
  ])('a claimed run refuses a writer %s and stays as it was', async (_, other) => {
    await submit('a');
    const epoch = await it().store.joinEngines(TTL);
    await it().store.claimRuns(epoch, 1);
    const theirs = other(epoch);
    const effects = { closed: true, ...(theirs !== undefined && { epoch: theirs }) };
    const refused = await it()
      .store.append('a', 0, [event('A')], effects)
      .catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(FencedError);
    expect(refused).toBeInstanceOf(StaleWriteError);
    expect(await it().store.events('a')).toEqual([]);
    expect(await it().store.openRuns()).toEqual(['a']);
  });

  test('a seat alone is no right to write: the run must be claimed', async () => {
    await submit('a');
    const epoch = await it().store.joinEngines(TTL);
    await expect(it().store.append('a', 0, [event('A')], { epoch })).rejects.toThrow(FencedError);
    await it().store.append('a', 0, [event('A')]);
  });

  test('a new seat over a store that was opened again gets the runs that the former had', async () => {
    await submit('a');
    const former = await it().store.joinEngines(1);
    const store = await it().reopen();
    const epoch = await store.joinEngines(TTL);
    expect(await eventually(() => claimed(store, epoch))).toEqual(['a']);
    await expect(store.append('a', 0, [event('A')], { epoch: former })).rejects.toThrow(FencedError);
    await store.append('a', 0, [event('A')], { epoch });
  });

  describe('an engine that gives its seat back', () => {
    test('leaves its runs to the next one', async () => {
      await submit('a', 'b');
      const first = await it().store.joinEngines(TTL);
      await it().store.claimRuns(first, 9);
      await it().store.leaveEngines(first);
      await it().store.leaveEngines(first);
      const second = await it().store.joinEngines(TTL);
      expect(await it().store.claimRuns(second, 9)).toEqual(['a', 'b']);
    });

    test('leaves its runs to writers without a seat', async () => {
      await submit('a');
      const epoch = await it().store.joinEngines(TTL);
      await it().store.claimRuns(epoch, 9);
      await it().store.leaveEngines(epoch);
      await it().store.append('a', 0, [event('A')]);
    });

    test('may not write, claim or renew any more', async () => {
      await submit('a');
      const epoch = await it().store.joinEngines(TTL);
      await it().store.claimRuns(epoch, 9);
      await it().store.leaveEngines(epoch);
      await expectLost(it().store, epoch);
    });
  });

  test('an engine that was paused for longer than its seat lasts has lost it, and its runs with it', async () => {
    await submit('a', 'b');
    const paused = await it().store.joinEngines(TTL);
    expect(await it().store.claimRuns(paused, 1)).toEqual(['a']);
    await it().store.append('a', 0, [event('A')], { epoch: paused });
    // What it would have if it woke up now: a seat that ended while it slept.
    expect(await it().store.renewEngine(paused, 0)).toBe(true);
    await expectLost(it().store, paused);
    const other = await it().second();
    const epoch = await other.joinEngines(TTL);
    expect(await other.claimRuns(epoch, 9)).toEqual(['a', 'b']);
    await other.append('a', 1, [event('B')], { epoch });
    await expectLost(it().store, paused, 2);
    expect((await it().store.events('a')).map(({ type }) => type)).toEqual(['A', 'B']);
    await other.close();
  });

  test('a seat that is renewed lasts', async () => {
    await submit('a');
    const epoch = await it().store.joinEngines(TTL);
    expect(await it().store.renewEngine(epoch, TTL)).toBe(true);
    expect(await it().store.claimRuns(epoch, 1)).toEqual(['a']);
  });

  test('a number that nobody was given has no seat', async () => {
    await submit('a');
    expect(await it().store.renewEngine(4711, TTL)).toBe(false);
    expect(await it().store.claimRuns(4711, 1)).toEqual([]);
    await it().store.leaveEngines(4711);
  });
}

async function claimed(store: Store, epoch: number): Promise<string[] | undefined> {
  const uids = await store.claimRuns(epoch, 9);
  return uids.length > 0 ? uids : undefined;
}

async function expectLost(store: Store, epoch: number, seq = 1): Promise<void> {
  expect(await store.renewEngine(epoch, TTL)).toBe(false);
  expect(await store.claimRuns(epoch, 9)).toEqual([]);
  await expect(store.append('a', seq, [event('late')], { epoch })).rejects.toThrow(FencedError);
}
