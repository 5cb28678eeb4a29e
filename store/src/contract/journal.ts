import { expect, test } from '@jest/globals';
import type { JournalEntry, JournalKey } from '../journal.ts';
import { submission, type StoreUnderTest } from './fixtures.ts';

const key = (call: number, step = 's', attempt = 1, run = 'u1'): JournalKey => ({ run, step, attempt, call });
const entry = (at: JournalKey, answer: unknown = { text: 'é\u0000' }): JournalEntry => ({
  ...at,
  hash: 'a'.repeat(64),
  kind: 'model',
  answer,
  at: 1_700_000_000_000,
});

export function describeJournal(it: () => StoreUnderTest): void {
  test('what was answered comes back as it was', async () => {
    expect(await it().store.recordJournal(entry(key(1)))).toBe(true);
    const again = await it().reopen();
    expect(await again.journalEntry(key(1))).toEqual(entry(key(1)));
    expect(await again.journalEntry(key(2))).toBeUndefined();
  });

  test('the first answer counts, and others are told so', async () => {
    const second = await it().second();
    const said = await Promise.all([
      it().store.recordJournal(entry(key(1), 'one')),
      it().store.recordJournal(entry(key(1), 'two')),
      second.recordJournal(entry(key(1), 'three')),
    ]);
    expect(said.filter(Boolean)).toHaveLength(1);
    const kept = ['one', 'two', 'three'][said.indexOf(true)];
    expect((await second.journalEntry(key(1)))?.answer).toBe(kept);
    await second.close();
  });

  test('calls are kept apart by run, step and attempt, and come in order', async () => {
    const keys = [key(2), key(1), key(10), key(1, 's', 2), key(1, 't'), key(1, 's', 1, 'u2')];
    await Promise.all(keys.map((one) => it().store.recordJournal(entry(one))));
    const calls = async (...of: Parameters<ReturnType<typeof it>['store']['journalOf']>): Promise<string[]> =>
      (await it().store.journalOf(...of)).map(({ step, attempt, call }) => `${step}/${attempt}/${call}`);
    expect(await calls('u1', { step: 's', attempt: 1 })).toEqual(['s/1/1', 's/1/2', 's/1/10']);
    expect(await calls('u1')).toEqual(['s/1/1', 's/1/2', 's/1/10', 's/2/1', 't/1/1']);
    expect(await calls('u1', { step: 'nothing', attempt: 1 })).toEqual([]);
  });

  test('an answer of a megabyte does not harm others of the same moment', async () => {
    const huge = 'x'.repeat(1_000_000);
    const said = [1, 2, 3, 4, 5, 6].map((call) => it().store.recordJournal(entry(key(call), huge)));
    expect(await Promise.all(said)).toEqual([true, true, true, true, true, true]);
    expect((await it().store.journalEntry(key(6)))?.answer).toBe(huge);
  });

  test('entries end with their run, and none comes after', async () => {
    const { store } = it();
    await store.submitRun(submission('u1'));
    await store.recordJournal(entry(key(1)));
    await store.recordJournal(entry(key(1, 's', 1, 'u2')));
    await store.append('u1', 0, [{ at: 1, type: 'RunSucceeded', data: {} }], { closed: true });
    await store.deleteRun('u1');
    expect(await store.recordJournal(entry(key(2)))).toBe(true);
    expect(await store.journalOf('u1')).toEqual([]);
    expect(await store.journalOf('u2')).toHaveLength(1);
  });
}
