import { expect, test } from '@jest/globals';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { migrate } from './migrations.ts';
import { openSqliteStore } from './sqlite-store.ts';

test('a store of the first schema keeps what it has and learns what is new', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'kadre-store-'));
  const path = join(folder, 'kadre.db');
  const db = new DatabaseSync(path);
  migrate(db, 1);
  db.exec(`
    INSERT INTO runs (uid, namespace, name, subject, workflow, input, cancellation, closed, last_seq) VALUES
      ('done', 'team', 'nightly', 'article', '{"steps":[]}', '{"n":1}', NULL, 1, 2),
      ('open', 'team', 'nightly', 'article', '{"steps":[]}', 'null', 'by hand', 0, 1);
    INSERT INTO events (run, seq, at, type, data) VALUES (1, 1, 5, 'RunStarted', '{}'), (1, 2, 7, 'RunSucceeded', '{}'),
      (2, 1, 6, 'RunStarted', '{}');
    INSERT INTO jobs (key, run, request) VALUES ('open/a/1', 'open', '{"key":"open/a/1"}');
    INSERT INTO secrets (name, value) VALUES ('step-token', zeroblob(32));
  `);
  db.close();
  for (let twice = 0; twice < 2; twice++) await openSqliteStore(path).close();

  const store = openSqliteStore(path);
  expect(await store.submission('done')).toEqual({
    uid: 'done',
    namespace: 'team',
    name: 'nightly',
    subject: 'article',
    workflow: { steps: [] },
    input: { n: 1 },
  });
  expect(await store.closedRuns(8, 9)).toMatchObject([{ uid: 'done', closedAt: 7 }]);
  expect(await store.controls('open')).toEqual({ suspended: false, cancellation: 'by hand' });
  expect(await store.findRun('team', 'nightly')).toBe('open');
  expect((await store.openJobs()).map(({ key }) => key)).toEqual(['open/a/1']);
  expect(Buffer.from(await store.secret('step-token')).equals(Buffer.alloc(32))).toBe(true);
  const epoch = await store.joinEngines(60_000);
  expect(await store.claimRuns(epoch, 9)).toEqual(['open']);
  await store.append('open', 1, [{ at: 8, type: 'RunCancelled', data: {} }], { epoch, closed: true });
  const charges = [{ account: 'run/done', period: 'total', limit: { tokens: 5 } }];
  await store.reserve({ id: 'c1', expiresAt: 9, charges, amount: { costNanoUsd: 1, tokens: 5 } });
  expect((await store.balances(charges, 1))[0]?.reserved).toEqual({ costNanoUsd: 1, tokens: 5, requests: 1 });
  await store.deleteRun('done');
  expect((await store.closedRuns(99, 9)).map(({ uid }) => uid)).toEqual([]);
  await store.close();
  await rm(folder, { recursive: true });
});
