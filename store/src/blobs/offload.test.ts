import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { submission } from '../describe-store.ts';
import { openSqliteStore } from '../sqlite/sqlite-store.ts';
import type { JobRequest, Store } from '../store.ts';
import { BlobDamagedError, BlobMissingError, blobsIn, type Blobs } from './blobs.ts';
import { namesIn } from './describe-objects.ts';
import { openFolder } from './folder.ts';
import type { ObjectStore } from './objects.ts';
import { collectBlobs, withBlobs } from './offload.ts';

const DAY = 86_400_000;
const large = { text: 'é'.repeat(1_000) };
let folder: string;
let objects: ObjectStore;
let now: number;
let blobs: Blobs;
let rows: Store;
let store: Store;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kadre-offload-'));
  objects = await openFolder(join(folder, 'blobs'));
  now = Date.UTC(2026, 0, 31, 12);
  blobs = blobsIn(objects, () => now);
  rows = openSqliteStore(join(folder, 'kadre.db'));
  store = withBlobs(rows, blobs, { inlineBytes: 1_000 });
});
afterEach(async () => {
  await rows.close();
  await rm(folder, { recursive: true });
});
const kept = (): Promise<string[]> => namesIn(objects, 'blobs');
const event = (data: unknown) => ({ at: 1, type: 'A', data });
const job = (work: JobRequest['work']): JobRequest => ({
  key: 'u1/s/1',
  run: { uid: 'u1', namespace: 'team', name: 'run-u1' },
  step: 's',
  attempt: 1,
  name: 'job-s',
  work,
});

describe('what is large', () => {
  test.each<[string, JobRequest['work']]>([
    ['a container', { container: { image: 'busybox', args: [large.text] } }],
    [
      'an agent',
      { agent: { name: 'x', payload: { run: 'u1', step: 's', attempt: 1, prompt: large.text }, stepToken: 'k1.x' } },
    ],
  ])('of a run and the job of %s leaves references in the rows, and comes back whole', async (_, work) => {
    const run = { ...submission('u1'), workflow: { w: large }, workflows: { other: large }, input: [large] };
    await store.submitRun(run);
    await store.append('u1', 0, [event({ e: large })], { jobs: [job(work)] });
    await store.finishJob('u1/s/1', { output: { o: large } });
    const inRows = [await rows.submission('u1'), await rows.events('u1'), await rows.jobsOfRun('u1')];
    expect(JSON.stringify(inRows)).not.toContain(large.text);
    expect(await kept()).toHaveLength(6);
    expect(await store.submission('u1')).toMatchObject(run);
    expect(await store.events('u1')).toEqual([{ seq: 1, ...event({ e: large }) }]);
    for (const record of [await store.job('u1/s/1'), (await store.jobsOfRun('u1'))[0]]) {
      expect(record).toMatchObject({ work, outcome: { output: { o: large } } });
    }
  });

  test('is kept once for all rows of a run that hold it', async () => {
    await store.submitRun({ ...submission('u1'), input: large });
    await store.append('u1', 0, [event(large), event(large)]);
    expect(await kept()).toHaveLength(1);
  });

  test('is never the step token, nor the message of a failure', async () => {
    const all = withBlobs(rows, blobs, { inlineBytes: 0 });
    const payload = { run: 'u1', step: 's', attempt: 1 };
    await all.submitRun(submission('u1'));
    await all.append('u1', 0, [], { jobs: [job({ agent: { name: 'x', payload, stepToken: 'k1.canary' } })] });
    await all.finishJob('u1/s/1', { failure: { reason: 'Cancelled', message: 'stopped' } });
    expect((await rows.job('u1/s/1'))?.work).toMatchObject({ agent: { stepToken: 'k1.canary' } });
    expect((await rows.job('u1/s/1'))?.outcome).toMatchObject({ failure: { message: 'stopped' } });
  });

  test('is what a model answered a step, and it stays as long as the journal', async () => {
    await store.submitRun(submission('u1'));
    const entry = {
      run: 'u1',
      step: 's',
      attempt: 1,
      call: 1,
      hash: 'h',
      kind: 'model',
      answer: large,
      at: 1,
    } as const;
    await store.recordJournal(entry);
    expect((await rows.journalEntry(entry))?.answer).toEqual({ $blob: expect.anything() });
    expect(await collectBlobs(rows, blobs, now + 9 * DAY)).toBe(0);
    expect(await store.journalEntry(entry)).toEqual(entry);
    expect(await store.journalOf('u1', entry)).toEqual([entry]);
    await store.append('u1', 0, [], { closed: true });
    await store.deleteRun('u1');
    expect(await kept()).toEqual([]);
  });

  test('is durable before the row that names it: without its blob there is no row', async () => {
    const full = withBlobs(rows, { ...blobs, put: () => Promise.reject(new Error('the disk is full')) });
    const huge = 'x'.repeat(200_000);
    await expect(full.submitRun({ ...submission('u1'), input: huge })).rejects.toThrow('the disk is full');
    expect(await rows.submission('u1')).toBeUndefined();
    await store.submitRun(submission('u1'));
    await expect(full.append('u1', 0, [event('small'), event(huge)])).rejects.toThrow('the disk is full');
    expect(await rows.events('u1')).toEqual([]);
  });

  test('may be read by more readers at once than files may be open', async () => {
    await store.submitRun(submission('u1'));
    const events = Array.from({ length: 300 }, (_, index) => event([index, large]));
    await store.append('u1', 0, events);
    expect((await store.events('u1')).map(({ data }) => data)).toEqual(events.map(({ data }) => data));
  });
});

test('what was read cannot be changed for the next reader', async () => {
  await store.submitRun({ ...submission('u1'), input: [large] });
  ((await store.submission('u1'))?.input as unknown[]).length = 0;
  expect((await store.submission('u1'))?.input).toEqual([large]);
});

describe('any JSON comes back as it was', () => {
  const lookalike = fc.letrec((tie) => ({
    value: fc.oneof(
      { depthSize: 'small' },
      fc.jsonValue(),
      fc
        .tuple(fc.constantFrom('$blob', '$$blob', '$$$blob', '$', 'blob'), tie('value'))
        .map(([key, of]) => ({ [key]: of })),
      fc.constant({ sha256: 'a'.repeat(64), bytes: 3, day: '2026-01-31' }),
    ),
  })).value;

  test.each([0, 20, 1_000_000])('with at most %d bytes inline', async (inlineBytes) => {
    const subject = withBlobs(rows, blobs, { inlineBytes, cacheBytes: 100 });
    await subject.submitRun(submission('u1'));
    let seq = 0;
    await fc.assert(
      fc.asyncProperty(lookalike, async (value) => {
        await subject.append('u1', seq, [event(value)]);
        const [back] = await subject.events('u1', seq++);
        expect(back?.data).toEqual(JSON.parse(JSON.stringify(value)));
      }),
    );
  });

  test('also when undefined fields make it look like a reference', async () => {
    const ref = await blobs.put('u1', new TextEncoder().encode('"of another"'));
    await store.submitRun({ ...submission('u1'), input: { $blob: ref, gone: undefined } });
    expect((await store.submission('u1'))?.input).toEqual({ $blob: ref });
  });
});

describe('a blob that cannot be read', () => {
  const blobOf = async (): Promise<string> => join(folder, 'blobs', ...((await kept())[0] ?? '').split('/'));
  beforeEach(() => store.submitRun({ ...submission('u1'), input: large }));

  test.each([
    ['was cut', ''],
    ['has rotted', JSON.stringify(large).replace('é', 'è')],
    ['holds something else', 'rubbish'],
  ])('because it %s gives BlobDamagedError', async (_, content) => {
    await writeFile(await blobOf(), content);
    await expect(store.submission('u1')).rejects.toThrow(BlobDamagedError);
    await expect(store.submission('u1')).rejects.toThrow(/blobs\/u1\/2026-01-31-[0-9a-f]{64} is damaged.*backup/);
  });

  test('because it is gone gives BlobMissingError', async () => {
    await rm(await blobOf());
    await expect(store.submission('u1')).rejects.toThrow(BlobMissingError);
  });

  test('is mended when the same is written again', async () => {
    await writeFile(await blobOf(), 'rubbish');
    await store.append('u1', 0, [event(large)]);
    expect((await store.submission('u1'))?.input).toEqual(large);
  });
});

describe('deleting a run', () => {
  beforeEach(async () => {
    for (const uid of ['u1', 'u2']) await store.submitRun({ ...submission(uid), input: large });
  });

  test('deletes its blobs and no others', async () => {
    await store.append('u1', 0, [event(large)], { closed: true });
    await store.deleteRun('u1');
    expect(await kept()).toEqual([expect.stringMatching(/^blobs\/u2\//)]);
    expect((await store.submission('u2'))?.input).toEqual(large);
  });

  test('that is still open leaves its blobs alone', async () => {
    await store.deleteRun('u1').catch(() => undefined);
    expect((await store.submission('u1'))?.input).toEqual(large);
  });
});

describe('collecting', () => {
  test('deletes what was written for a row that never came, once its day is long over', async () => {
    await store.submitRun(submission('u1'));
    await expect(store.append('u1', 7, [event(large)])).rejects.toThrow(/log/);
    await expect(store.append('nobody', 0, [event(large)])).rejects.toThrow();
    now += 2 * DAY;
    expect(await collectBlobs(rows, blobs, now)).toBe(0);
    now += DAY;
    expect(await collectBlobs(rows, blobs, now)).toBe(2);
    expect(await kept()).toEqual([]);
  });

  test('deletes what a crash in the middle of deleting a run left behind', async () => {
    await store.submitRun({ ...submission('u1'), input: large });
    await store.append('u1', 0, [event(1)], { closed: true });
    await rows.deleteRun('u1');
    expect(await collectBlobs(rows, blobs, now + 3 * DAY)).toBe(1);
  });

  test('leaves alone what is no blob', async () => {
    await objects.put('blobs/u1/notes.txt', new Uint8Array(1));
    await collectBlobs(rows, blobs, now + 3 * DAY);
    expect(await kept()).toEqual(['blobs/u1/notes.txt']);
  });

  test('never takes a blob that a row names, whatever happened before', async () => {
    const step = fc.oneof(
      fc.record({ act: fc.constant('append' as const), run: fc.nat(2), text: fc.nat(3), stale: fc.boolean() }),
      fc.record({ act: fc.constant('delete' as const), run: fc.nat(2) }),
      fc.record({ act: fc.constant('wait' as const), days: fc.nat(4) }),
      fc.record({ act: fc.constant('collect' as const) }),
    );
    let round = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
        round++;
        const logs = new Map<string, string[]>();
        // A run that was deleted does not come back: its name passes to another.
        const deleted = [0, 0, 0];
        const uidOf = (run: number): string => `r${round}-${run}-${deleted[run] ?? 0}`;
        for (const taken of steps) {
          if (taken.act === 'wait') now += taken.days * DAY;
          else if (taken.act === 'collect') await collectBlobs(rows, blobs, now);
          else if (taken.act === 'append') {
            const uid = uidOf(taken.run);
            const log = logs.get(uid) ?? [];
            if (!logs.has(uid)) await store.submitRun(submission(uid));
            const text = `${taken.text}`.repeat(2_000);
            const appended = store.append(uid, taken.stale ? log.length + 1 : log.length, [event(text)]);
            logs.set(
              uid,
              await appended.then(
                () => [...log, text],
                () => log,
              ),
            );
          } else {
            const uid = uidOf(taken.run);
            const log = logs.get(uid);
            if (!log) continue;
            await store.append(uid, log.length, [event('end')], { closed: true });
            await store.deleteRun(uid);
            logs.delete(uid);
            deleted[taken.run] = (deleted[taken.run] ?? 0) + 1;
          }
        }
        for (const [uid, log] of logs) expect((await store.events(uid)).map(({ data }) => data)).toEqual(log);
        await collectBlobs(rows, blobs, now + 3 * DAY);
        const wanted = [...logs].flatMap(([uid, log]) => [...new Set(log)].map((text) => `${uid}: ${text}`));
        expect((await kept()).filter((name) => name.startsWith(`blobs/r${round}-`)).length).toBeGreaterThanOrEqual(
          wanted.length,
        );
      }),
      { numRuns: 40 },
    );
  });
});
