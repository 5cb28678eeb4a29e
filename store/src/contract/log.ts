import { expect, test } from '@jest/globals';
import { UnknownRunError } from '../errors.ts';
import { StaleWriteError } from '../store.ts';
import { event, job, projection, submission, type StoreUnderTest } from './fixtures.ts';

export function describeLog(it: () => StoreUnderTest): void {
  test('events are numbered from 1 without gaps and can be read from any point', async () => {
    await it().store.submitRun(submission('u1'));
    await it().store.append('u1', 0, [event('A'), event('B', [1, 'zwei'])]);
    await it().store.append('u1', 2, [event('C', null)]);
    expect((await it().store.events('u1')).map(({ seq, type }) => [seq, type])).toEqual([
      [1, 'A'],
      [2, 'B'],
      [3, 'C'],
    ]);
    expect(await it().store.events('u1', 2)).toEqual([{ seq: 3, ...event('C', null) }]);
  });

  test.each([
    ['behind the log', 0],
    ['ahead of the log', 2],
  ])('a writer that is %s is refused and writes nothing', async (_, expectedSeq) => {
    await it().store.submitRun(submission('u1'));
    await it().store.append('u1', 0, [event('A')]);
    const effects = { projection: projection('u1', '9/9'), jobs: [job('u1', 's')], closed: true };
    await expect(it().store.append('u1', expectedSeq, [event('B')], effects)).rejects.toThrow(StaleWriteError);
    expect(await it().store.events('u1')).toHaveLength(1);
    expect(await it().store.projection('u1')).toBeUndefined();
    expect(await it().store.openJobs()).toEqual([]);
    expect(await it().store.openRuns()).toEqual(['u1']);
  });

  test('of two writers with the same knowledge one wins, the other is told', async () => {
    await it().store.submitRun(submission('u1'));
    const second = await it().second();
    const outcomes = await Promise.allSettled([
      it().store.append('u1', 0, [event('mine')]),
      second.append('u1', 0, [event('theirs')]),
    ]);
    expect(outcomes.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    expect(await it().store.events('u1')).toHaveLength(1);
    await second.close();
  });

  test('a refused append does not harm others of the same moment', async () => {
    await it().store.submitRun(submission('u1'));
    await it().store.submitRun(submission('u2'));
    const outcomes = await Promise.allSettled([
      it().store.append('u1', 0, [event('A')]),
      it().store.append('u1', 0, [event('stale')]),
      it().store.append('u2', 0, [event('B')]),
      it().store.append('nobody', 0, [event('C')]),
    ]);
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled', 'rejected']);
    expect(await it().store.events('u2')).toHaveLength(1);
  });

  test('an unknown run has no events and takes none', async () => {
    expect(await it().store.events('nobody')).toEqual([]);
    await expect(it().store.append('nobody', 0, [event('A')])).rejects.toThrow(UnknownRunError);
  });

  test('a closed log takes nothing more', async () => {
    await it().store.submitRun(submission('u1'));
    await it().store.append('u1', 0, [event('A')], { closed: true });
    await expect(it().store.append('u1', 1, [event('B')])).rejects.toThrow(StaleWriteError);
  });

  test('the version of a projection grows by one with each change, and only then', async () => {
    await it().store.submitRun(submission('u1'));
    await it().store.append('u1', 0, [event('A')], { projection: projection('u1', '0/2') });
    await it().store.append('u1', 1, [event('B')], { projection: projection('u1', '0/2') });
    expect((await it().store.projection('u1'))?.version).toBe(1);
    await it().store.append('u1', 2, [event('C')], { projection: projection('u1', '1/2') });
    expect(await it().store.projection('u1')).toEqual({ ...projection('u1', '1/2'), version: 2 });
  });
}
