// What a tool has answered a step is answered again, and nothing is done twice: on both stores, and whichever gateway is asked.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { openPostgresStore, openSqliteStore, type Store } from '@kadre/store';
import { mkdtemp, rm } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startPostgres, type PostgresServer } from '../../support/postgres.ts';
import { step, until } from './bed.ts';
import { json, startToolBed, type ToolBed } from './tool-bed.ts';

let server: PostgresServer;
let folder: string;
let schemas = 0;
beforeAll(async () => {
  server = await startPostgres();
  folder = await mkdtemp(join(tmpdir(), 'kadre-tools-'));
});
afterAll(async () => {
  await server.remove();
  await rm(folder, { recursive: true });
});

describe.each<[string, () => Store | Promise<Store>]>([
  ['SQLite', () => openSqliteStore(join(folder, `${(schemas += 1)}.db`))],
  ['PostgreSQL', () => openPostgresStore(server.url(`tools${(schemas += 1)}`))],
])('on %s', (_, open) => {
  let bed: ToolBed;
  let store: Store;
  beforeEach(async () => {
    store = await open();
    bed = await startToolBed({ store });
    bed.tool('search');
  });
  afterEach(async () => {
    await bed.close();
    await store.close();
  });

  test('the same call again is answered from the journal, and the tool is not asked', async () => {
    const first = await bed.call({ call: 1, args: { q: 'x' } });
    const again = await bed.call({ call: 1, args: { q: 'x' } });
    expect([first.replayed, again.replayed]).toEqual([false, true]);
    expect(again.result).toEqual(first.result);
    expect(bed.server.asked).toHaveLength(1);
    await bed.call({ call: 2, args: { q: 'x' } });
    await bed.call({ call: 1, args: { q: 'x' }, claims: { attempt: 2 } });
    expect(bed.server.asked).toHaveLength(3);
    expect(new Set(bed.server.asked.map(({ headers }) => headers['idempotency-key'])).size).toBe(3);
  });

  test.each([
    ['other arguments', { args: { q: 'y' } }],
    ['another name', { name: 'other' }],
  ])('the same number with %s is a 409, and final', async (_what, other) => {
    await bed.call({ call: 1 });
    expect(await bed.call({ call: 1, ...other })).toMatchObject({
      status: 409,
      code: 'JournalDiverged',
      retry: 'false',
    });
  });

  test('numbers are shared with the calls of models', async () => {
    await store.recordJournal({ ...step, call: 1, hash: 'of a model', kind: 'model', answer: {}, at: 1 });
    expect(await bed.call({ call: 1 })).toMatchObject({ status: 409, code: 'JournalDiverged' });
  });

  test('a step must number its calls', async () => {
    expect(await bed.call({ call: 0 })).toMatchObject({ status: 400 });
    expect(bed.server.asked).toEqual([]);
  });

  test('refusals and failures are part of the story: they are told again, whatever has changed', async () => {
    bed.server.answer = (response) => json(response, 'no', 500);
    const failed = await bed.call({ call: 1 });
    const invalid = await bed.call({ call: 2, args: 'rubbish' });
    const refused = await bed.call({ call: 3, name: 'other' });
    bed.tool('other');
    bed.server.answer = (response) => json(response, 'yes');
    expect([failed, invalid, refused].map(({ result }) => result.reason)).toEqual([
      'ToolFailed',
      'InvalidInput',
      'ToolRefused',
    ]);
    expect((await bed.call({ call: 1 })).result).toEqual(failed.result);
    expect((await bed.call({ call: 2, args: 'rubbish' })).result).toEqual(invalid.result);
    expect((await bed.call({ call: 3, name: 'other' })).result).toEqual(refused.result);
  });

  test('two identical calls at once are one', async () => {
    const held: ServerResponse[] = [];
    bed.server.answer = (response) => held.push(response);
    const calls = [bed.call({ call: 1 }), bed.call({ call: 1 })];
    await until(() => held.length === 1);
    for (const response of held) json(response, 'once');
    const replies = await Promise.all(calls);
    expect(replies.map(({ text }) => text)).toEqual(['"once"', '"once"']);
    expect(replies.map(({ replayed }) => replayed).sort()).toEqual([false, true]);
    expect(bed.server.asked).toHaveLength(1);
  });

  test('what cannot be written down is withheld; asked again, the tool sees the same key', async () => {
    let broken = true;
    const forgetful = {
      ...store,
      recordJournal: (entry: Parameters<Store['recordJournal']>[0]) =>
        broken ? Promise.reject(new Error('disk full')) : store.recordJournal(entry),
    };
    const other = await startToolBed({ store: forgetful });
    other.tool('search');
    expect(await other.call({ call: 1 })).toMatchObject({ status: 503, retry: null });
    broken = false;
    expect(await other.call({ call: 1 })).toMatchObject({ status: 200, replayed: false });
    const keys = other.server.asked.map(({ headers }) => headers['idempotency-key']);
    expect(keys).toEqual([keys[0], keys[0]]);
    await other.close();
  });

  test('through two gateways the first answer counts for both', async () => {
    const second = await startToolBed({ store });
    second.tool('search');
    const held: ServerResponse[] = [];
    bed.server.answer = (response) => held.push(response);
    const slow = bed.call({ call: 1 });
    await until(() => held.length === 1);
    const fast = await second.call({ call: 1 });
    for (const response of held) json(response, 'late');
    expect(await slow).toMatchObject({ status: 503 });
    expect(await bed.call({ call: 1 })).toMatchObject({ status: 200, replayed: true, result: fast.result });
    await second.close();
  });

  test('a large result comes back whole', async () => {
    bed.server.answer = (response) => json(response, { text: 'é'.repeat(200_000) });
    const first = await bed.call({ call: 1 });
    expect(first.text.length).toBeGreaterThan(200_000);
    expect((await bed.call({ call: 1 })).result).toEqual(first.result);
  });
});
