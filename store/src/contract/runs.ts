import { expect, test } from '@jest/globals';
import { StoreClosedError } from '../errors.ts';
import type { RunSubmission } from '../store.ts';
import { event, job, projection, submission, usage, type StoreUnderTest } from './fixtures.ts';

export function describeRuns(it: () => StoreUnderTest): void {
  test('a submitted run is open and comes back as it was given', async () => {
    expect(await it().store.submitRun(submission('u1'))).toBe(true);
    expect(await it().store.openRuns()).toEqual(['u1']);
    expect(await it().store.submission('u1')).toEqual(submission('u1'));
  });

  test('submitting the same uid again changes nothing', async () => {
    await it().store.submitRun(submission('u1'));
    expect(await it().store.submitRun({ ...submission('u1'), name: 'other' })).toBe(false);
    expect((await it().store.submission('u1'))?.name).toBe('run-u1');
  });

  test('one of two simultaneous submissions of a uid is the first', async () => {
    const second = await it().second();
    const answers = await Promise.all([it().store.submitRun(submission('u1')), second.submitRun(submission('u1'))]);
    expect(answers.filter(Boolean)).toHaveLength(1);
    await second.close();
  });

  test('open runs come in the order of submission and leave once closed', async () => {
    for (const uid of ['c', 'a', 'b']) await it().store.submitRun(submission(uid));
    await it().store.append('a', 0, [event('RunSucceeded')], { closed: true });
    expect(await it().store.openRuns()).toEqual(['c', 'b']);
  });

  test('a run without input has the input null', async () => {
    await it().store.submitRun({ ...submission('u1'), input: undefined });
    expect((await it().store.submission('u1'))?.input).toBeNull();
  });

  test('the first cancellation counts', async () => {
    await it().store.submitRun(submission('u1'));
    await it().store.cancelRun('u1', 'by hand');
    await it().store.cancelRun('u1', 'again');
    expect(await it().store.controls('u1')).toEqual({ suspended: false, cancellation: 'by hand' });
  });

  test('cancelling an unknown or finished run does nothing', async () => {
    await it().store.cancelRun('nobody', 'x');
    await it().store.submitRun(submission('u1'));
    await it().store.append('u1', 0, [event('RunSucceeded')], { closed: true });
    await it().store.cancelRun('u1', 'too late');
    expect(await it().store.controls('nobody')).toEqual({ suspended: false });
    expect(await it().store.controls('u1')).toEqual({ suspended: false });
  });

  test('what is pinned and asked for comes back, and what is not given is absent', async () => {
    const full: RunSubmission = {
      ...submission('u1'),
      workflows: { other: { steps: [] } },
      limits: { steps: 5 },
      requestedBy: 'ann',
      priority: 0,
      fork: { run: 'u0', from: 'a', prompt: 'again' },
    };
    await it().store.submitRun(full);
    expect(await it().store.submission('u1')).toEqual(full);
    expect(await it().store.submission('nobody')).toBeUndefined();
  });

  test('a run can be suspended and resumed, also when it is being cancelled', async () => {
    await it().store.submitRun(submission('u1'));
    await it().store.suspendRun('u1', true);
    await it().store.suspendRun('u1', true);
    expect(await it().store.controls('u1')).toEqual({ suspended: true });
    await it().store.cancelRun('u1', 'by hand');
    await it().store.suspendRun('u1', false);
    expect(await it().store.controls('u1')).toEqual({ suspended: false, cancellation: 'by hand' });
  });

  test('suspending an unknown or finished run does nothing', async () => {
    await it().store.suspendRun('nobody', true);
    await it().store.submitRun(submission('u1'));
    await it().store.append('u1', 0, [event('RunSucceeded')], { closed: true });
    await it().store.suspendRun('u1', true);
    expect(await it().store.controls('u1')).toEqual({ suspended: false });
  });

  test('a name finds the latest run that had it in the namespace', async () => {
    await it().store.submitRun({ ...submission('z'), name: 'nightly' });
    await it().store.submitRun({ ...submission('a'), name: 'nightly' });
    await it().store.submitRun({ ...submission('b'), name: 'nightly', namespace: 'others' });
    await it().store.append('a', 0, [event('RunSucceeded')], { closed: true });
    expect(await it().store.findRun('team', 'nightly')).toBe('a');
    expect(await it().store.findRun('team', 'weekly')).toBeUndefined();
  });

  test('everything survives closing and opening again', async () => {
    await it().store.submitRun(submission('u1'));
    await it().store.append('u1', 0, [event('A', { n: 1 })], {
      projection: projection('u1', '0/1'),
      jobs: [job('u1', 's')],
    });
    await it().store.recordUsage(usage('call-1', 5));
    const secret = await it().store.secret('step-token');
    const again = await it().reopen();
    expect(await again.openRuns()).toEqual(['u1']);
    expect(await again.events('u1')).toEqual([{ seq: 1, ...event('A', { n: 1 }) }]);
    expect(await again.projection('u1')).toEqual({ ...projection('u1', '0/1'), version: 1 });
    expect(await again.openJobs()).toHaveLength(1);
    expect((await again.usage('u1', 's', 1)).costNanoUsd).toBe(5);
    expect(await again.secret('step-token')).toEqual(secret);
  });

  test('a closed store refuses with StoreClosedError', async () => {
    await it().store.close();
    await expect(it().store.submitRun(submission('u1'))).rejects.toThrow(StoreClosedError);
    await expect(it().store.openRuns()).rejects.toThrow(StoreClosedError);
  });

  test('closing waits for what was asked before', async () => {
    const asked = it().store.submitRun(submission('u1'));
    await it().store.close();
    expect(await asked).toBe(true);
  });
}
