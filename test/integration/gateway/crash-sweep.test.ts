// The gateway dies at each of its writes, by SIGKILL, and whoever asks begins anew: nothing that was written down is paid
// twice, nothing that was given is forgotten, and nothing that may have been spent goes uncounted.
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { budgetAccount, CALL_HEADER, STEP_HEADER } from '@kadre/crds';
import { mintStepToken, openSqliteStore, type Balance } from '@kadre/store';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { step, user } from './bed.ts';
import { startMortalGateway, type MortalGateway } from './mortal.ts';

const CALLS = [1, 2];
/** What the provider says that a call came to, at one per mille of a dollar for each token. */
const USAGE = { prompt_tokens: 5, completion_tokens: 3 };
const COST = 8_000_000;
const YEARS = 1e12;

let folder: string;
let provider: Server;
/** How often each call was paid for. */
let paid: Record<number, number>;
let answers = 0;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kadre-crash-'));
  provider = createServer((request, response) => {
    let text = '';
    request.on('data', (piece: Buffer) => (text += piece.toString()));
    request.on('end', () => {
      const { messages, stream } = JSON.parse(text) as { messages: { content: string }[]; stream?: boolean };
      const call = Number(messages[0]?.content);
      paid[call] = (paid[call] ?? 0) + 1;
      const content = `answer ${++answers}`;
      const finish = { index: 0, finish_reason: 'stop' };
      if (stream) {
        response.writeHead(200, { 'content-type': 'text/event-stream' });
        const pieces = [{ choices: [{ ...finish, delta: { content } }] }, { choices: [], usage: USAGE }];
        response.end(
          `${pieces.map((piece) => `data: ${JSON.stringify({ id: 'x', ...piece })}\n\n`).join('')}data: [DONE]\n\n`,
        );
      } else {
        response.writeHead(200, { 'content-type': 'application/json' });
        const choices = [{ ...finish, message: { role: 'assistant', content } }];
        response.end(JSON.stringify({ id: 'x', choices, usage: USAGE }));
      }
    });
  }).listen(0, '127.0.0.1');
  await once(provider, 'listening');
});
afterAll(async () => {
  provider.closeAllConnections();
  provider.close();
  await rm(folder, { recursive: true });
});

function startGateway(path: string, ...fault: string[]): Promise<MortalGateway> {
  const { port } = provider.address() as AddressInfo;
  return startMortalGateway(path, `http://127.0.0.1:${port}`, ...fault);
}

/** The answer, if it came to its end. */
async function ask(url: string, token: string, call: number): Promise<string | undefined> {
  const streamed = call % 2 === 0;
  try {
    const response = await fetch(`${url}/v1/chat/completions`, {
      method: 'POST',
      headers: {
        authorization: 'Bearer t',
        'content-type': 'application/json',
        [STEP_HEADER]: token,
        [CALL_HEADER]: String(call),
      },
      body: JSON.stringify({ model: 'm', messages: user(String(call)), stream: streamed }),
    });
    const text = await response.text();
    const ended = streamed ? text.includes('data: [DONE]') : response.status === 200;
    return ended ? /answer \d+/.exec(text)?.[0] : undefined;
  } catch {
    return undefined;
  }
}

interface Outcome {
  /** What was given before the gateway died, and what is given afterwards. */
  before: (string | undefined)[];
  after: (string | undefined)[];
  /** Calls in the journal when the gateway had died. */
  recorded: number[];
  /** Calls that were paid for after that. */
  paidAfter: number[];
  /** How often the provider was paid in all. */
  payments: number;
  balance: Balance;
}

async function play(name: string, ...fault: string[]): Promise<Outcome> {
  paid = {};
  const path = join(folder, `${name}.db`);
  const store = openSqliteStore(path);
  const token = mintStepToken(await store.secret('step-token'), step, Date.now() + YEARS);
  const mortal = await startGateway(path, ...fault);
  const before: Outcome['before'] = [];
  for (const call of CALLS) {
    before.push(await ask(mortal.url, token, call));
    if (before.at(-1) === undefined) break;
  }
  await mortal.kill();
  const recorded = (await store.journalOf(step.run)).map(({ call }) => call);
  const earlier = paid;
  paid = {};
  const next = await startGateway(path);
  const after: Outcome['after'] = [];
  for (const call of CALLS) after.push(await ask(next.url, token, call));
  await next.kill();
  const [balance] = await store.balances(
    [{ account: budgetAccount('team-a', 'all'), period: 'total' }],
    Date.now() + YEARS,
  );
  await store.close();
  const payments = [earlier, paid].flatMap((counts) => Object.values(counts)).reduce((sum, count) => sum + count, 0);
  return { before, after, recorded, paidAfter: Object.keys(paid).map(Number), payments, balance: balance as Balance };
}

const WRITES = CALLS.length * 3;
const faults = Array.from({ length: WRITES }, (_, index) => index + 1).flatMap((at) => [
  [at, 'before'] as const,
  [at, 'after'] as const,
]);

test('undisturbed, each call is written down three times: what it may cost, what it did cost, what was answered', async () => {
  const { before, after, recorded, paidAfter, balance } = await play('golden', String(WRITES + 1), 'before');
  expect(after).toEqual(before);
  expect([recorded, paidAfter]).toEqual([CALLS, []]);
  expect(balance).toMatchObject({
    spent: { costNanoUsd: 2 * COST, tokens: 16, requests: 2 },
    reserved: { requests: 0 },
  });
});

test.each(faults)('killed at write %d, %s it', async (at, when) => {
  const { before, after, recorded, paidAfter, payments, balance } = await play(`${at}-${when}`, String(at), when);
  expect(after.every((answer) => answer !== undefined)).toBe(true);
  // What somebody was given was written down before, and is given again.
  for (const [index, answer] of before.entries()) if (answer !== undefined) expect(after[index]).toBe(answer);
  const given = CALLS.filter((_, index) => before[index] !== undefined);
  expect(recorded).toEqual(expect.arrayContaining(given));
  expect(paidAfter).toEqual(CALLS.filter((call) => !recorded.includes(call)));
  // What was paid for and lost on the way counts as well, at its worst, and so does what may have been.
  expect(balance.spent.costNanoUsd).toBeGreaterThanOrEqual(payments * COST);
  expect(balance.spent.requests).toBeGreaterThanOrEqual(payments);
  expect(balance.spent.requests).toBeLessThanOrEqual(CALLS.length + 1);
});
