// A step that is begun anew is given what it was given before, and pays nothing for it.
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { CALL_HEADER, REPLAYED_HEADER, STEP_HEADER } from '@kadre/crds';
import { mintStepToken, openSqliteStore, type Store } from '@kadre/store';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CANARY, startBed, step, until, usageOf, user, type Bed } from './bed.ts';

let bed: Bed;
let server: Server;
let answer: (response: ServerResponse) => void;
let asked: number;

const say = (content: string) => (response: ServerResponse) => {
  const choices = [{ index: 0, message: { role: 'assistant', content }, finish_reason: 'stop' }];
  response.writeHead(200, { 'content-type': 'application/json' });
  response.end(JSON.stringify({ id: 'x', choices, usage: { prompt_tokens: 5, completion_tokens: 3 } }));
};

beforeEach(async () => {
  asked = 0;
  answer = (response) => say(`answer ${asked}`)(response);
  server = createServer((request, response) => {
    asked += 1;
    request.resume().on('end', () => answer(response));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  bed = await startBed();
  serve(bed);
});
afterEach(async () => {
  await bed.close();
  server.closeAllConnections();
  server.close();
});

function serve(one: Bed): void {
  one.model('m', {
    provider: 'openai',
    model: 'some-model',
    baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    auth: { secretRef: { name: 'llm', key: 'key' } },
    price: { inputPerMillion: '1', outputPerMillion: '1' },
  });
  one.model('simulated', {});
}

const stepToken = async (claims: Partial<typeof step> = {}): Promise<string> =>
  mintStepToken(await bed.store.secret('step-token'), { ...step, ...claims }, Date.now() + 60_000);

interface Reply {
  status: number;
  replayed: string | null;
  retry: string | null;
  text: string;
  json: Record<string, unknown> & { error?: { code: string; message: string } };
}

interface Ask {
  /** null: without the header. */
  call?: number | string | null;
  claims?: Partial<typeof step> | null;
  at?: Bed;
  path?: string;
  body?: object;
}

async function ask({
  call = 1,
  claims = {},
  at = bed,
  path = '/v1/chat/completions',
  body = {},
}: Ask = {}): Promise<Reply> {
  const response = await fetch(`${at.url}${path}`, {
    method: 'POST',
    headers: {
      authorization: 'Bearer token-a',
      'content-type': 'application/json',
      ...(call !== null && { [CALL_HEADER]: String(call) }),
      ...(claims && { [STEP_HEADER]: await stepToken(claims) }),
    },
    body: JSON.stringify({ model: 'm', messages: user('hello'), ...body }),
  });
  const text = await response.text();
  const json = (text.startsWith('{') ? JSON.parse(text) : {}) as Reply['json'];
  const { headers, status } = response;
  return { status, replayed: headers.get(REPLAYED_HEADER), retry: headers.get('x-should-retry'), text, json };
}

const contentOf = ({ json }: Reply): unknown =>
  (json['choices'] as { message: { content: string } }[])[0]?.message.content;
/** The text of a stream of Chat Completions. */
const streamedText = ({ text }: Reply): string =>
  [...text.matchAll(/^data: (\{.*\})$/gm)]
    .map(([, data = '']) => JSON.parse(data) as { choices: { delta: { content?: string } }[] })
    .map(({ choices }) => choices[0]?.delta.content ?? '')
    .join('');

describe('the same call again', () => {
  test('is answered from the journal: nothing is asked, nothing is paid, nothing is counted', async () => {
    const first = await ask();
    const usage = await usageOf(bed);
    const again = await ask();
    expect([first.replayed, again.replayed]).toEqual([null, 'true']);
    expect([contentOf(first), contentOf(again)]).toEqual(['answer 1', 'answer 1']);
    expect(again.json['usage']).toEqual(first.json['usage']);
    expect(asked).toBe(1);
    expect(await usageOf(bed)).toEqual(usage);
    expect(bed.lines().at(-1)).toMatchObject({ replayed: true, status: 200 });
    expect(bed.lines().at(-1)).not.toHaveProperty('costNanoUsd');
  });

  test('is streamed as if it were new, whichever way it was asked before', async () => {
    await ask();
    const streamed = await ask({ body: { stream: true } });
    expect(streamed.replayed).toBe('true');
    expect(streamedText(streamed)).toBe('answer 1');
    expect(streamed.text).toContain('"finish_reason":"stop"');
    expect(streamed.text.trimEnd().endsWith('data: [DONE]')).toBe(true);

    const first = await ask({ call: 2, body: { model: 'simulated', stream: true } });
    const whole = await ask({ call: 2, body: { model: 'simulated' } });
    expect([first.replayed, whole.replayed]).toEqual([null, 'true']);
    expect(contentOf(whole)).toBe(streamedText(first));
  });

  test('comes after a restart of the gateway, too, with tool calls and all', async () => {
    bed.model('tools', { simulated: { script: [{ toolCalls: [{ name: 'search', arguments: '{"q":"é"}' }] }] } });
    const tools = [{ type: 'function', function: { name: 'search', parameters: { type: 'object' } } }];
    const first = await ask({ body: { model: 'tools', tools } });
    const other = await startBed({ store: bed.store });
    const again = await ask({ at: other, body: { model: 'tools', tools } });
    expect(again.replayed).toBe('true');
    expect(again.json['choices']).toEqual(first.json['choices']);
    await other.gateway.close();
  });

  test('through another door is the same call', async () => {
    const first = await ask({ body: { max_completion_tokens: 50 } });
    const again = await ask({ path: '/v1/messages', body: { max_tokens: 50 } });
    expect(again).toMatchObject({ status: 200, replayed: 'true' });
    expect(again.json['content']).toEqual([expect.objectContaining({ type: 'text', text: contentOf(first) })]);
  });

  test('for embeddings gives the same vectors, bit by bit', async () => {
    const body = { model: 'simulated', input: ['one', 'two'], messages: undefined };
    const first = await ask({ path: '/v1/embeddings', body });
    const again = await ask({ path: '/v1/embeddings', body });
    expect([first.status, first.replayed, again.replayed]).toEqual([200, null, 'true']);
    expect(again.json['data']).toEqual(first.json['data']);
  });

  test('may name what does not change the answer differently', async () => {
    await ask({ body: { user: 'ann', metadata: { try: '1' } } });
    expect(await ask({ body: { user: 'bob', metadata: { try: '2' } } })).toMatchObject({ replayed: 'true' });
  });
});

describe('another call', () => {
  test.each<[string, object]>([
    ['another question', { messages: user('goodbye') }],
    ['another model', { model: 'simulated' }],
    ['another temperature', { temperature: 0.5 }],
    ['a format', { response_format: { type: 'json_object' } }],
    ['a tool', { tools: [{ type: 'function', function: { name: 'f' } }] }],
    ['what only one provider knows', { logit_bias: { 5: 1 } }],
  ])('under the same number, with %s, is refused for good', async (_, body) => {
    await ask();
    const other = await ask({ body });
    expect(other).toMatchObject({ status: 409, retry: 'false', json: { error: { code: 'JournalDiverged' } } });
    expect(other.json.error?.message).toContain('Call 1 of attempt 1 of step research');
    expect(asked).toBe(1);
    expect((await ask()).replayed).toBe('true');
  });

  test.each<[string, Ask]>([
    ['another number', { call: 2 }],
    ['another attempt', { claims: { attempt: 2 } }],
    ['another step', { claims: { step: 'write' } }],
    ['another run, such as a fork', { claims: { run: 'run-2' } }],
  ])('with %s is asked', async (_, more) => {
    await ask();
    expect(await ask(more)).toMatchObject({ status: 200, replayed: null });
    expect(asked).toBe(2);
  });

  test('outside of a step is asked each time, whatever its number', async () => {
    for (let times = 0; times < 2; times++) expect(await ask({ claims: null })).toMatchObject({ replayed: null });
    expect(asked).toBe(2);
  });

  test('without a number is asked each time: it may well be a new question', async () => {
    for (let times = 0; times < 2; times++) expect(await ask({ call: null })).toMatchObject({ replayed: null });
    expect(asked).toBe(2);
    expect(await bed.store.journalOf(step.run)).toEqual([]);
  });

  test.each(['0', '-1', '1.5', 'one', '01', '9'.repeat(12)])('numbered %s is refused', async (call) => {
    const refused = await ask({ call });
    expect(refused).toMatchObject({ status: 400 });
    expect(refused.json.error?.message).toContain(CALL_HEADER);
    expect(asked).toBe(0);
  });
});

describe('at the same moment', () => {
  test('the second waits for the first, and is given its answer', async () => {
    const waiting: ServerResponse[] = [];
    answer = (response) => void waiting.push(response);
    const both = [ask(), ask(), ask({ body: { stream: true } })];
    await until(() => waiting.length === 1);
    say('once')(waiting[0] as ServerResponse);
    const replies = await Promise.all(both);
    expect(replies.map(({ replayed }) => replayed).sort()).toEqual([null, 'true', 'true'].sort());
    expect(asked).toBe(1);
  });

  test('the second asks for itself if the first fails', async () => {
    answer = (response) => {
      if (asked > 1) say('at last')(response);
      else response.writeHead(400).end('{}');
    };
    const replies = await Promise.all([ask(), ask()]);
    expect(replies.map(({ status }) => status).sort()).toEqual([200, 400]);
    expect(asked).toBe(2);
    expect((await ask()).replayed).toBe('true');
  });

  test('through two gateways both may ask, but all end with one answer', async () => {
    const other = await startBed({ store: bed.store });
    serve(other);
    const waiting: ServerResponse[] = [];
    answer = (response) => void waiting.push(response);
    const both = [ask(), ask({ at: other })];
    await until(() => waiting.length === 2);
    for (const [index, response] of waiting.entries()) say(`answer ${index}`)(response);
    const replies = await Promise.all(both);
    const given = replies.find(({ status }) => status === 200) as Reply;
    const late = replies.find(({ status }) => status !== 200);
    expect(late).toMatchObject({ status: 503, retry: null, json: { error: { code: 'ModelUnavailable' } } });
    const again = await ask({ at: other });
    expect([again.replayed, contentOf(again)]).toEqual(['true', contentOf(given)]);
    await other.gateway.close();
  });
});

describe('a journal that fails', () => {
  const failing = async (part: Partial<Store>): Promise<Bed> => {
    const other = await startBed({ store: { ...bed.store, ...part } });
    serve(other);
    return other;
  };

  test('when it is written has the answer withheld, whole or streamed', async () => {
    const other = await failing({ recordJournal: () => Promise.reject(new Error('the disk is full')) });
    expect(await ask({ at: other })).toMatchObject({
      status: 500,
      retry: 'false',
      json: { error: { code: 'InternalError' } },
    });
    const streamed = await ask({ at: other, call: 2, body: { model: 'simulated', stream: true } });
    expect(streamed.text).toContain('InternalError');
    expect(streamed.text).not.toContain('"finish_reason":"stop"');
    await other.gateway.close();
  });

  test('when it is read has nothing asked', async () => {
    const other = await failing({ journalEntry: () => Promise.reject(new Error('away')) });
    expect(await ask({ at: other })).toMatchObject({ status: 503, retry: null });
    expect(asked).toBe(0);
    await other.gateway.close();
  });
});

test('the store holds what was answered, and no secret, no token and no question', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'kadre-journal-'));
  const path = join(folder, 'kadre.db');
  const store = openSqliteStore(path);
  const other = await startBed({ store });
  serve(other);
  const question = 'a question that is nobody’s business';
  const token = mintStepToken(await store.secret('step-token'), step, Date.now() + 60_000);
  const response = await fetch(`${other.url}/v1/chat/completions`, {
    method: 'POST',
    headers: {
      authorization: 'Bearer token-a',
      'content-type': 'application/json',
      [CALL_HEADER]: '1',
      [STEP_HEADER]: token,
    },
    body: JSON.stringify({ model: 'm', messages: user(question) }),
  });
  expect(response.status).toBe(200);
  const [entry] = await store.journalOf(step.run);
  expect(entry).toMatchObject({ call: 1, kind: 'model', answer: { chat: { finish: 'stop' } } });
  const files = await Promise.all([path, `${path}-wal`].map((file) => readFile(file, 'utf8')));
  const bytes = files.join();
  expect(bytes).toContain('answer 1');
  for (const secret of [question, token, CANARY, 'token-a']) expect(bytes).not.toContain(secret);
  await other.gateway.close();
  await store.close();
  await rm(folder, { recursive: true });
});
