// A Run is made once for each request, whoever asks, however often, and whatever dies on the way.
import type { Failure } from '@kadre/crds';
import { expect, test } from '@jest/globals';
import type { RunRequest } from '../run-requests.ts';
import { eventually, type StoreUnderTest } from './fixtures.ts';

const request = (key: string, more: Partial<RunRequest> = {}): RunRequest => ({
  key,
  namespace: 'team',
  name: `report-${key}`,
  spec: { workflow: { name: 'report' }, input: { topic: 'é\u0000' }, limits: { costUsd: '1' }, requestedBy: 'ann' },
  depth: 1,
  at: 5,
  ...more,
});
const gone: Failure = { reason: 'RunNotFound', message: 'There is no such Workflow.' };

export function describeRunRequests(it: () => StoreUnderTest): void {
  const open = async () => (await it().store.openRunRequests()).map(({ key }) => key);

  test('what is asked for is there as it was asked, after a restart too, oldest first', async () => {
    const child = request('b', { parent: { run: 'u1', name: 'nightly', step: 'write', attempt: 2 }, depth: 2 });
    const record = { ...request('a'), state: 'requested', cancelled: false };
    expect(await it().store.requestRun(request('a'))).toEqual(record);
    await it().store.requestRun(child);
    const again = await it().reopen();
    expect(await again.openRunRequests()).toEqual([record, { ...child, state: 'requested', cancelled: false }]);
    expect(await again.runRequest('never heard of')).toBeUndefined();
  });

  test('of those who ask under the same key, the first counts', async () => {
    const second = await it().second();
    await it().store.requestRun(request('a'));
    const asked = await Promise.all(
      Array.from({ length: 10 }, (_, index) =>
        (index % 2 ? second : it().store).requestRun(request('a', { name: `other-${index}` })),
      ),
    );
    expect(new Set(asked.map(({ name }) => name))).toEqual(new Set(['report-a']));
    expect(await open()).toEqual(['a']);
    await second.close();
  });

  test('a Run that was made stays the one, and is found by its UID', async () => {
    await it().store.requestRun(request('a'));
    await it().store.runRequestMade('a', 'u1');
    await it().store.runRequestMade('a', 'u2');
    expect(await it().store.requestOfRun('u1')).toMatchObject({ key: 'a', state: 'made', uid: 'u1' });
    expect(await it().store.requestOfRun('u2')).toBeUndefined();
    expect(await open()).toEqual(['a']);
  });

  test('what is over is not asked for again', async () => {
    const { store } = it();
    await store.requestRun(request('a'));
    await store.runRequestMade('a', 'u1');
    for (let twice = 0; twice < 2; twice++) await store.endRunRequest('a');
    await store.runRequestMade('a', 'u9');
    await store.cancelRunRequest('a');
    expect(await store.requestRun(request('a'))).toMatchObject({ state: 'over', uid: 'u1', cancelled: false });
    expect(await open()).toEqual([]);
  });

  test('what cannot be made says why, and stays so', async () => {
    const { store } = it();
    await store.requestRun(request('a'));
    await store.endRunRequest('a', gone);
    await store.endRunRequest('a');
    await store.runRequestMade('a', 'u1');
    const record = await store.requestRun(request('a'));
    expect(record).toEqual({ ...request('a'), state: 'refused', failure: gone, cancelled: false });
  });

  test('a request can be taken back before its Run is made, and after', async () => {
    const { store } = it();
    for (const key of ['a', 'b']) await store.requestRun(request(key));
    await store.runRequestMade('b', 'u1');
    for (const key of ['a', 'a', 'b', 'never heard of']) await store.cancelRunRequest(key);
    expect((await store.openRunRequests()).map(({ cancelled, state }) => [state, cancelled])).toEqual([
      ['requested', true],
      ['made', true],
    ]);
  });

  test('each change tells those who wait, and what changes nothing tells nobody', async () => {
    const { store } = it();
    const told: string[] = [];
    store.subscribe('run-requests', (key) => told.push(key));
    await store.requestRun(request('a'));
    await eventually(() => told.at(0));
    await store.requestRun(request('a'));
    await store.endRunRequest('a');
    await eventually(() => told.at(1));
    await store.cancelRunRequest('a');
    await store.requestRun(request('b'));
    await eventually(() => (told.includes('b') ? true : undefined));
    expect(told).toEqual(['a', 'a', 'b']);
  });

  test('old ones that are over are forgotten, open ones never', async () => {
    const { store } = it();
    for (const key of ['a', 'b', 'c']) await store.requestRun(request(key, { at: key === 'c' ? 50 : 5 }));
    for (const key of ['a', 'c']) await store.endRunRequest(key);
    await store.prune(10);
    expect(await store.runRequest('a')).toBeUndefined();
    expect(await store.runRequest('b')).toMatchObject({ state: 'requested' });
    expect(await store.runRequest('c')).toMatchObject({ state: 'over' });
  });
}
