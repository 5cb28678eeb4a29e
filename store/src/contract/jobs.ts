import { beforeEach, expect, test } from '@jest/globals';
import { event, job, submission, type StoreUnderTest } from './fixtures.ts';

export function describeJobs(it: () => StoreUnderTest): void {
  const finished = { output: { n: 1 } };
  const failed = { failure: { reason: 'Cancelled' as const, message: 'the run is over' } };
  beforeEach(async () => {
    await it().store.submitRun(submission('u1'));
    await it().store.append('u1', 0, [event('A')], { jobs: [job('u1', 's'), job('u1', 't')] });
  });

  test('a requested job is open and comes back as it was asked for', async () => {
    expect(await it().store.job('u1/s/1')).toEqual({ ...job('u1', 's'), state: 'requested', abandoned: false });
    expect((await it().store.openJobs()).map(({ key }) => key)).toEqual(['u1/s/1', 'u1/t/1']);
    expect(await it().store.jobsOfRun('u1')).toHaveLength(2);
    expect(await it().store.job('nothing')).toBeUndefined();
  });

  test('asking for the same job again changes nothing', async () => {
    await it().store.jobCreated('u1/s/1', 'uid-1');
    await it().store.append('u1', 1, [], { jobs: [{ ...job('u1', 's'), name: 'other' }] });
    expect(await it().store.job('u1/s/1')).toMatchObject({ state: 'created', uid: 'uid-1', name: 'job-s' });
  });

  test('the first UID of a created job is kept', async () => {
    await it().store.jobCreated('u1/s/1', 'uid-1');
    await it().store.jobCreated('u1/s/1', 'uid-2');
    expect((await it().store.job('u1/s/1'))?.uid).toBe('uid-1');
  });

  test('the first outcome counts, later ones are told so', async () => {
    expect(await it().store.finishJob('u1/s/1', finished)).toBe(true);
    expect(await it().store.finishJob('u1/s/1', failed)).toBe(false);
    expect(await it().store.finishJob('nothing', finished)).toBe(false);
    expect(await it().store.job('u1/s/1')).toMatchObject({ state: 'finished', outcome: finished });
  });

  test('a finished job is not created afterwards', async () => {
    await it().store.finishJob('u1/s/1', finished);
    await it().store.jobCreated('u1/s/1', 'uid-1');
    expect((await it().store.job('u1/s/1'))?.state).toBe('finished');
  });

  test('an abandoned job stays open until it is finished', async () => {
    await it().store.append('u1', 1, [event('B')], { abandon: ['u1/s/1'] });
    expect((await it().store.openJobs()).find(({ key }) => key === 'u1/s/1')?.abandoned).toBe(true);
    await it().store.finishJob('u1/s/1', failed);
    expect((await it().store.openJobs()).map(({ key }) => key)).toEqual(['u1/t/1']);
  });

  test('a job that finished before it was abandoned keeps its outcome and needs no cleaning up', async () => {
    await it().store.finishJob('u1/s/1', finished);
    await it().store.append('u1', 1, [event('B')], { abandon: ['u1/s/1'] });
    expect(await it().store.job('u1/s/1')).toMatchObject({ state: 'finished', outcome: finished, abandoned: false });
  });
}
