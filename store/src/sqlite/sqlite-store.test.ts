import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { DatabaseSync } from 'node:sqlite';
import { Worker } from 'node:worker_threads';
import { describeStore, submission } from '../describe-store.ts';
import { StoreBusyError, StoreFullError, StoreLockedError, StoreUnusableError } from '../errors.ts';
import { FencedError, type Store } from '../store.ts';
import { lockStore } from './lock.ts';
import { openSqliteStore } from './sqlite-store.ts';

describeStore('a store on SQLite', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'kadre-store-'));
  const path = join(folder, 'kadre.db');
  let store = openSqliteStore(path);
  return {
    store,
    reopen: async () => {
      await store.close();
      return (store = openSqliteStore(path));
    },
    second: () => Promise.resolve(openSqliteStore(path)),
    cleanUp: async () => {
      await store.close();
      await rm(folder, { recursive: true });
    },
  };
});

let folder: string;
let path: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kadre-store-'));
  path = join(folder, 'kadre.db');
});
afterEach(() => rm(folder, { recursive: true }));

const filler = 'x'.repeat(20_000);

describe('a full disk', () => {
  async function fillUp(store: Store): Promise<number> {
    for (let seq = 0; ; seq++) {
      try {
        await store.append('u1', seq, [{ at: 1, type: 'A', data: filler }]);
      } catch (error) {
        expect(error).toBeInstanceOf(StoreFullError);
        return seq;
      }
    }
  }

  test('refuses with StoreFullError, keeps all that was acknowledged and nothing else', async () => {
    const store = openSqliteStore(path, { maxBytes: 1_000_000 });
    await store.submitRun(submission('u1'));
    const acknowledged = await fillUp(store);
    expect(acknowledged).toBeGreaterThan(10);
    await store.close();
    const roomier = openSqliteStore(path);
    expect(await roomier.events('u1')).toHaveLength(acknowledged);
    await roomier.append('u1', acknowledged, [{ at: 1, type: 'B', data: filler }]);
    await roomier.close();
  });

  test('writes nothing of a call that fits only in part', async () => {
    const store = openSqliteStore(path, { maxBytes: 1_000_000 });
    await store.submitRun(submission('u1'));
    const events = Array.from({ length: 100 }, () => ({ at: 1, type: 'A', data: filler }));
    await expect(store.append('u1', 0, events)).rejects.toThrow(StoreFullError);
    expect(await store.events('u1')).toEqual([]);
    await store.append('u1', 0, [{ at: 1, type: 'A', data: 1 }]);
    await store.close();
  });
});

describe('a file that is no store', () => {
  test('is refused and left as it is', async () => {
    await writeFile(path, 'these are my notes, not a database, and long enough to be looked at. '.repeat(50));
    expect(() => openSqliteStore(path)).toThrow(StoreUnusableError);
  });

  test('is refused if a newer Kadre wrote it', async () => {
    await openSqliteStore(path).close();
    const db = new DatabaseSync(path);
    db.exec('PRAGMA user_version = 999');
    db.close();
    expect(() => openSqliteStore(path)).toThrow(/newer/);
  });

  test('is refused if its folder is missing', () => {
    expect(() => openSqliteStore(join(folder, 'missing', 'kadre.db'))).toThrow(StoreUnusableError);
  });
});

test('whoever sits down takes the one seat, and the runs, from the former at once', async () => {
  const store = openSqliteStore(path);
  await store.submitRun(submission('u1'));
  const former = await store.joinEngines(600_000);
  expect(await store.claimRuns(former, 1)).toEqual(['u1']);
  const epoch = await store.joinEngines(600_000);
  expect(await store.renewEngine(former, 600_000)).toBe(false);
  expect(await store.claimRuns(epoch, 1)).toEqual(['u1']);
  await expect(store.append('u1', 0, [{ at: 1, type: 'A', data: 1 }], { epoch: former })).rejects.toThrow(FencedError);
  await store.append('u1', 0, [{ at: 1, type: 'A', data: 1 }], { epoch });
  await store.close();
});

test('only the owner may read the file, for it holds the secret of step tokens', async () => {
  const store = openSqliteStore(path);
  await store.secret('step-token');
  for (const file of [path, `${path}-wal`]) expect((await stat(file)).mode & 0o777).toBe(0o600);
  await store.close();
});

describe('threads', () => {
  test('a writer that blocks too long gives StoreBusyError, one that ends in time is waited for', async () => {
    const store = openSqliteStore(path, { busyTimeout: 20 });
    const other = new DatabaseSync(path);
    other.exec('BEGIN IMMEDIATE');
    await expect(store.submitRun(submission('u1'))).rejects.toThrow(StoreBusyError);
    const waiting = store.submitRun(submission('u2'));
    other.exec('COMMIT');
    other.close();
    expect(await waiting).toBe(true);
    await store.close();
  });

  test('write side by side without losing anything, and hear of each other', async () => {
    const store = openSqliteStore(path);
    const heard = new Set<string>();
    store.subscribe('submissions', (key) => heard.add(key));
    const workers = ['a', 'b'].map(
      (name) => new Worker(new URL('data:text/javascript,' + writer(name, 50)), { stdout: true }),
    );
    await Promise.all(workers.map((worker) => once(worker, 'exit')));
    expect(await store.openRuns()).toHaveLength(100);
    await until(() => heard.size === 100);
    await store.close();
  });
});

/** A module that submits `count` runs named after `name`. */
function writer(name: string, count: number): string {
  const entry = JSON.stringify(new URL('./sqlite-store.ts', import.meta.url).href);
  return encodeURIComponent(`
    import { openSqliteStore } from ${entry};
    const store = openSqliteStore(${JSON.stringify(path)});
    for (let i = 0; i < ${count}; i++) {
      const uid = ${JSON.stringify(name)} + i;
      await store.submitRun({ uid, namespace: 'n', name: uid, subject: 's', workflow: {}, input: null });
      console.log(uid);
    }
    await store.close();`);
}

describe('a second process', () => {
  const holder = (): ChildProcess =>
    child(`
    import { lockStore } from ${JSON.stringify(new URL('./lock.ts', import.meta.url).href)};
    lockStore(${JSON.stringify(path)});
    console.log('held');
    setInterval(() => {}, 1000);`);

  test('is refused while the first lives, and let in once that was killed', async () => {
    const first = holder();
    await line(first, 'held');
    expect(() => lockStore(path)).toThrow(StoreLockedError);
    first.kill('SIGKILL');
    await once(first, 'exit');
    const release = lockStore(path);
    release();
    release();
    lockStore(path)();
  });

  test('does not get in when this process reads and writes the store meanwhile', async () => {
    const release = lockStore(path);
    const store = openSqliteStore(path);
    await store.submitRun(submission('u1'));
    await store.close();
    const second = holder();
    const [code] = (await once(second, 'exit')) as [number];
    expect(code).not.toBe(0);
    release();
  });
});

test('what was acknowledged survives SIGKILL', async () => {
  const process = child(decodeURIComponent(writer('run', 1_000_000)));
  const acknowledged: string[] = [];
  for await (const uid of createInterface({ input: process.stdout ?? ([] as never) })) {
    acknowledged.push(uid);
    if (acknowledged.length === 200) process.kill('SIGKILL');
  }
  const store = openSqliteStore(path);
  const open = await store.openRuns();
  expect(open.slice(0, acknowledged.length)).toEqual(acknowledged);
  // The last one may be on disk without the word of it having got out.
  expect(open.length - acknowledged.length).toBeLessThanOrEqual(1);
  await store.close();
});

function child(source: string): ChildProcess {
  return spawn(process.execPath, ['--input-type=module', '-e', source], { stdio: ['ignore', 'pipe', 'ignore'] });
}

async function line(process: ChildProcess, text: string): Promise<void> {
  for await (const found of createInterface({ input: process.stdout as NonNullable<ChildProcess['stdout']> })) {
    if (found === text) return;
  }
  throw new Error(`the process ended without saying ${text}`);
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setImmediate(resolve));
}
