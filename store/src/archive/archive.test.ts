import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BlobDamagedError, blobsIn } from '../blobs/blobs.ts';
import { namesIn } from '../blobs/describe-objects.ts';
import { openFolder } from '../blobs/folder.ts';
import type { ObjectStore } from '../blobs/objects.ts';
import { withBlobs } from '../blobs/offload.ts';
import type { Decision } from '../decisions.ts';
import { openSqliteStore } from '../sqlite/sqlite-store.ts';
import type { ClosedRun, RunSubmission, Store, StoredEvent } from '../store.ts';
import { archiveRuns, type ArchiveStore } from './archive.ts';
import { rowsIn } from './read-parquet.ts';
import type { DecisionRecord } from './record.ts';

const DAY = 86_400_000;
const FIRST = Date.UTC(2026, 0, 30, 23, 59, 59, 999);

let folder: string;
let path: string;
let sink: ObjectStore;
let store: Store;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kadre-archive-'));
  path = join(folder, 'kadre.db');
  sink = await openFolder(join(folder, 'archive'));
  store = openSqliteStore(path);
});
afterEach(async () => {
  await store.close();
  await rm(folder, { recursive: true });
});

function record(submission: RunSubmission, event: StoredEvent): DecisionRecord {
  const { uid: run, namespace, name, subject } = submission;
  const { seq, at, type } = event;
  const what = `event ${seq} of ${name}`;
  const data = JSON.stringify(event.data);
  return {
    run,
    namespace,
    name,
    subject,
    seq,
    at,
    type,
    what,
    alternatives: [],
    inputs: [],
    who: 'engine',
    version: '1',
    data,
  };
}

async function closeRun(uid: string, at: number, data: unknown = { n: 1 }, events = 2): Promise<void> {
  await store.submitRun({ uid, namespace: 'team', name: `run-${uid}`, subject: 'article', workflow: {}, input: null });
  const log = Array.from({ length: events }, (_, index) => ({ at, type: `E${index}`, data }));
  await store.append(uid, 0, log, { closed: true });
}

const closed = (from: Pick<Store, 'closedRuns'> = store): Promise<ClosedRun[]> => from.closedRuns(Infinity, 1_000_000);
const uidsIn = async (): Promise<unknown[]> =>
  (await rowsIn(sink)).map(({ run, seq }) => `${String(run)}/${String(seq)}`);
const rowsOf = (...uids: string[]): string[] => uids.flatMap((uid) => [`${uid}/1`, `${uid}/2`]);

test('closed runs become one row for each event, in a folder for the day on which they ended, and leave the store', async () => {
  await closeRun('u1', FIRST);
  await closeRun('u2', FIRST + 1);
  await closeRun('u3', FIRST + DAY);
  await store.submitRun({ uid: 'open', namespace: 'team', name: 'r', subject: 's', workflow: {}, input: null });
  const report = await archiveRuns(store, await closed(), { sink, describe: record });
  expect(report).toEqual({ runs: 3, failures: [] });
  expect(await closed()).toEqual([]);
  expect(await store.openRuns()).toEqual(['open']);
  const days = (await rowsIn(sink)).map(({ date, run, seq }) => [date, run, seq]).sort();
  expect(days).toEqual([
    ['2026-01-30', 'u1', 1],
    ['2026-01-30', 'u1', 2],
    ['2026-01-31', 'u2', 1],
    ['2026-01-31', 'u2', 2],
    ['2026-01-31', 'u3', 1],
    ['2026-01-31', 'u3', 2],
  ]);
});

test('what the gateway decided for a run is in its archive, after its events', async () => {
  await closeRun('u1', FIRST);
  const decision: Decision = {
    id: 'req_1',
    at: FIRST - 5,
    kind: 'route',
    namespace: 'team',
    agent: 'writer',
    run: { uid: 'u1', step: 'draft', attempt: 2 },
    call: 'req_1',
    subject: 'any',
    chosen: 'small',
    reason: 'the cheapest',
    alternatives: { candidates: [{ model: 'small' }, { model: 'large' }] },
    version: '3',
  };
  await store.recordDecisions([decision]);
  await archiveRuns(store, await closed(), { sink, describe: record });
  const [, , row] = await rowsIn(sink);
  expect(row).toMatchObject({
    run: 'u1',
    seq: 0,
    type: 'RouteDecided',
    step: 'draft',
    attempt: 2,
    what: 'any chose small.',
    why: 'the cheapest',
    alternatives: ['small', 'large'],
    who: 'gateway',
    version: '1',
  });
  expect(JSON.parse(String(row?.['data']))).toEqual(decision);
  expect(await store.decisions({ run: 'u1' })).toEqual([]);
});

test('every field of a record comes back with its type, those that are absent as null', async () => {
  await closeRun('u1', FIRST, { text: 'é 漢 🦀 \ud800', n: 1.5 });
  const full = {
    step: 'research[2]',
    attempt: 2,
    why: 'because',
    alternatives: ['wait', 'give "up"'],
    inputs: ['input', 'research[1]'],
    costNanoUsd: Number.MAX_SAFE_INTEGER,
    inputTokens: 3_000_000_000,
    outputTokens: 0,
  };
  await archiveRuns(store, await closed(), {
    sink,
    describe: (submission, event) => ({ ...record(submission, event), ...(event.seq === 1 ? full : {}) }),
  });
  const [first, second] = await rowsIn(sink);
  const same = {
    date: '2026-01-30',
    run: 'u1',
    namespace: 'team',
    name: 'run-u1',
    subject: 'article',
    time: new Date(FIRST),
    who: 'engine',
    version: '1',
    data: '{"text":"é 漢 🦀 \\ud800","n":1.5}',
  };
  const { costNanoUsd, inputTokens, outputTokens, ...rest } = full;
  const numbers = {
    cost_nano_usd: BigInt(costNanoUsd),
    input_tokens: BigInt(inputTokens),
    output_tokens: BigInt(outputTokens),
  };
  expect(first).toEqual({ ...same, seq: 1, type: 'E0', what: 'event 1 of run-u1', ...rest, ...numbers });
  const nothing = {
    step: null,
    attempt: null,
    why: null,
    cost_nano_usd: null,
    input_tokens: null,
    output_tokens: null,
  };
  expect(second).toEqual({
    ...same,
    seq: 2,
    type: 'E1',
    what: 'event 2 of run-u1',
    alternatives: [],
    inputs: [],
    ...nothing,
  });
});

test('files stay small, and a run is never divided', async () => {
  for (let index = 0; index < 10; index++) await closeRun(`u${index}`, FIRST, 'x'.repeat(1_000));
  await archiveRuns(store, await closed(), { sink, describe: record, fileBytes: 5_000 });
  expect((await namesIn(sink, 'date=2026-01-30')).length).toBe(4);
  expect(await uidsIn()).toHaveLength(20);
});

test('many rows in one file come back in order', async () => {
  await closeRun('u1', FIRST, { n: 1 }, 21_000);
  await archiveRuns(store, await closed(), { sink, describe: record });
  const seqs = (await rowsIn(sink)).map(({ seq }) => seq);
  expect(seqs).toEqual(Array.from({ length: 21_000 }, (_, index) => index + 1));
});

test('large payloads are archived whole, and their blobs go with the run', async () => {
  const blobs = blobsIn(sink);
  const raw = store;
  store = withBlobs(raw, blobs, { inlineBytes: 10 });
  await closeRun('u1', FIRST, 'a long text, so that it is in a blob');
  await archiveRuns(store, await closed(), { sink, describe: record });
  expect((await rowsIn(sink)).map(({ data }) => data)).toEqual(Array(2).fill('"a long text, so that it is in a blob"'));
  expect(await namesIn(sink, 'blobs')).toEqual([]);
});

describe('a run that cannot be archived stays in the store, and the others go', () => {
  beforeEach(async () => {
    for (const uid of ['u1', 'bad', 'u2']) await closeRun(uid, FIRST);
  });
  const archive = (describe: typeof record, from: ArchiveStore = store) =>
    closed().then((runs) => archiveRuns(from, runs, { sink, describe }));
  const spoilt = (field: Partial<Record<keyof DecisionRecord, unknown>>): typeof record => {
    return (submission, event) => {
      const good = record(submission, event);
      return submission.uid === 'bad' ? ({ ...good, ...field } as DecisionRecord) : good;
    };
  };

  test.each<[string, Partial<Record<keyof DecisionRecord, unknown>>, RegExp]>([
    ['no sentence', { what: undefined }, /run bad cannot be archived: what of event 1 must be a string/],
    ['part of a token', { inputTokens: 0.5 }, /input_tokens of event 1 must be an integer/],
    [
      'an attempt that no integer of 32 bits holds',
      { attempt: 2 ** 31 },
      /attempt of event 1 must be an integer of 32/,
    ],
    ['no list', { alternatives: 'none' }, /alternatives of event 1 must be a list of strings/],
    ['no time', { at: NaN }, /time of event 1 must be milliseconds/],
  ])('because its record has %s', async (_, field, message) => {
    const report = await archive(spoilt(field));
    expect(report.runs).toBe(2);
    expect(report.failures.map(({ uid }) => uid)).toEqual(['bad']);
    expect(report.failures[0]?.error.message).toMatch(message);
    expect((await closed()).map(({ uid }) => uid)).toEqual(['bad']);
    expect((await uidsIn()).sort()).toEqual(rowsOf('u1', 'u2'));
  });

  test('because it is too large for one file', async () => {
    const report = await closed().then((runs) =>
      archiveRuns(store, runs, { sink, describe: spoilt({ data: 'x'.repeat(600) }), runBytes: 1_000 }),
    );
    expect(report.failures[0]?.error.message).toBe(
      'run bad cannot be archived: its records have more than 1000 characters of text',
    );
    expect((await uidsIn()).sort()).toEqual(rowsOf('u1', 'u2'));
  });

  test('because a blob is damaged', async () => {
    const events: Store['events'] = (uid) =>
      uid === 'bad' ? Promise.reject(new BlobDamagedError('blob is damaged')) : store.events(uid);
    const report = await archive(record, { ...store, events });
    expect(report.failures.map(({ uid }) => uid)).toEqual(['bad']);
    expect((await uidsIn()).sort()).toEqual(rowsOf('u1', 'u2'));
  });

  test('but a fault of the store itself stops the whole', async () => {
    const events = (): Promise<never> => Promise.reject(new Error('the database is away'));
    await expect(archive(record, { ...store, events })).rejects.toThrow('the database is away');
    expect(await closed()).toHaveLength(3);
  });
});

/** Passes calls on until `calls` writes are done, and dies before or after the next one; a dead one does nothing more. */
function mortal(
  calls: number,
  after: boolean,
): { kill: <T extends object>(target: T, writes: (keyof T)[]) => T; died: () => boolean } {
  let left = calls;
  let dead = false;
  const die = (): never => {
    dead = true;
    throw new Error('killed');
  };
  const kill = <T extends object>(target: T, writes: (keyof T)[]): T => {
    const wrapped = { ...target };
    for (const name of Object.keys(target) as (keyof T)[]) {
      const call = target[name] as (...args: unknown[]) => Promise<unknown>;
      if (name === 'list') continue;
      wrapped[name] = (async (...args: unknown[]) => {
        if (dead) die();
        if (!writes.includes(name)) return await call(...args);
        if (left === 0 && !after) die();
        const answer = await call(...args);
        if (left-- === 0) die();
        return answer;
      }) as T[keyof T];
    }
    return wrapped;
  };
  return { kill, died: () => dead };
}

describe('an archiver that is killed', () => {
  const all = rowsOf('u1', 'u2', 'u3', 'u4', 'u5');

  test.each([false, true])('at any write loses and doubles nothing (after it: %s)', async (after) => {
    for (let calls = 0; ; calls++) {
      await store.close();
      path = join(folder, `${calls}.db`);
      store = openSqliteStore(path);
      sink = await openFolder(join(folder, `archive-${calls}`));
      for (const uid of ['u1', 'u2', 'u3']) await closeRun(uid, FIRST);
      for (const uid of ['u4', 'u5']) await closeRun(uid, FIRST + 1);
      const { kill, died } = mortal(calls, after);
      const options = { sink: kill(sink, ['create', 'put', 'delete']), describe: record };
      await archiveRuns(kill(store, ['deleteRun']), await closed(), options).catch(() => undefined);
      const remaining = (await closed()).flatMap(({ uid }) => rowsOf(uid));
      const archived = await uidsIn();
      expect(new Set(archived).size).toBe(archived.length);
      expect([...new Set([...archived, ...remaining])].sort()).toEqual(all);
      // Others were closed meanwhile, and the next batch would not be the same.
      await closeRun('u0', FIRST - 1);
      await archiveRuns(store, (await closed()).toReversed(), { sink, describe: record });
      expect((await uidsIn()).sort()).toEqual([...rowsOf('u0'), ...all]);
      expect(await closed()).toEqual([]);
      if (!died()) return;
    }
  });
});

describe('several archivers at once', () => {
  test('neither lose nor double a row, however their steps interleave', async () => {
    const uids = ['a', 'b', 'c', 'd'];
    const begun = fc.record({ runs: fc.subarray(uids, { minLength: 1 }), fileBytes: fc.constantFrom(1, 700, 5_000) });
    let round = 0;
    await fc.assert(
      fc.asyncProperty(fc.scheduler(), fc.tuple(begun, begun, begun), async (scheduler, archivers) => {
        await store.close();
        store = openSqliteStore(join(folder, `${++round}.db`));
        sink = await openFolder(join(folder, `archive-${round}`));
        for (const [index, uid] of uids.entries()) await closeRun(uid, FIRST - index, 'x'.repeat(300));
        const runs = await closed();
        const slow = <T extends object>(target: T): T => {
          const entries = Object.entries(target).map(([name, call]: [string, (...args: unknown[]) => unknown]) => {
            const wait = async (...args: unknown[]): Promise<unknown> => {
              await scheduler.schedule(Promise.resolve(), name);
              return await call(...args);
            };
            return [name, name === 'list' ? call : wait];
          });
          return Object.fromEntries(entries) as T;
        };
        const archiver = ({ runs: some, fileBytes }: (typeof archivers)[number]) =>
          archiveRuns(
            slow(store),
            runs.filter(({ uid }) => some.includes(uid)),
            {
              sink: slow(sink),
              describe: record,
              fileBytes,
            },
          );
        await scheduler.waitFor(Promise.all(archivers.map(archiver)));
        const taken = uids.filter((uid) => archivers.some(({ runs: some }) => some.includes(uid)));
        expect((await uidsIn()).sort()).toEqual(rowsOf(...taken));
        expect((await closed()).map(({ uid }) => uid).sort()).toEqual(uids.filter((uid) => !taken.includes(uid)));
      }),
      { numRuns: 15 },
    );
  });

  test('keep the file that came first, for the other may have seen runs vanish', async () => {
    for (const uid of ['u1', 'u2']) await closeRun(uid, FIRST);
    const runs = await closed();
    const dying: ObjectStore = {
      ...sink,
      create: (name, bytes) =>
        name.endsWith('.parquet') ? Promise.reject(new Error('killed')) : sink.create(name, bytes),
    };
    await expect(archiveRuns(store, runs, { sink: dying, describe: record })).rejects.toThrow('killed');
    // One looks for the file; before it goes on, another writes it and deletes a run, and is killed in its turn.
    const late: ObjectStore = {
      ...sink,
      async has(name) {
        const found = await sink.has(name);
        const one: ArchiveStore = {
          ...store,
          deleteRun: async (uid) => {
            if (uid === 'u2') throw new Error('killed');
            await store.deleteRun(uid);
          },
        };
        await expect(archiveRuns(one, runs, { sink, describe: record })).rejects.toThrow('killed');
        return found;
      },
    };
    await archiveRuns(store, runs, { sink: late, describe: record });
    expect((await uidsIn()).sort()).toEqual(rowsOf('u1', 'u2'));
  });
});

test('a log that was removed starts anew without harm to what is archived', async () => {
  await closeRun('u1', FIRST);
  await archiveRuns(store, await closed(), { sink, describe: record });
  for (const name of await namesIn(sink, '_batches')) await sink.delete(name);
  await closeRun('u2', FIRST);
  await archiveRuns(store, await closed(), { sink, describe: record });
  expect((await uidsIn()).sort()).toEqual(rowsOf('u1', 'u2'));
});
