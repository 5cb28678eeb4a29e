// The gateway dies at each of its writes, by SIGKILL, and the step asks again. What was written down is not done again; what was
// not is asked for again under the key that the tool knows already, so that a tool which honours it does nothing twice.
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { CALL_HEADER, REPLAYED_HEADER, STEP_HEADER, type ToolResult } from '@kadre/crds';
import { mintStepToken, openSqliteStore } from '@kadre/store';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { step, until } from './bed.ts';
import { startMortalGateway } from './mortal.ts';
import { json, startToolServer, type ToolServer } from './tool-bed.ts';

const CALLS = [1, 2];

let folder: string;
let server: ToolServer;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kadre-tool-crash-'));
  server = await startToolServer();
});
afterAll(async () => {
  server.close();
  await rm(folder, { recursive: true });
});

interface Told {
  status: number;
  text: string;
  replayed: boolean;
}

async function ask(url: string, token: string, call: number): Promise<Told | undefined> {
  try {
    const response = await fetch(`${url}/v1/tools/call`, {
      method: 'POST',
      headers: {
        authorization: 'Bearer t',
        'content-type': 'application/json',
        [STEP_HEADER]: token,
        [CALL_HEADER]: String(call),
      },
      body: JSON.stringify({ name: 't', arguments: JSON.stringify({ call }) }),
    });
    const { content } = (await response.json()) as ToolResult;
    const { status, headers } = response;
    return { status, text: JSON.stringify(content), replayed: headers.has(REPLAYED_HEADER) };
  } catch {
    return undefined;
  }
}

test.each(CALLS.flatMap((at) => [[at, 'before'] as const, [at, 'after'] as const]))(
  'killed at write %d, %s it',
  async (at, when) => {
    // As a tool should: what it was asked under a key before, it has done.
    const done = new Map<string, number>();
    server.asked.length = 0;
    server.answer = (response, { headers }) => {
      const key = String(headers['idempotency-key']);
      if (!done.has(key)) done.set(key, done.size + 1);
      json(response, done.get(key));
    };
    const path = join(folder, `${at}-${when}.db`);
    const store = openSqliteStore(path);
    const token = mintStepToken(await store.secret('step-token'), step, Date.now() + 600_000);
    const mortal = await startMortalGateway(path, server.url, String(at), when);
    const before: (string | undefined)[] = [];
    for (const call of CALLS) before.push((await ask(mortal.url, token, call))?.text);
    await mortal.kill();
    expect(before[at - 1]).toBeUndefined();
    const recorded = (await store.journalOf(step.run)).map(({ call }) => call);
    const asked = server.asked.length;

    const next = await startMortalGateway(path, server.url);
    const after = [];
    for (const call of CALLS) after.push(await ask(next.url, token, call));
    await next.kill();
    await store.close();
    expect(after.map((reply) => reply?.replayed)).toEqual(CALLS.map((call) => recorded.includes(call)));
    for (const [index, text] of before.entries()) if (text !== undefined) expect(after[index]?.text).toBe(text);
    expect(server.asked.length - asked).toBe(CALLS.length - recorded.length);
    expect(done.size).toBe(CALLS.length);
    expect(server.asked).toHaveLength(CALLS.length + (when === 'before' ? 1 : 0));
  },
);

test('killed while it waits for people, and again before it could write what came of their decision', async () => {
  const done = new Set<string>();
  server.asked.length = 0;
  server.answer = (response, { headers }) => {
    done.add(String(headers['idempotency-key']));
    json(response, done.size);
  };
  const path = join(folder, 'people.db');
  const store = openSqliteStore(path);
  await store.submitRun({ uid: step.run, namespace: 'team-a', name: 'r', subject: 's', workflow: {}, input: {} });
  const token = mintStepToken(await store.secret('step-token'), step, Date.now() + 600_000);
  const start = (...fault: string[]) => startMortalGateway(path, server.url, ...fault, 'approval');

  const first = await start('0', 'before');
  const waiting = ask(first.url, token, 1);
  await until(async () => (await store.openApprovals()).length > 0);
  await first.kill();
  expect(await waiting).toBeUndefined();
  const [approval] = await store.openApprovals();
  await store.decideApproval(String(approval?.key), { approved: true, by: 'bob', at: 1 });

  const second = await start('1', 'before');
  expect(await ask(second.url, token, 1)).toBeUndefined();
  await second.kill();
  const third = await start('0', 'before');
  expect(await ask(third.url, token, 1)).toMatchObject({ status: 200, replayed: false });
  expect(await ask(third.url, token, 1)).toMatchObject({ status: 200, replayed: true });
  await third.kill();
  expect([server.asked.length, done.size]).toEqual([2, 1]);
  expect(await store.approvalsOfRun(step.run)).toHaveLength(1);
  await store.close();
});
