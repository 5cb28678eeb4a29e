import { expect, test } from '@jest/globals';
import { RunNotOverError, UnknownRunError } from '../errors.ts';
import { approval, job, projection, submission, usage, type StoreUnderTest } from './fixtures.ts';

export function describeRetention(it: () => StoreUnderTest): void {
  const finish = async (uid: string, at: number): Promise<void> => {
    await it().store.submitRun(submission(uid));
    await it().store.append(uid, 0, [{ at, type: 'RunSucceeded', data: {} }], { closed: true });
  };
  const closed = async (before: number, limit = 9): Promise<string[]> =>
    (await it().store.closedRuns(before, limit)).map(({ uid }) => uid);

  test('closed runs come with the time of their last event, the oldest first, and no more than asked for', async () => {
    await finish('b', 20);
    await finish('c', 30);
    await finish('a', 10);
    await it().store.submitRun(submission('open'));
    const { namespace, name, subject } = submission('a');
    expect((await it().store.closedRuns(99, 1))[0]).toEqual({ uid: 'a', namespace, name, subject, closedAt: 10 });
    expect(await closed(99)).toEqual(['a', 'b', 'c']);
    expect(await closed(99, 2)).toEqual(['a', 'b']);
    expect(await closed(30)).toEqual(['a', 'b']);
  });

  test('a run whose Jobs are still to be deleted waits for that', async () => {
    await it().store.submitRun(submission('a'));
    const end = { at: 1, type: 'RunFailed', data: {} };
    await it().store.append('a', 0, [end], { closed: true, jobs: [job('a', 's')], abandon: ['a/s/1'] });
    expect(await closed(9)).toEqual([]);
    await it().store.finishJob('a/s/1', { failure: { reason: 'Cancelled', message: 'over' } });
    expect(await closed(9)).toEqual(['a']);
  });

  test('nothing is left of a run that was deleted but what it used', async () => {
    await it().store.submitRun(submission('u1'));
    const asked = { jobs: [job('u1', 's')], approvals: [approval('u1', 't')], projection: projection('u1', '1/1') };
    await it().store.append('u1', 0, [{ at: 1, type: 'RunSucceeded', data: {} }], { ...asked, closed: true });
    await it().store.recordUsage(usage('c1', 7));
    await it().store.deleteRun('u1');
    await it().store.deleteRun('u1');
    const { store } = it();
    expect(await Promise.all([store.submission('u1'), store.projection('u1'), store.job('u1/s/1')])).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
    expect(await Promise.all([store.events('u1'), store.openJobs(), store.openApprovals()])).toEqual([[], [], []]);
    expect(await closed(99)).toEqual([]);
    expect(await store.findRun('team', 'run-u1')).toBeUndefined();
    expect((await store.usage('u1', 's', 1)).costNanoUsd).toBe(7);
    await expect(store.append('u1', 1, [])).rejects.toThrow(UnknownRunError);
  });

  test('a run that was deleted does not begin anew when it is submitted once more', async () => {
    await finish('u1', 1);
    await it().store.deleteRun('u1');
    const again = await it().reopen();
    expect(await again.submitRun(submission('u1'))).toBe(false);
    expect(await again.openRuns()).toEqual([]);
  });

  test('a run at work is not deleted, an unknown one is no matter', async () => {
    await it().store.submitRun(submission('u1'));
    await expect(it().store.deleteRun('u1')).rejects.toThrow(RunNotOverError);
    expect(await it().store.openRuns()).toEqual(['u1']);
    await it().store.deleteRun('nobody');
  });
}
