import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { decisionRecords } from '@kadre/engine';
import type { ObjectStore, RunSubmission } from '@kadre/store';
import { pino } from 'pino';
import { Registry } from 'prom-client';
import { openControlPlaneStore, type ControlPlaneStore } from './control-plane-store.ts';
import { Janitor, type JanitorOptions } from './janitor.ts';
import { openPlace } from './places.ts';

const DAY = 86_400_000;
let folder: string;
let opened: ControlPlaneStore;
let registry: Registry;
let leads: boolean;
let log: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kadre-janitor-'));
  opened = await openControlPlaneStore({ file: join(folder, 'kadre.db'), blobs: { folder } });
  registry = new Registry();
  leads = true;
  log = '';
});
afterEach(async () => {
  await opened.store.close();
  await rm(folder, { recursive: true });
});

function janitor(options: Partial<JanitorOptions> = {}): Janitor {
  return new Janitor({
    ...opened,
    settings: { keep: { keepRuns: 1 }, eventDays: 30, conversationDays: 30, intervalMs: 3_600_000 },
    mayAct: () => leads,
    logger: pino({}, { write: (line: string) => (log += line) }),
    registry,
    ...options,
  });
}

async function closedRun(uid: string, input: unknown = null): Promise<void> {
  const run: RunSubmission = { uid, namespace: 'default', name: uid, subject: 'w', workflow: { steps: [] }, input };
  await opened.store.submitRun(run);
  const events = [{ at: Date.now(), type: 'RunSucceeded', data: { output: input } }];
  await opened.store.append(uid, 0, events, { closed: true });
}

const kept = async (...uids: string[]): Promise<string[]> => {
  const found = await Promise.all(uids.map((uid) => opened.store.submission(uid)));
  return uids.filter((_uid, i) => found[i] !== undefined);
};
async function listed<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}
const blobs = async () => (await listed(opened.blobs.list())).length;
const archive = async (change: Partial<ObjectStore> = {}) => {
  const sink = await openPlace({ folder: join(folder, 'archive') });
  return { sink: { ...sink, ...change }, describe: decisionRecords('1.2.3') };
};
const files = async (sink: ObjectStore) => (await listed(sink.list(''))).map(({ name }) => name);
const metric = async (line: string) => expect(await registry.metrics()).toContain(line);

describe('a round', () => {
  test('removes the runs that are no longer kept, with their blobs', async () => {
    for (const uid of ['a', 'b', 'c']) await closedRun(uid, 'x'.repeat(200_000));
    const before = await blobs();
    await janitor().pass();
    expect(await kept('a', 'b', 'c')).toHaveLength(1);
    expect(await blobs()).toBe(before / 3);
    await metric('kadre_housekeeping_runs_total{to="nowhere"} 2');
  });

  test('puts them into the archive before, where there is one', async () => {
    for (const uid of ['a', 'b']) await closedRun(uid);
    const { sink, describe } = await archive();
    await janitor({ archive: { sink, describe } }).pass();
    expect(await kept('a', 'b')).toHaveLength(1);
    expect((await files(sink)).filter((name) => name.endsWith('.parquet'))).toHaveLength(1);
    await metric('kadre_housekeeping_runs_total{to="archive"} 1');
  });

  test('keeps all runs where nothing is said of them', async () => {
    for (const uid of ['a', 'b']) await closedRun(uid);
    await janitor({ settings: { keep: {}, eventDays: 30, conversationDays: 30, intervalMs: 1 } }).pass();
    expect(await kept('a', 'b')).toHaveLength(2);
  });

  test('forgets what agents remember when it is old, and not before', async () => {
    const at = Date.now();
    const whose = { namespace: 'default', agent: 'a', conversation: 'c' };
    await opened.store.remember(whose, { id: '1', at, messages: [] }, { turns: 9, characters: 9 });
    const settings = { keep: {}, eventDays: 1, conversationDays: 30, intervalMs: 1 };
    await janitor({ settings, now: () => at + 29 * DAY }).pass();
    expect(await opened.store.turns(whose)).toHaveLength(1);
    await janitor({ settings, now: () => at + 31 * DAY, registry: new Registry() }).pass();
    expect(await opened.store.turns(whose)).toEqual([]);
  });

  test('forgets events when they are old, and not before', async () => {
    const at = Date.now();
    await opened.store.publishEvent({ id: '1', namespace: 'default', name: 'e', payload: null, at });
    const seen = async () => (await opened.store.publishedEvents('default', 'e', 0)).length;
    await janitor({ now: () => at + 29 * DAY }).pass();
    expect(await seen()).toBe(1);
    await janitor({ now: () => at + 31 * DAY, registry: new Registry() }).pass();
    expect(await seen()).toBe(0);
  });

  test('removes blobs to which nothing refers, once a day', async () => {
    const refs = [await opened.blobs.put('nobody', Buffer.from('1'))];
    let now = Date.now() + 4 * DAY;
    const it = janitor({ now: () => now });
    await it.pass();
    expect(await blobs()).toBe(0);
    refs.push(await opened.blobs.put('nobody', Buffer.from('2')));
    now += DAY - 1;
    await it.pass();
    expect(await blobs()).toBe(1);
    now += 1;
    await it.pass();
    expect(await blobs()).toBe(0);
    await metric('kadre_housekeeping_blobs_total 2');
  });

  test('that fails at one thing does the others, says so, and loses nothing', async () => {
    for (const uid of ['a', 'b']) await closedRun(uid);
    const full = { create: () => Promise.reject(new Error('no room left')) };
    await janitor({ archive: await archive(full) }).pass();
    expect(await kept('a', 'b')).toHaveLength(2);
    expect(log).toMatch(/no room left/);
    await metric('kadre_housekeeping_failures_total{chore="runs"} 1');
    expect(await registry.metrics()).toMatch(/last_success_timestamp_seconds\{chore="events"\} [1-9]/);
    expect(await registry.metrics()).not.toMatch(/last_success_timestamp_seconds\{chore="runs"\}/);
  });

  test('of a replica that no longer leads does nothing, and that is no failure', async () => {
    for (const uid of ['a', 'b', 'c']) await closedRun(uid);
    const deleteRun = async (uid: string) => {
      await opened.store.deleteRun(uid);
      leads = false;
    };
    await janitor({ store: { ...opened.store, deleteRun } }).pass();
    expect(await kept('a', 'b', 'c')).toHaveLength(2);
    await metric('kadre_housekeeping_failures_total{chore="runs"} 0');
  });
});

test('a round comes by itself, and a stop does not wait for the next', async () => {
  await closedRun('a');
  await closedRun('b');
  const it = janitor({ settings: { keep: { keepRuns: 1 }, eventDays: 30, conversationDays: 30, intervalMs: 1 } });
  it.start();
  while ((await kept('a', 'b')).length > 1) await new Promise((resolve) => setImmediate(resolve));
  await it.stop();
  const patient = janitor({ registry: new Registry() });
  patient.start();
  await patient.stop();
});
