// Providers, clients and days that do not go as they should: a server that misbehaves byte by byte.
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { ModelSpec } from '@kadre/crds';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { CANARY, collect, failure, NAMESPACE, startBed, until, user, type Bed } from './bed.ts';

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

let bed: Bed;
let server: Server;
let handle: Handler;
const asked: IncomingMessage[] = [];

beforeEach(async () => {
  asked.length = 0;
  server = createServer((request, response) => {
    asked.push(request);
    request.resume();
    handle(request, response);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  bed = await startBed();
  useProvider('openai');
});
afterEach(async () => {
  expect(bed.log()).not.toContain(CANARY);
  await bed.close();
  server.closeAllConnections();
  server.close();
});

function useProvider(provider: ModelSpec['provider']): void {
  const { port } = server.address() as AddressInfo;
  bed.model('m', {
    provider,
    model: 'some-model',
    baseUrl: `http://127.0.0.1:${port}`,
    auth: { secretRef: { name: 'llm', key: 'key' } },
    price: { inputPerMillion: '1', outputPerMillion: '1' },
  });
}

const json = (response: ServerResponse, status: number, body: unknown, headers: Record<string, string> = {}): void => {
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
};
const startEvents = (response: ServerResponse): ServerResponse =>
  response.writeHead(200, { 'content-type': 'text/event-stream' });
const delta = (content: string, finish: string | null = null): string =>
  `data: ${JSON.stringify({ id: 'x', choices: [{ index: 0, delta: { content }, finish_reason: finish }] })}\n\n`;
const answer = (content: string, more: object = {}): object => ({
  id: 'x',
  choices: [{ index: 0, message: { role: 'assistant', content }, finish_reason: 'stop' }],
  ...more,
});

const ask = (options: object = {}) =>
  bed.client().chat.completions.create({ model: 'm', messages: user('hello there'), stream: false }, options);
const askStreamed = (options: object = {}) =>
  bed.client().chat.completions.create({ model: 'm', messages: user('hello there'), stream: true }, options);
const lastLine = (): Record<string, unknown> | undefined => bed.lines().at(-1);

describe('answers', () => {
  test('characters that are torn apart between packets arrive whole', async () => {
    const text = 'Füße 東京 👩‍🚀';
    handle = (_request, response) => {
      startEvents(response);
      const bytes = Buffer.from(`${delta(text)}${delta('', 'stop')}data: [DONE]\n\n`);
      const next = (at: number): void => {
        if (at >= bytes.length) response.end();
        else response.write(bytes.subarray(at, at + 1), () => setImmediate(next, at + 1));
      };
      next(0);
    };
    const chunks = await collect(await askStreamed());
    expect(chunks.map(({ choices }) => choices[0]?.delta.content ?? '').join('')).toBe(text);
  });

  test('without usage are counted by their length, and the log says so', async () => {
    handle = (_request, response) => json(response, 200, answer('x'.repeat(40)));
    expect((await ask()).usage).toMatchObject({ prompt_tokens: 3, completion_tokens: 10 });
    expect(lastLine()).toMatchObject({ counted: 'estimate', costNanoUsd: 13_000 });
  });

  test.each([
    ['negative', { prompt_tokens: -5, completion_tokens: 2 }],
    ['no numbers', { prompt_tokens: 'many', completion_tokens: null }],
    ['zero', { prompt_tokens: 0, completion_tokens: 0 }],
    ['more cached than read', { prompt_tokens: 1, completion_tokens: 2, prompt_tokens_details: { cached_tokens: 9 } }],
  ])('with usage that is %s are counted by their length', async (_name, usage) => {
    handle = (_request, response) => json(response, 200, answer('x'.repeat(40), { usage }));
    expect((await ask()).usage).toMatchObject({ prompt_tokens: 3, completion_tokens: 10 });
  });

  test('without a choice are a failure that is paid for', async () => {
    handle = (_request, response) =>
      json(response, 200, { choices: [], usage: { prompt_tokens: 50, completion_tokens: 1 } });
    expect(await failure(ask())).toMatchObject({ status: 502, code: 'ModelFailed' });
    expect(lastLine()).toMatchObject({ inputTokens: 50, costNanoUsd: 51_000 });
  });

  test('that end without saying why are not taken for complete', async () => {
    handle = (_request, response) => startEvents(response).end(delta('half'));
    const error = await failure(askStreamed().then(collect));
    expect(error).toMatchObject({ code: 'ModelUnavailable' });
    expect(error.message).toContain('before it was complete');
  });

  test('that hold an error event end with that error', async () => {
    handle = (_request, response) =>
      startEvents(response).end(
        `${delta('half')}data: {"error": {"type": "rate_limit_error", "message": "too much"}}\n\n`,
      );
    const error = await failure(askStreamed().then(collect));
    expect(error).toMatchObject({ code: 'RateLimited' });
    expect(error.message).toContain('too much');
    expect(lastLine()).toMatchObject({ status: 429, counted: 'estimate', outputTokens: 1 });
  });

  test.each(['openai', 'anthropic', 'google'] as const)(
    'of %s that are rubbish fail without quoting it',
    async (provider) => {
      useProvider(provider);
      const name = provider === 'anthropic' ? 'event: message_start\n' : '';
      handle = (_request, response) =>
        startEvents(response).end(`${name}data: {"private": "${'p'.repeat(20)}", oops\n\n`);
      const error = await failure(askStreamed().then(collect));
      expect(error).toMatchObject({ status: 502, code: 'ModelFailed' });
      expect(error.message).not.toContain('pppp');
      expect(bed.log()).not.toContain('pppp');
    },
  );

  test('that are larger than agreed are not read to the end', async () => {
    await bed.close();
    bed = await startBed({ limits: { answerBytes: 10_000 } });
    useProvider('openai');
    handle = (_request, response) => json(response, 200, answer('x'.repeat(20_000)));
    const error = await failure(ask());
    expect(error).toMatchObject({ status: 502, code: 'ModelFailed' });
    expect(error.message).toContain('too large');
  });

  test('that point elsewhere are not followed, for the key would go along', async () => {
    handle = (_request, response) => response.writeHead(307, { location: '/elsewhere' }).end();
    await failure(ask());
    expect(asked).toHaveLength(1);
  });
});

describe('the API key', () => {
  test.each([
    ['openai', 'authorization', `Bearer ${CANARY}`],
    ['anthropic', 'authorization', `Bearer ${CANARY}`],
    ['google', 'x-goog-api-key', CANARY],
  ] as const)('of %s goes to the provider alone, and neither token does', async (provider, header, value) => {
    useProvider(provider);
    handle = (_request, response) => json(response, 500, { error: { message: `you sent ${CANARY}` } });
    const error = await failure(ask());
    expect(asked[0]?.headers[header]).toBe(value);
    expect(JSON.stringify(asked[0]?.headers)).not.toContain('token-a');
    expect(error.message).not.toContain(CANARY);
  });

  test('that was just rotated is read again at once, and the call succeeds', async () => {
    handle = (request, response) =>
      request.headers.authorization === 'Bearer new'
        ? json(response, 200, answer('fine'))
        : json(response, 401, { error: { message: 'no' } });
    bed.secrets.set(`${NAMESPACE}/llm`, { key: 'old' });
    expect(await failure(ask())).toMatchObject({ status: 424, code: 'Unauthorized' });
    expect(asked).toHaveLength(1);
    bed.secrets.set(`${NAMESPACE}/llm`, { key: 'new\n' });
    expect((await ask()).choices[0]?.message.content).toBe('fine');
    expect(asked).toHaveLength(3);
  });

  test('that no header can hold is refused without being shown', async () => {
    bed.secrets.set(`${NAMESPACE}/llm`, { key: `${CANARY}\nX-Evil: 1` });
    const error = await failure(ask());
    expect(error).toMatchObject({ status: 424, code: 'SecretNotFound' });
    expect(error.message).not.toContain(CANARY);
    expect(asked).toHaveLength(0);
  });
});

describe('when the client goes away', () => {
  test.each([
    ['in the middle of a stream', true],
    ['before there is an answer', false],
  ])('%s, the provider is told and what was used is written down', async (_name, streamed) => {
    let cut = false;
    handle = (request, response) => {
      response.once('close', () => (cut = !response.writableEnded));
      if (streamed) startEvents(response).write(delta('x'.repeat(80)));
      request.on('error', () => undefined);
    };
    const controller = new AbortController();
    if (streamed) {
      for await (const chunk of await askStreamed({ signal: controller.signal })) {
        if (chunk.choices[0]?.delta.content) break;
      }
    } else {
      const call = ask({ signal: controller.signal }).catch(() => undefined);
      await until(() => asked.length > 0);
      controller.abort();
      await call;
    }
    await until(() => cut && bed.lines().length > 0);
    expect(lastLine()).toMatchObject({
      status: 499,
      code: 'Cancelled',
      counted: 'estimate',
      outputTokens: streamed ? 20 : 0,
    });
  });

  test('one that reads nothing is cut off after a while', async () => {
    await bed.close();
    bed = await startBed({ limits: { slowClientMs: 50 } });
    useProvider('openai');
    let cut = false;
    handle = (_request, response) => {
      response.once('close', () => (cut = true));
      startEvents(response);
      const flood = (): void => {
        while (!response.destroyed && response.write(delta('x'.repeat(60_000))));
        response.once('drain', flood);
      };
      flood();
    };
    const socket = connect(Number(new URL(bed.url).port), '127.0.0.1');
    const body = JSON.stringify({ model: 'm', messages: user('x'), stream: true });
    socket.write(
      `POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer token-a\r\n` +
        `content-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
    );
    socket.on('error', () => undefined);
    await until(() => cut && bed.lines().length > 0);
    expect(lastLine()).toMatchObject({ status: 499 });
    socket.destroy();
  });
});

describe('time', () => {
  test.each([false, true])('a provider that never finishes is given up (streamed: %s)', async (streamed) => {
    await bed.close();
    bed = await startBed({ limits: { callMs: 100 } });
    useProvider('openai');
    handle = (_request, response) => {
      if (streamed) startEvents(response).write(delta('and then '));
    };
    const error = await failure(streamed ? askStreamed().then(collect) : ask());
    expect(error).toMatchObject({ code: 'ModelUnavailable' });
    expect(error.message).toContain('did not finish');
  });

  test('a provider that falls silent is given up', async () => {
    await bed.close();
    bed = await startBed({ limits: { silenceMs: 50 } });
    useProvider('openai');
    handle = (_request, response) => startEvents(response).write(delta('and then '));
    expect((await failure(askStreamed().then(collect))).message).toContain('silent');
  });
});

describe('closing', () => {
  test('lets a stream finish, and turns new calls away meanwhile', async () => {
    let finish: () => void = () => undefined;
    handle = (_request, response) => {
      startEvents(response).write(delta('first '));
      finish = () => response.end(`${delta('last', 'stop')}data: [DONE]\n\n`);
    };
    const stream = (await askStreamed())[Symbol.asyncIterator]();
    await stream.next();
    const closed = bed.gateway.close();
    await expect(fetch(`${bed.url}/readyz`).then(({ status }) => status)).rejects.toThrow();
    finish();
    const rest = await collect({ [Symbol.asyncIterator]: () => stream });
    expect(rest.at(-1)?.choices[0]?.finish_reason).toBe('stop');
    await closed;
  });

  test('breaks off what does not finish in time, and writes down what it cost', async () => {
    await bed.close();
    bed = await startBed({ limits: { drainMs: 50 } });
    useProvider('openai');
    handle = (_request, response) => startEvents(response).write(delta('x'.repeat(80)));
    const call = failure(askStreamed().then(collect));
    await until(() => asked.length > 0);
    await bed.gateway.close();
    expect(await call).toMatchObject({ code: 'ModelUnavailable' });
    expect(lastLine()).toMatchObject({ status: 503, counted: 'estimate' });
    await bed.gateway.close();
  });
});

test('more requests than agreed are turned away, with the time to wait', async () => {
  await bed.close();
  bed = await startBed({ limits: { concurrentRequests: 1 } });
  useProvider('openai');
  let finish: () => void = () => undefined;
  handle = (_request, response) => (finish = () => json(response, 200, answer('done')));
  const first = ask();
  await until(() => asked.length > 0);
  const error = await failure(ask());
  expect(error).toMatchObject({ status: 503, code: 'ModelUnavailable' });
  expect(error.headers?.get('retry-after')).toBe('1');
  expect((await fetch(`${bed.url}/healthz`)).status).toBe(200);
  finish();
  expect((await first).choices[0]?.message.content).toBe('done');
});
