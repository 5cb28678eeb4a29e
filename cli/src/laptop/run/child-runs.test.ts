// Runs that another one asks for, on a store with nobody else at work on it: the engine's part is played on demand.
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { Workflow, WorkflowSpec } from '@kadre/crds';
import { openSqliteStore, type RunRequest, type RunRequestRecord, type Store } from '@kadre/store';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { startChildRuns, type ChildRuns } from './child-runs.ts';

let folder: string;
let store: Store;
let children: ChildRuns | undefined;
/** Moves on, and lets whoever waits look again. */
let now: number;
let waiting: (() => void)[];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kadre-children-'));
  store = openSqliteStore(join(folder, 'kadre.db'));
  [now, waiting, children] = [10, [], undefined];
  await store.submitRun({ uid: 'u1', namespace: 'default', name: 'main', subject: 'main', workflow, input: null });
});
afterEach(async () => {
  const closing = children?.close();
  tick();
  await closing;
  await store.close();
  await rm(folder, { recursive: true });
});

const workflow = { steps: [{ name: 'say', value: 1 }] } as unknown as WorkflowSpec;
const clock = {
  now: () => now,
  at: (_: number, callback: () => void) => {
    waiting.push(callback);
    return () => undefined;
  },
};
const tick = (): void => waiting.splice(0).forEach((wake) => wake());

function start(): void {
  const object = { metadata: { name: 'report' }, spec: workflow } as unknown as Workflow;
  const toolWorkflows = [{ object, workflows: { inner: workflow } }];
  children = startChildRuns({ store, toolWorkflows, logger: pino({ level: 'silent' }), clock });
}

const request = (more: Partial<RunRequest> = {}): RunRequest => ({
  ...{ key: 'a', namespace: 'default', name: 'report-1', depth: 1, at: 1 },
  spec: { workflow: { name: 'report' }, input: { n: 1 }, requestedBy: 'ann' },
  parent: { run: 'u1', name: 'main', step: 'ask', attempt: 1 },
  ...more,
});

async function until(holds: (record: RunRequestRecord) => unknown): Promise<RunRequestRecord> {
  for (;;) {
    const record = await store.runRequest('a');
    if (record && (await holds(record))) return record;
    await new Promise((resolve) => setTimeout(resolve, 2));
    tick();
  }
}
const submitted = () =>
  until(async ({ uid }) => uid !== undefined && (await store.submission(uid)) !== undefined).then(
    ({ uid }) => uid as string,
  );

async function end(uid: string, phase: 'Succeeded' | 'Failed'): Promise<void> {
  const projection = { uid, namespace: 'default', name: 'x', status: { phase } } as const;
  await store.append(uid, 0, [{ at: 1, type: 'RunSucceeded', data: {} }], { projection, closed: true });
}

test('a run is begun for each request, once, with the workflow that was pinned, and is over with it', async () => {
  start();
  await store.requestRun(request());
  const uid = await submitted();
  expect(await store.submission(uid)).toMatchObject({
    ...{ namespace: 'default', name: 'report-1', subject: 'report', input: { n: 1 }, requestedBy: 'ann' },
    ...{ workflow, workflows: { inner: workflow } },
  });
  expect(children?.known()).toMatchObject([{ uid, name: 'report-1', planned: ['say'], parent: { step: 'ask' } }]);
  await end(uid, 'Succeeded');
  expect(await until(({ state }) => state === 'over')).not.toHaveProperty('failure');
  expect(await store.openRuns()).toEqual(['u1']);
});

test('one that was written down and not begun, because the process died, is begun by the next', async () => {
  await store.requestRun(request());
  await store.runRequestMade('a', 'c1');
  start();
  expect(await submitted()).toBe('c1');
});

describe.each<[string, Partial<RunRequest>, () => unknown]>([
  ['nobody wants any more', {}, () => store.cancelRunRequest('a')],
  ['takes too long', { expiresAt: 20 }, () => (now = 20)],
  ['was asked for by a run that is cancelled', {}, () => store.cancelRun('u1', 'no')],
  ['was asked for by a run that is over', {}, () => end('u1', 'Failed')],
])('one that %s', (_, more, happen) => {
  beforeEach(() => store.requestRun(request(more)));

  test('is cancelled', async () => {
    start();
    const uid = await submitted();
    await happen();
    await until(async () => (await store.controls(uid)).cancellation);
    await end(uid, 'Failed');
    await until(({ state }) => state === 'over');
  });

  test('is never begun', async () => {
    await happen();
    start();
    const { failure } = await until(({ state }) => state === 'refused');
    expect(failure?.reason).toBe('Cancelled');
  });
});

test('a workflow that was not pinned is not run', async () => {
  await store.requestRun(request({ spec: { workflow: { name: 'other' } } }));
  start();
  expect(await until(({ state }) => state === 'refused')).toMatchObject({ failure: { reason: 'WorkflowNotFound' } });
});
