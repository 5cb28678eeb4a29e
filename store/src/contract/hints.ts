import { expect, test } from '@jest/globals';
import type { Store, Topic } from '../store.ts';
import { approval, event, eventually, job, projection, publication, submission } from './fixtures.ts';
import type { StoreUnderTest } from './fixtures.ts';

const topics: Topic[] = [
  'submissions',
  'controls',
  'jobs',
  'job-outcomes',
  'approvals',
  'decisions',
  'events',
  'queues',
  'projections',
];

export function describeHints(it: () => StoreUnderTest): void {
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
    const { store } = it();
    const heard: string[] = [];
    for (const topic of topics) store.subscribe(topic, (key) => heard.push(`${topic} ${key}`));
    await store.submitRun(submission('u1'));
    await store.submitRun(submission('u1'));
    const asked = { jobs: [job('u1', 's')], approvals: [approval('u1', 'a')], projection: projection('u1', '0/1') };
    await store.append('u1', 0, [event('A')], asked);
    await store.append('u1', 1, [event('B')], asked);
    await store.jobCreated('u1/s/1', 'uid-1');
    for (let twice = 0; twice < 2; twice++) {
      await store.finishJob('u1/s/1', { output: 1 });
      await store.decideApproval('u1/a/1', { approved: true, by: 'bob', at: 1 });
      await store.publishEvent(publication('e1', 1));
      await store.cancelRun('u1', 'stop');
      await store.suspendRun('u1', true);
    }
    await store.enterQueue({ run: 'u1', queue: 'q', limit: 1, priority: 0 });
    await store.append('u1', 2, [event('C')], { closed: true, withdraw: ['u1/a/1'], abandon: ['u1/s/1'] });
    await store.submitRun(submission('the end'));
    await eventually(() => heard.includes('submissions the end') || undefined);
    expect(heard).toEqual([
      'submissions u1',
      'jobs u1/s/1',
      'approvals u1/a/1',
      'projections u1',
      'jobs u1/s/1',
      'job-outcomes u1/s/1',
      'decisions u1/a/1',
      'events team/paid',
      'controls u1',
      'controls u1',
      'queues q',
      'submissions the end',
    ]);
  });

  test('whoever unsubscribed hears nothing more', async () => {
    const heard: string[] = [];
    const others: string[] = [];
    const stop = it().store.subscribe('submissions', (key) => heard.push(key));
    it().store.subscribe('submissions', (key) => others.push(key));
    stop();
    await it().store.submitRun(submission('u1'));
    await eventually(() => others[0]);
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
