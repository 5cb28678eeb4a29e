// Runs that are asked for through the store, against a real API server: each is made once, whatever dies in between.
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import type { RunRequest, Store } from '@kadre/store';
import { eventually, field, startBed, startMs, type Bed, type Seen } from './bed.ts';
import { runTools } from './run-tools.ts';

let bed: Bed;
let operator: Awaited<ReturnType<Bed['startOperator']>> | undefined;
let namespace: string;
let count = 0;

beforeAll(async () => {
  bed = await startBed();
}, startMs);
afterAll(() => bed.stop());
beforeEach(async () => {
  namespace = await bed.namespace(`asked-${++count}`);
});

const { runRef, applyWorkflow, applyRun, submitted, say, phase, cancellation } = runTools(() => ({ bed, namespace }));

const start = async (wrap?: (store: Store) => Store): Promise<void> => {
  if (operator) await bed.stopOperator(operator);
  operator = await bed.startOperator(wrap);
};
const stop = async (): Promise<void> => {
  if (operator) await bed.stopOperator(operator);
  operator = undefined;
};
const ask = (more: Partial<RunRequest> = {}) =>
  bed.store.requestRun({
    key: `${namespace}/asked`,
    namespace,
    name: 'child',
    spec: { workflow: { name: 'article' }, input: { topic: 'é' } },
    depth: 1,
    at: Date.now(),
    ...more,
  });
const record = () => bed.store.runRequest(`${namespace}/asked`);
const state = (wanted: string) =>
  eventually(`the request is ${wanted}`, async () => {
    const known = await record();
    return known?.state === wanted && known;
  });
const child = (): Promise<Seen> => eventually('a child', () => bed.get(runRef('child')));
const gone = () => eventually('no child', async () => (await bed.get(runRef('child'))) === undefined);

test('a Run that is asked for is made, goes its way, and is over', async () => {
  await start();
  await applyWorkflow();
  await ask();
  const made = await child();
  expect(field(made, 'spec')).toMatchObject({ workflow: { name: 'article' }, input: { topic: 'é' } });
  const uid = await submitted(made);
  expect(await record()).toMatchObject({ state: 'made', uid });
  await say(uid, { phase: 'Succeeded', output: 42 }, { closed: true }, 'child');
  await phase('child', 'Succeeded');
  expect(await state('over')).not.toHaveProperty('failure');
}, 60_000);

test('an operator that dies between making the Run and writing that down makes no second one', async () => {
  await applyWorkflow();
  let died = false;
  await start((store) => ({
    ...store,
    runRequestMade: () => {
      died = true;
      return Promise.reject(new Error('killed'));
    },
  }));
  await ask();
  const made = await child();
  await eventually('it died', () => Promise.resolve(died));
  // What it may spend hangs on whose it is, so nothing of it begins before that is known.
  expect(await bed.store.submission(made.metadata.uid ?? '')).toBeUndefined();
  await start();
  expect(await state('made')).toMatchObject({ uid: made.metadata.uid });
  await submitted(made);
}, 60_000);

test('a Run that is over and deleted is not made again', async () => {
  await start();
  await applyWorkflow();
  await ask();
  const uid = await submitted(await child());
  await say(uid, { phase: 'Succeeded', output: 1 }, { closed: true }, 'child');
  await state('over');
  await bed.client.delete(runRef('child'));
  await gone();
  await stop();
  await start();
  expect(await ask()).toMatchObject({ state: 'over', uid });
  await ask({ key: `${namespace}/other`, name: 'other' });
  await eventually('the other', () => bed.get(runRef('other')));
  expect(await bed.get(runRef('child'))).toBeUndefined();
}, 60_000);

test('a Run that was deleted while the operator was away is not made again', async () => {
  await applyWorkflow();
  await start();
  await ask();
  const uid = await submitted(await child());
  await stop();
  await bed.client.delete(runRef('child'));
  await gone();
  await start();
  expect(await state('refused')).toMatchObject({ uid, failure: { reason: 'Cancelled' } });
  expect(await bed.get(runRef('child'))).toBeUndefined();
}, 60_000);

test('whoever asked can take it back, and a run that ends takes along what it has asked for', async () => {
  await start();
  await applyWorkflow();
  const parent = await submitted(await applyRun());
  await ask({ parent: { run: parent, name: 'first', step: 'draft', attempt: 1 } });
  const made = await child();
  const uid = await submitted(made);
  expect(field(made, 'metadata.ownerReferences.0')).toMatchObject({ kind: 'Run', name: 'first', uid: parent });
  await ask({ key: `${namespace}/other`, name: 'other' });
  const other = await submitted(await eventually('the other', () => bed.get(runRef('other'))));
  await bed.store.cancelRunRequest(`${namespace}/other`);
  await eventually('the other is cancelled', () => cancellation(other));
  expect(await cancellation(uid)).toBeUndefined();
  await say(parent, { phase: 'Cancelled' }, { closed: true });
  await eventually('the child is cancelled', () => cancellation(uid));
  expect(await cancellation(uid)).toBe('Run first, which asked for it, is over.');
  // The operator has no right to write what a Run is to do.
  expect(field(await bed.get(runRef('child')), 'spec.cancel')).toBeUndefined();
}, 60_000);

test('what the API server refuses, and a name that somebody else has, come back as failures', async () => {
  await start();
  await applyWorkflow();
  await applyRun(undefined, 'child');
  await ask();
  expect(await state('refused')).toMatchObject({
    failure: { reason: 'Refused', message: expect.stringContaining('nobody asked for') as unknown as string },
  });
  await ask({ key: `${namespace}/bad`, name: 'bad', spec: {} });
  const refused = await eventually('a refusal', async () => {
    const bad = await bed.store.runRequest(`${namespace}/bad`);
    return bad?.state === 'refused' && bad;
  });
  expect(refused.failure?.message).toMatch(/cannot be made/);
}, 60_000);
