import { expect, test } from '@jest/globals';
import { event, publication, submission, type StoreUnderTest } from './fixtures.ts';

export function describePublished(it: () => StoreUnderTest): void {
  const ids = async (name: string, since: number): Promise<string[]> =>
    (await it().store.publishedEvents('team', name, since)).map(({ id }) => id);
  const cache = (output: unknown, expiresAt: number) => ({ key: 'k', output, run: 'u1', expiresAt });

  test('an event comes back as it was published', async () => {
    expect(await it().store.publishEvent(publication('e1', 5))).toBe(true);
    expect(await it().store.publishedEvents('team', 'paid', 0)).toEqual([publication('e1', 5)]);
  });

  test('an event that is published twice is one, and the first', async () => {
    expect(await it().store.publishEvent(publication('e1', 5))).toBe(true);
    expect(await it().store.publishEvent({ ...publication('e1', 6), payload: 'other' })).toBe(false);
    expect(await it().store.publishedEvents('team', 'paid', 0)).toEqual([publication('e1', 5)]);
  });

  test('one of two simultaneous publications is the first', async () => {
    const second = await it().second();
    const both = [it().store, second].map((store) => store.publishEvent(publication('e1', 5)));
    expect((await Promise.all(both)).filter(Boolean)).toHaveLength(1);
    await second.close();
  });

  test('the same id in another namespace is another event', async () => {
    await it().store.publishEvent(publication('e1', 5));
    expect(await it().store.publishEvent({ ...publication('e1', 5), namespace: 'others' })).toBe(true);
    expect(await ids('paid', 0)).toEqual(['e1']);
  });

  test('events of a name come oldest first, those of one moment as they came, from the given time on', async () => {
    for (const [id, at] of [
      ['late', 9],
      ['z', 5],
      ['a', 5],
      ['early', 1],
    ] as const)
      await it().store.publishEvent(publication(id, at));
    await it().store.publishEvent(publication('other', 5, 'sent'));
    expect(await ids('paid', 5)).toEqual(['z', 'a', 'late']);
    expect(await ids('paid', 0)).toEqual(['early', 'z', 'a', 'late']);
    expect(await ids('nothing', 0)).toEqual([]);
  });

  test.each([
    ['before it expires', 99, 'found'],
    ['in the moment in which it expires', 100, 'missed'],
    ['afterwards', 101, 'missed'],
  ])('an output in the cache that is looked for %s is %s', async (_, now, found) => {
    await it().store.submitRun(submission('u1'));
    await it().store.append('u1', 0, [event('A')], { cache: [cache({ n: 1 }, 100)] });
    expect(await it().store.cachedOutput('k', now)).toEqual(found === 'found' ? cache({ n: 1 }, 100) : undefined);
    expect(await it().store.cachedOutput('other', now)).toBeUndefined();
  });

  test('the latest output under a key is the one that is found', async () => {
    await it().store.submitRun(submission('u1'));
    await it().store.append('u1', 0, [event('A')], { cache: [cache(1, 100)] });
    await it().store.append('u1', 1, [event('B')], { cache: [cache(2, 200), cache(3, 300)] });
    expect(await it().store.cachedOutput('k', 150)).toEqual(cache(3, 300));
  });

  test('a refused append caches nothing', async () => {
    await it().store.submitRun(submission('u1'));
    await it()
      .store.append('u1', 7, [event('A')], { cache: [cache(1, 100)] })
      .catch(() => undefined);
    expect(await it().store.cachedOutput('k', 1)).toBeUndefined();
  });

  test('what is older than a time is forgotten, what is not stays', async () => {
    await it().store.submitRun(submission('u1'));
    const both = [cache(1, 99), { ...cache(2, 100), key: 'k2' }];
    await it().store.append('u1', 0, [event('A')], { cache: both });
    await it().store.publishEvent(publication('old', 99));
    await it().store.publishEvent(publication('new', 100));
    await it().store.prune(100);
    await it().store.prune(100);
    expect(await it().store.cachedOutput('k', 0)).toBeUndefined();
    expect((await it().store.cachedOutput('k2', 0))?.output).toBe(2);
    expect(await ids('paid', 0)).toEqual(['new']);
  });
}
