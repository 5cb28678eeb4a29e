import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openFolder } from '../blobs/folder.ts';
import { openSqliteStore } from '../sqlite/sqlite-store.ts';
import type { ClosedRun, Store } from '../store.ts';
import type { ArchiveOptions } from './archive.ts';
import { rowsIn } from './read-parquet.ts';
import { enforceRetention, expiredRuns, type RetentionPolicy } from './retention.ts';

const DAY = 86_400_000;
const NOW = Date.UTC(2026, 0, 31);
const run = (uid: string, daysAgo: number, subject = 'article', namespace = 'team'): ClosedRun => {
  return { uid, namespace, name: `run-${uid}`, subject, closedAt: NOW - daysAgo * DAY };
};

describe('which runs go', () => {
  test.each<[string, RetentionPolicy, ClosedRun[], string[]]>([
    ['none without a limit', {}, [run('a', 1000)], []],
    ['those that are older than so many days', { keepDays: 7 }, [run('a', 8), run('b', 7), run('c', 6)], ['a']],
    ['all with 0 days', { keepDays: 0 }, [run('a', 1), run('b', 0.001)], ['a', 'b']],
    ['all but the newest', { keepRuns: 2 }, [run('a', 1), run('c', 3), run('b', 2)], ['c']],
    ['all with 0 runs', { keepRuns: 0 }, [run('a', 0), run('b', 2)], ['b', 'a']],
    [
      'the newest of each workflow in each namespace are kept',
      { keepRuns: 1 },
      [run('a', 1), run('b', 2), run('c', 3, 'report'), run('d', 4, 'report'), run('e', 5, 'article', 'other')],
      ['d', 'b'],
    ],
    [
      'names that look alike when joined stay apart',
      { keepRuns: 1 },
      [run('a', 1, 'b', 'x'), run('c', 2, 'x,b', '')],
      [],
    ],
    [
      'each limit holds by itself',
      { keepDays: 2, keepRuns: 2 },
      [run('a', 0), run('b', 1), run('c', 1.5), run('d', 9)],
      ['d', 'c'],
    ],
    [
      'of those that ended at once, always the same',
      { keepRuns: 1 },
      [run('a', 1), run('c', 1), run('b', 1)],
      ['a', 'b'],
    ],
  ])('%s', (_, policy, closed, gone) => {
    expect(expiredRuns(closed, policy, NOW).map(({ uid }) => uid)).toEqual(gone);
  });

  test('the order in which they are given does not matter', () => {
    const runs = Array.from({ length: 12 }, (_, index) => run(`r${index}`, index % 5, `s${index % 2}`));
    const policy = { keepDays: 3, keepRuns: 4 };
    fc.assert(
      fc.property(fc.shuffledSubarray(runs, { minLength: runs.length }), (shuffled) => {
        expect(expiredRuns(shuffled, policy, NOW)).toEqual(expiredRuns(runs, policy, NOW));
      }),
    );
  });
});

describe('enforcing it', () => {
  let folder: string;
  let store: Store;
  let archive: ArchiveOptions;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'kadre-retention-'));
    store = openSqliteStore(join(folder, 'kadre.db'));
    archive = {
      sink: await openFolder(join(folder, 'archive')),
      describe: ({ uid, namespace, name, subject }, { seq, at, type }) => {
        if (uid.startsWith('bad')) throw new Error('no words for it');
        const rest = { what: 'x', alternatives: [], inputs: [], who: 'engine', version: '1', data: '{}' };
        return { run: uid, namespace, name, subject, seq, at, type, ...rest };
      },
    };
  });
  afterEach(async () => {
    await store.close();
    await rm(folder, { recursive: true });
  });
  const close = async (uid: string, daysAgo: number): Promise<void> => {
    await store.submitRun({ uid, namespace: 'team', name: uid, subject: 'article', workflow: {}, input: null });
    await store.append(uid, 0, [{ at: NOW - daysAgo * DAY, type: 'RunSucceeded', data: {} }], { closed: true });
  };
  const left = async (): Promise<string[]> => (await store.closedRuns(Infinity, 1_000_000)).map(({ uid }) => uid);

  test.each<[RetentionPolicy, string[]]>([
    [{}, ['oldest', 'old', 'new']],
    [{ keepDays: 7 }, ['new']],
    [{ keepRuns: 2 }, ['old', 'new']],
  ])('%j leaves %j, with and without an archive', async (policy, expected) => {
    for (const into of [undefined, archive]) {
      await close('oldest', 30);
      await close('old', 20);
      await close('new', 1);
      await enforceRetention(store, policy, NOW, into);
      expect(await left()).toEqual(expected);
      // A run that was deleted is never taken again.
      await store.close();
      store = openSqliteStore(join(folder, 'second.db'));
    }
  });

  test('archives what it deletes, and only that', async () => {
    await close('a', 9);
    await close('b', 1);
    expect(await enforceRetention(store, { keepDays: 7 }, NOW, archive)).toEqual({ runs: 1, failures: [] });
    expect((await rowsIn(archive.sink)).map(({ run: uid }) => uid)).toEqual(['a']);
  });

  test('what cannot be archived does not keep the rest from going, however much it is', async () => {
    for (let index = 0; index < 1_003; index++) await close(`bad-${index}`, 30);
    for (let index = 0; index < 5; index++) await close(`good-${index}`, 20);
    const report = await enforceRetention(store, { keepDays: 7 }, NOW, archive);
    expect(report.runs).toBe(5);
    expect(report.failures).toHaveLength(1_003);
    expect(report.failures[0]?.error.message).toBe('run bad-0 cannot be archived: no words for it');
    expect(await left()).toHaveLength(1_003);
  });
});
