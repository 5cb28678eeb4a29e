// Runs that were asked for on behalf of an attempt, when nobody is there any more who waits for them.
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { startAgent, type AgentServer } from '../testing/agent-server.ts';
import { Bench, until } from '../testing/bench.ts';

let bench: Bench;
let writer: AgentServer;
beforeEach(async () => {
  bench = await Bench.make();
  // Works on `draft` until it is told to stop.
  writer = await startAgent(({ key }, stopped) =>
    key === 'draft/1'
      ? new Promise((resolve) => stopped.addEventListener('abort', () => resolve({ text: '' })))
      : { text: 'ok' },
  );
  bench.agents['writer'] = writer.url;
});
afterEach(async () => {
  await bench.cleanUp();
  await writer.close();
});

const ask = (name: string, more: object = {}) => ({ name, agent: { name: 'writer', prompt: name }, ...more });
const hold = { name: 'hold', needs: [], wait: { for: '1h' } };
const begun = () => until(() => (writer.asked.length > 0 ? true : undefined));

async function request(key: string, step: string, attempt: number, run = 'u1'): Promise<void> {
  await bench.store.requestRun({
    ...{ key, namespace: 'team', name: `child-${key}`, spec: { workflow: { name: 'report' } } },
    ...{ parent: { run, name: `run-${run}`, step, attempt }, depth: 1, at: 1 },
  });
}
const isCancelled = async (key: string) => (await bench.store.runRequest(key))?.cancelled;
const cancelled = (key: string) => until(async () => ((await isCancelled(key)) ? true : undefined));

test('are taken back when the attempt runs out of time, and so are those of its parts', async () => {
  await bench.startEngine();
  await bench.submit({ steps: [ask('draft', { timeout: '1s', onError: { continue: true } }), hold] });
  await begun();
  await request('a', 'draft', 1);
  await bench.store.runRequestMade('a', 'c1');
  await request('b', 'draft/7', 1);
  await request('other', 'draft', 1, 'u2');
  await Promise.all([cancelled('a'), cancelled('b')]);
  expect(await isCancelled('other')).toBe(false);
});

test('are left alone while the attempt is at work, as are those that this engine has not heard of', async () => {
  await bench.startEngine();
  await bench.submit({ steps: [ask('draft'), ask('later', { needs: ['draft'] }), ask('twice', { needs: [] })] });
  await begun();
  await bench.projected(({ status }) => status.progress === '1/3');
  await request('a', 'draft', 1);
  await request('b', 'later', 1);
  await request('c', 'draft', 2);
  await request('gone', 'twice', 1);
  await cancelled('gone');
  expect(await Promise.all(['a', 'b', 'c'].map(isCancelled))).toEqual([false, false, false]);
});

test('are found by an engine that takes over from one that died before it could take them back', async () => {
  await bench.startEngine();
  await bench.submit({ steps: [ask('first'), { ...hold, needs: ['first'] }] });
  await bench.projected(({ status }) => status.progress === '1/2');
  await bench.stopEngine();
  await request('a', 'first', 1);
  await bench.startEngine();
  await cancelled('a');
});
