// What every store must do, whatever database it keeps its facts in.
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { StoreClosedError, UnknownRunError } from './errors.ts';
import { StaleWriteError } from './store.ts';
import type { JobRequest, RunProjection, RunSubmission, Store, Topic, UsageRecord } from './store.ts';

export interface StoreUnderTest {
  /** A fresh store; `reopen` closes it and opens the same one again; `second` opens it once more beside the first. */
  store: Store;
  reopen: () => Promise<Store>;
  second: () => Promise<Store>;
  cleanUp: () => Promise<void>;
}

export function describeStore(name: string, open: () => Promise<StoreUnderTest>): void {
  describe(name, () => {
    let it: StoreUnderTest;
    beforeEach(async () => {
      it = await open();
    });
    afterEach(() => it.cleanUp());
    const subject = (): StoreUnderTest => it;
    describe('runs', () => describeRuns(subject));
    describe('the log', () => describeLog(subject));
    describe('jobs', () => describeJobs(subject));
    describe('usage and secrets', () => describeUsage(subject));
    describe('hints', () => describeHints(subject));
  });
}

export const submission = (uid: string): RunSubmission => ({
  uid,
  namespace: 'team',
  name: `run-${uid}`,
  subject: 'article',
  workflow: { steps: [{ name: 'a', agent: { name: 'x' } }] },
  input: { topics: ['é', 1.5, null] },
});

const projection = (uid: string, progress: string): Omit<RunProjection, 'version'> => ({
  uid,
  namespace: 'team',
  name: `run-${uid}`,
  status: { phase: 'Running', progress },
});

const job = (run: string, step: string): JobRequest => ({
  key: `${run}/${step}/1`,
  run: { uid: run, namespace: 'team', name: `run-${run}` },
  step,
  attempt: 1,
  name: `job-${step}`,
  timeoutMs: 1000,
  work: { container: { image: 'busybox' } },
});

const event = (type: string, data: unknown = {}) => ({ at: 1_700_000_000_000, type, data });

function describeRuns(it: () => StoreUnderTest): void {
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

function describeLog(it: () => StoreUnderTest): void {
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

function describeJobs(it: () => StoreUnderTest): void {
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

const usage = (id: string, costNanoUsd: number | null, step = 's'): UsageRecord => ({
  id,
  at: 1,
  namespace: 'team',
  agent: 'writer',
  model: 'smart',
  run: { uid: 'u1', step, attempt: 1 },
  inputTokens: 10,
  outputTokens: 2,
  costNanoUsd,
});

function describeUsage(it: () => StoreUnderTest): void {
  test('usage adds up for each attempt of a step; a call without a price is counted apart', async () => {
    await it().store.recordUsage(usage('c1', 1_500_000_001));
    await it().store.recordUsage(usage('c2', 2));
    await it().store.recordUsage(usage('c3', null));
    await it().store.recordUsage(usage('c4', 7, 'other'));
    const outside: UsageRecord = usage('c5', 9);
    delete outside.run;
    await it().store.recordUsage(outside);
    expect(await it().store.usage('u1', 's', 1)).toEqual({
      inputTokens: 30,
      outputTokens: 6,
      costNanoUsd: 1_500_000_003,
      unpricedCalls: 1,
    });
  });

  test('a call that is recorded twice counts once', async () => {
    await Promise.all([it().store.recordUsage(usage('c1', 3)), it().store.recordUsage(usage('c1', 3))]);
    expect((await it().store.usage('u1', 's', 1)).costNanoUsd).toBe(3);
  });

  test('a step without calls used nothing', async () => {
    expect(await it().store.usage('u1', 's', 1)).toEqual({
      inputTokens: 0,
      outputTokens: 0,
      costNanoUsd: 0,
      unpricedCalls: 0,
    });
  });

  test('the secret has 32 bytes and is the same for everybody', async () => {
    const second = await it().second();
    const [one, two] = await Promise.all([it().store.secret('step-token'), second.secret('step-token')]);
    expect(one).toHaveLength(32);
    expect(two).toEqual(one);
    await second.close();
  });
}

function describeHints(it: () => StoreUnderTest): void {
  test('whoever listens hears of a change after it can be read, beside other openings of the store too', async () => {
    const second = await it().second();
    const heard = Promise.all([it().store, second].map((store) => submissionSeen(store)));
    await it().store.submitRun(submission('u1'));
    expect(await heard).toEqual([
      ['u1', 'run-u1'],
      ['u1', 'run-u1'],
    ]);
    await second.close();
  });

  test('each change is told under its topic, a call that changed nothing under none', async () => {
    const heard: string[] = [];
    const topics: Topic[] = ['submissions', 'controls', 'jobs', 'job-outcomes', 'projections'];
    for (const topic of topics) it().store.subscribe(topic, (key) => heard.push(`${topic} ${key}`));
    await it().store.submitRun(submission('u1'));
    await it().store.submitRun(submission('u1'));
    const asked = { jobs: [job('u1', 's')], projection: projection('u1', '0/1') };
    await it().store.append('u1', 0, [event('A')], asked);
    await it().store.append('u1', 1, [event('B')], asked);
    await it().store.jobCreated('u1/s/1', 'uid-1');
    await it().store.finishJob('u1/s/1', { output: 1 });
    await it().store.cancelRun('u1', 'stop');
    await new Promise((resolve) => setImmediate(resolve));
    expect(heard).toEqual([
      'submissions u1',
      'jobs u1/s/1',
      'projections u1',
      'jobs u1/s/1',
      'job-outcomes u1/s/1',
      'controls u1',
    ]);
  });

  test('whoever unsubscribed hears nothing more', async () => {
    const heard: string[] = [];
    const stop = it().store.subscribe('submissions', (key) => heard.push(key));
    stop();
    await it().store.submitRun(submission('u1'));
    await new Promise((resolve) => setImmediate(resolve));
    expect(heard).toEqual([]);
  });
}

function submissionSeen(store: Store): Promise<[string, string | undefined]> {
  return new Promise((resolve, reject) => {
    store.subscribe('submissions', (key) => {
      store.submission(key).then((run) => resolve([key, run?.name]), reject);
    });
  });
}
