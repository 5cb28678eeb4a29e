import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openSqliteStore, type RunSubmission } from '@kadre/store';
import {
  forgetRuns,
  historyFolder,
  isAtWork,
  listRuns,
  lockRun,
  makeFolder,
  openFolder,
  writeRecord,
  type RunRecord,
} from './folders.ts';
import { laptopStore, openOutputCache } from './laptop-store.ts';

let history: string;
beforeEach(async () => (history = await mkdtemp(join(tmpdir(), 'kadre-history-'))));
afterEach(() => rm(history, { recursive: true, force: true }));

const record = (name: string, more: Partial<RunRecord> = {}): RunRecord => ({
  name,
  uid: `uid-${name}`,
  title: 'workflow/w',
  createdAt: '2026-01-01T00:00:00.000Z',
  pinned: { namespace: 'default', subject: 'w', workflow: { steps: [] }, workflows: {}, agents: [], models: [] },
  sources: [],
  served: {},
  ...more,
});

describe('the history', () => {
  test.each([
    ['the option', '/a', { KADRE_STORE: '/b' }, '/a'],
    ['the variable', undefined, { KADRE_STORE: '/b', XDG_STATE_HOME: '/c' }, '/b'],
    ["the user's state", undefined, { XDG_STATE_HOME: '/c' }, '/c/kadre'],
  ])('is where %s says', (_, option, env, expected) => {
    expect(historyFolder(option, env)).toBe(expected);
  });

  test('is for the eyes of its user alone', async () => {
    const { path } = await makeFolder(history, record('one'));
    expect((await stat(path)).mode & 0o077).toBe(0);
    expect((await stat(join(path, 'run.json'))).mode & 0o077).toBe(0);
  });

  test('has each name once', async () => {
    await makeFolder(history, record('one'));
    await expect(makeFolder(history, record('one'))).rejects.toThrow(/there is a run one already.*--resume one/);
  });

  test.each(['two', '../one', 'one/../one', ''])('names what there is when asked for %j', async (name) => {
    await makeFolder(history, record('one'));
    await expect(openFolder(history, name)).rejects.toThrow(/the latest are one/);
  });

  test('keeps so many of the runs that are over, and all that are not', async () => {
    for (const [index, name] of ['a', 'b', 'c', 'd'].entries()) {
      const at = `2026-01-0${index + 1}T00:00:00.000Z`;
      const over = name === 'b' ? {} : { finishedAt: at };
      await makeFolder(history, record(name, { createdAt: at, ...over }));
    }
    await forgetRuns(history, 1);
    expect((await listRuns(history)).map(({ name }) => name)).toEqual(['d', 'b']);
    expect((await readdir(join(history, 'runs'))).sort()).toEqual(['b', 'd']);
  });

  test('gives a run to one process at a time, and says so', async () => {
    const folder = await makeFolder(history, record('one'));
    await writeRecord(folder, record('one'));
    expect(isAtWork(history, 'one')).toBe(false);
    const unlock = lockRun(folder, 'one');
    expect(isAtWork(history, 'one')).toBe(true);
    expect(() => lockRun(folder, 'one')).toThrow(/another kadre is at work on the run one/);
    unlock();
    lockRun(folder, 'one')();
  });
});

describe("a run's store", () => {
  const submission = (uid: string): RunSubmission => ({
    uid,
    namespace: 'n',
    name: uid,
    subject: 'w',
    workflow: {},
    input: null,
  });

  test('shares what steps cache with all other runs, as long as it is good', async () => {
    const caches = [1, 2].map(() => openOutputCache(join(history, 'cache.db'), () => 0));
    const [one, two] = caches.map((cache, index) =>
      laptopStore(openSqliteStore(join(history, `${index}.db`)), cache, undefined),
    );
    await one?.submitRun(submission('a'));
    const cached = { key: 'k', output: { n: 1 }, run: 'a', expiresAt: 100 };
    await one?.append('a', 0, [{ at: 1, type: 'RunStarted', data: {} }], { cache: [cached] });
    expect(await two?.cachedOutput('k', 99)).toEqual(cached);
    expect(await two?.cachedOutput('k', 100)).toBeUndefined();
    await Promise.all([one?.close(), two?.close()]);
    for (const cache of caches) cache.close();
  });

  test('knows the log of the run that it was forked from, and of no other', async () => {
    const own = openSqliteStore(join(history, 'own.db'));
    const events = [1, 2].map((seq) => ({ seq, at: seq, type: 'RunStarted', data: {} }));
    const store = laptopStore(own, openOutputCache(':memory:'), { submission: submission('other'), events });
    expect(await store.submission('other')).toMatchObject({ uid: 'other' });
    expect(await store.events('other', 1)).toEqual([events[1]]);
    expect(await store.openRuns()).toEqual([]);
    expect(await store.submission('third')).toBeUndefined();
    await own.close();
  });
});
