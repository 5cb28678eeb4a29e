// An agent's process is killed at every turn of its loop, and its task begun anew by another: no call of a model is paid
// twice, and no tool does its work twice.
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import type { Tool, ToolSpec } from '@kadre/crds';
import { mintStepToken } from '@kadre/store';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { json } from 'node:stream/consumers';
import { bundleRuntime } from '../../../agent-runtime/src/testing/bundle.ts';
import { NAMESPACE, startBed, step, until, usageOf, type Bed } from '../gateway/bed.ts';
import { startRuntime, startWire, type Passage, type RuntimeProcess, type Wire } from './runtime-process.ts';

const TURNS = 10;
/** One turn calls the tool twice. */
const CALLS = TURNS;
const TWICE = 5;

let folder: string;
let main: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kadre-loop-'));
  main = await bundleRuntime(folder);
});
afterAll(() => rm(folder, { recursive: true }));

let bed: Bed;
let wire: Wire;
let passage: Passage;
let agent: RuntimeProcess | undefined;
let tool: Server;
/** How often the tool did its work, by what it was asked, and under which keys. */
let done: Map<number, string[]>;
let work: (count: number, response: ServerResponse) => void;
let approval: ToolSpec['approval'];

beforeEach(async () => {
  done = new Map();
  approval = undefined;
  work = (count, response) => say(count, response);
  tool = createServer((request, response) => {
    void json(request).then((body) => {
      const { n } = body as { n: number };
      const key = String(request.headers['idempotency-key']);
      const keys = done.get(n) ?? [];
      if (!keys.includes(key)) done.set(n, [...keys, key]);
      work(n, response);
    });
  }).listen(0, '127.0.0.1');
  await once(tool, 'listening');
  const grants = [{ name: 'count' }];
  bed = await startBed({ tools: { grants: () => grants, get: () => countTool((tool.address() as AddressInfo).port) } });
  bed.model('smart', { simulated: { script: script() } });
  wire = await startWire(bed.url, () => passage);
  passage = async (_request, forward) => {
    await forward();
  };
});
afterEach(async () => {
  await agent?.kill();
  agent = undefined;
  await wire.close();
  await bed.close();
  tool.closeAllConnections();
  tool.close();
});

const say = (count: number, response: ServerResponse): void =>
  void response.writeHead(200, { 'content-type': 'text/plain' }).end(`counted ${count}. ${'x'.repeat(1500)}`);

let lives = 0;
function countTool(port: number): Tool {
  lives += 1;
  const spec: ToolSpec = {
    // Whoever begins anew must be offered what was offered before.
    description: `Counts, as it says for the ${lives}th time.`,
    http: {
      method: 'POST',
      url: `http://127.0.0.1:${port}/count`,
      input: { schema: { type: 'object', properties: { n: { type: 'integer' } }, required: ['n'] } },
    },
    trust: 'trusted',
    consequential: true,
    ...(approval && { approval }),
  };
  const metadata = {
    name: 'count',
    namespace: NAMESPACE,
    uid: 'tool-1',
    resourceVersion: '1',
    generation: lives,
    creationTimestamp: '2026-01-01T00:00:00Z',
  };
  return { apiVersion: 'kadre.dev/v1alpha1', kind: 'Tool', metadata, spec };
}

/** Each turn counts on from the one before, until the last one answers. */
function script() {
  const usage = { inputTokens: 10, outputTokens: 1 };
  const count = (turn: number) => {
    const numbers = turn === TWICE ? [turn, turn + 100] : [turn];
    return numbers.map((n) => ({ name: 'count', arguments: `{"n":${n}}` }));
  };
  const turns = Array.from({ length: TURNS - 2 }, (_, index) => index + 1);
  return [
    { matchToolResult: `counted ${TURNS - 1}\\.`, reply: 'All is counted.', usage },
    ...turns.map((turn) => ({ matchToolResult: `counted ${turn}\\.`, toolCalls: count(turn + 1), usage })),
    { reply: 'I count.', toolCalls: count(1), usage },
  ];
}

/** The answer, or undefined if the agent died. */
async function ask(at: RuntimeProcess): Promise<string | undefined> {
  const token = mintStepToken(await bed.store.secret('step-token'), step, Date.now() + 600_000);
  const metadata = { 'kadre.dev/step-token': token };
  const message = { messageId: 'm1', role: 'ROLE_USER', parts: [{ text: 'Count.' }], metadata };
  try {
    const response = await fetch(`${at.url}/a2a`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'a2a-version': '1.0' },
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'SendMessage', params: { message } }),
    });
    const { result } = (await response.json()) as {
      result: { task: { status: object; artifacts?: { parts: { text: string }[] }[] } };
    };
    return result.task.artifacts?.[0]?.parts[0]?.text ?? JSON.stringify(result.task.status);
  } catch {
    return undefined;
  }
}

/** So narrow that results are left out of the conversation on the way. */
const limits = { turns: 16, durationMs: 600_000, contextCharacters: 8192 };
const start = async (): Promise<RuntimeProcess> => {
  agent = await startRuntime(main, wire.url, { model: 'smart', tools: true, limits });
  return agent;
};
/** One agent after the other, until one has an answer. */
async function untilAnswered(): Promise<{ answer: string; deaths: number }> {
  for (let deaths = 0; deaths < 100; deaths += 1) {
    const answer = await ask(await start());
    if (answer !== undefined) return { answer, deaths };
  }
  throw new Error('no agent has come to an answer');
}

async function expectOnce(): Promise<void> {
  expect(await usageOf(bed)).toMatchObject({ inputTokens: TURNS * 10, outputTokens: TURNS });
  expect([...done.keys()].sort((a, b) => a - b)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 105]);
  for (const keys of done.values()) expect(keys).toHaveLength(1);
  expect(new Set([...done.values()].flat()).size).toBe(CALLS);
}

test('killed before each of its answers reaches it, and before some requests leave, it pays and does all once', async () => {
  const reached = new Set<string>();
  const answered = new Set<string>();
  const replays: boolean[] = [];
  passage = async ({ call = 'list' }, forward) => {
    const known = answered.has(call);
    if (!known && !reached.has(call) && Number(call) % 4 === 0) {
      reached.add(call);
      await agent?.kill();
      return;
    }
    const { replayed } = await forward();
    if (known) {
      if (call !== 'list') replays.push(replayed);
      return;
    }
    answered.add(call);
    await agent?.kill();
  };
  const { answer, deaths } = await untilAnswered();
  expect(answer).toBe('All is counted.');
  expect(answered.size).toBe(1 + TURNS + CALLS);
  // Two calls of one answer may die together.
  expect(deaths).toBeGreaterThanOrEqual(TURNS + CALLS);
  expect(reached.size).toBe(5);
  expect(agent?.log()).toContain('left results of tools out');
  // What was answered before comes from the journal.
  expect(replays.length).toBeGreaterThan(TURNS * CALLS);
  expect(replays).not.toContain(false);
  await expectOnce();
});

test('killed while the tool is at work, it asks again under the same key, by which the tool knows it', async () => {
  let held = true;
  work = (count, response) => {
    if (count === 3 && held) {
      held = false;
      void agent?.kill();
    } else {
      say(count, response);
    }
  };
  const { answer, deaths } = await untilAnswered();
  expect([answer, deaths]).toEqual(['All is counted.', 1]);
  await expectOnce();
});

test('a gateway that goes away for a moment at each call is asked again, and the task is none the wiser', async () => {
  const seen = new Set<string>();
  passage = async ({ call = 'list' }, forward) => {
    const again = seen.has(call);
    seen.add(call);
    await forward();
    if (!again) throw new Error('the connection breaks');
  };
  const { answer, deaths } = await untilAnswered();
  expect([answer, deaths]).toEqual(['All is counted.', 0]);
  await expectOnce();
});

test('killed while people decide on a call, who are asked once, and whose decision is found', async () => {
  approval = { when: 'args.n == 3' };
  await bed.store.submitRun({ uid: step.run, namespace: NAMESPACE, name: 'r', subject: 's', workflow: {}, input: {} });
  const waiting = ask(await start());
  await until(async () => (await bed.store.openApprovals()).length > 0);
  await agent?.kill();
  expect(await waiting).toBeUndefined();
  expect(done.has(3)).toBe(false);
  const [open] = await bed.store.openApprovals();
  await bed.store.decideApproval(String(open?.key), { approved: true, by: 'bob', at: 1 });
  expect(await untilAnswered()).toEqual({ answer: 'All is counted.', deaths: 0 });
  await expectOnce();
  expect(await bed.store.approvalsOfRun(step.run)).toHaveLength(1);
});
