// The process of an agent that asks others is killed at every turn, and while the others are at work: nothing is paid twice, and
// whoever is at work already is joined.
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bundleRuntime } from '../../../agent-runtime/src/testing/bundle.ts';
import { until, usageOf } from '../gateway/bed.ts';
import { startRuntime, startWire, type Passage, type RuntimeProcess, type Wire } from '../runtime/runtime-process.ts';
import { grant, startCrew, textOf, type Crew, type Task } from './crew.ts';

const usage = { inputTokens: 10, outputTokens: 1 };
const ask = (prompt: string) => ({ name: 'ask_writer', arguments: JSON.stringify({ prompt }) });

let folder: string;
let main: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kadre-delegation-'));
  main = await bundleRuntime(folder);
});
afterAll(() => rm(folder, { recursive: true }));

let crew: Crew;
let wire: Wire;
let passage: Passage;
let agent: RuntimeProcess | undefined;
beforeEach(async () => {
  crew = await startCrew();
  crew.tool('count');
  crew.grants.set('writer', [{ name: 'count' }]);
  crew.grants.delete('researcher');
  crew.server.answer = (response) => void response.writeHead(200, { 'content-type': 'text/plain' }).end('counted');
  await crew.agent('writer', [
    { matchToolResult: '.', reply: 'did: $(prompt)', usage },
    { toolCalls: [{ name: 'count' }], usage },
  ]);
  const script = [
    { matchToolResult: 'did: b', reply: 'All is done.', usage },
    { matchToolResult: 'did: a', toolCalls: [ask('b1'), ask('b2')], usage },
    { toolCalls: [ask('a')], usage },
  ];
  await crew.agent('researcher', script, { agents: [grant('writer')] });
  wire = await startWire(crew.url, () => passage);
});
afterEach(async () => {
  await agent?.kill();
  agent = undefined;
  await wire.close();
  await crew.close();
});

/** The same message to one process after the other, until one has an answer. */
async function untilAnswered(): Promise<{ answer: string; deaths: number }> {
  for (let deaths = 0; deaths < 20; deaths += 1) {
    agent = await startRuntime(main, wire.url, { model: 'researcher', tools: true });
    const body = { jsonrpc: '2.0', id: 1, method: 'SendMessage', params: { message: await crew.message() } };
    const headers = { 'content-type': 'application/json', 'a2a-version': '1.0' };
    const response = await fetch(`${agent.url}/a2a`, { method: 'POST', headers, body: JSON.stringify(body) }).then(
      (answered) => answered.json() as Promise<{ result: { task: Task } }>,
      () => undefined,
    );
    if (response) return { answer: textOf(response.result.task), deaths };
  }
  throw new Error('no process has come to an answer');
}

/** Three turns of its own, and two of each of the three that it asks. */
async function expectOnce(): Promise<void> {
  expect(await usageOf(crew)).toMatchObject({ inputTokens: 90, outputTokens: 9 });
  expect(crew.server.asked).toHaveLength(3);
}

test('killed before each of its answers reaches it, it pays once and asks once', async () => {
  const answered = new Set<string>();
  passage = async ({ call = 'list' }, forward) => {
    const known = answered.has(call);
    await forward();
    if (known) return;
    answered.add(call);
    await agent?.kill();
  };
  const { answer, deaths } = await untilAnswered();
  expect(answer).toBe('All is done.');
  expect(answered).toEqual(new Set(['list', '1', '2', '3', '4', '5', '6']));
  expect(deaths).toBeGreaterThanOrEqual(6);
  await expectOnce();
});

test('killed while another one is at work for it, it joins that work when it is begun anew', async () => {
  let asked = 0;
  passage = async ({ call }, forward) => {
    if (call === '2') asked += 1;
    await forward();
  };
  crew.server.answer = (response) => {
    const answer = () => response.writeHead(200, { 'content-type': 'text/plain' }).end('counted');
    if (crew.server.asked.length > 1) return void answer();
    void agent?.kill();
    void until(() => asked === 2).then(answer);
  };
  const { answer, deaths } = await untilAnswered();
  expect([answer, deaths]).toEqual(['All is done.', 1]);
  await expectOnce();
});
