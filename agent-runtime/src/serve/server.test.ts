import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { LLMock } from '@copilotkit/aimock';
import OpenAI from 'openai';
import {
  eventually,
  gatewayError,
  post,
  say,
  sendJson,
  serveAgent,
  startGateway,
  startStream,
  chunk,
  testAgent,
  type ServedAgent,
  type TestGateway,
} from '../testing/harness.ts';

const endpoints = [
  {
    path: '/summarize',
    input: {
      schema: {
        type: 'object',
        required: ['text'],
        properties: { text: { type: 'string' }, words: { type: 'integer', minimum: 1 } },
      },
    },
    prompt: 'Sum up in $(request.words) words: $(request.text)',
  },
  { path: '/joke', prompt: 'Tell a joke.' },
];

describe('an agent over plain HTTP', () => {
  let gateway: TestGateway;
  let agent: ServedAgent;

  beforeAll(async () => {
    gateway = await startGateway();
    agent = await serveAgent({ gatewayUrl: gateway.url, agent: testAgent({ endpoints }), basePath: '/agents/greeter' });
  });
  afterEach(() => {
    gateway.handler = say('Hello from the model.');
    gateway.requests.length = 0;
  });
  afterAll(async () => {
    await agent.runtime.shutdown(0);
    await gateway.close();
  });
  const get = async (path: string) => {
    const response = await fetch(agent.url + path);
    return { status: response.status, body: await response.text() };
  };

  test.each(['/', '/agents/greeter', '/agents/greeter/', '/agents/greeter?x=1'])('%s says what it is', async (path) => {
    expect(JSON.parse((await get(path)).body)).toMatchObject({
      name: 'greeter',
      description: 'Greets people.',
      model: 'smart',
      endpoints: ['/agents/greeter/summarize', '/agents/greeter/joke'],
      links: { card: '/agents/greeter/.well-known/agent-card.json', a2a: '/agents/greeter/a2a' },
    });
  });

  test('is alive and ready', async () => {
    await eventually(async () => (await get('/readyz')).status === 200);
    for (const path of ['/health', '/healthz', '/agents/greeter/healthz', '/readyz'])
      expect((await get(path)).status).toBe(200);
  });

  test('generates text from a prompt and an input', async () => {
    expect(await post(`${agent.url}/generate`, { prompt: 'Greet', input: { who: 'Ada' } })).toMatchObject({
      status: 200,
      body: { output: 'Hello from the model.', usage: { inputTokens: 7, outputTokens: 5 }, model: 'smart' },
    });
    expect(gateway.requests[0]?.body.messages?.at(-1)?.content).toBe('Greet\n\n{"who":"Ada"}');
  });

  const stream = async (): Promise<{ status: number; text: string }> => {
    const headers = { 'content-type': 'application/json' };
    const response = await fetch(`${agent.url}/generate`, {
      method: 'POST',
      headers,
      body: '{"prompt":"Greet","stream":true}',
    });
    return { status: response.status, text: await response.text() };
  };

  test('streams deltas and then the result', async () => {
    const { text } = await stream();
    const deltas = [...text.matchAll(/event: delta\ndata: (.*)\n/g)].map(
      ([, data = '']) => (JSON.parse(data) as { text: string }).text,
    );
    expect(deltas.join('')).toBe('Hello from the model.');
    expect(text).toMatch(
      /event: result\ndata: {"output":"Hello from the model.","usage":{"inputTokens":7,"outputTokens":5},"model":"smart"}\n\n$/,
    );
  });

  test('tells a failure by the status before the first delta, and by an event after it', async () => {
    gateway.handler = (_request, response) => sendJson(response, 400, gatewayError('ModelFailed', 'too long'));
    expect(await stream()).toMatchObject({ status: 400, text: expect.stringContaining('too long') });
    gateway.handler = (_request, response) => {
      startStream(response);
      response.write(chunk({ content: 'Hel' }));
      response.end(`data: ${JSON.stringify(gatewayError('RateLimited', 'slow down'))}\n\n`);
    };
    expect(await stream()).toMatchObject({
      status: 200,
      text: expect.stringMatching(/event: error\ndata: {"error":{"message":"slow down".*"code":"RateLimited"}}\n\n$/),
    });
  });

  test('an endpoint fills its prompt from the request', async () => {
    await post(`${agent.url}/agents/greeter/summarize`, { text: 'long $(request.words) text', words: 7 });
    expect(gateway.requests[0]?.body.messages?.at(-1)?.content).toBe('Sum up in 7 words: long $(request.words) text');
    expect(await post(`${agent.url}/joke`, {})).toMatchObject({
      status: 200,
      body: { output: 'Hello from the model.' },
    });
  });

  test.each<[string, string, unknown, number, RegExp]>([
    ['an endpoint with a field of the wrong kind', '/summarize', { text: 'x', words: 0 }, 400, /\/words must be >= 1/],
    ['an endpoint without a field', '/summarize', {}, 400, /must have required property 'text'/],
    ['an endpoint without a value for its prompt', '/summarize', { text: 'x' }, 400, /needs \$\(request\.words\)/],
    ['generate without a prompt', '/generate', {}, 400, /give a prompt, an input, or both/],
    ['generate with a typing error', '/generate', { promt: 'x' }, 400, /promt/],
    ['generate with a prompt that is no text', '/generate', { prompt: 5 }, 400, /prompt/],
    ['generate with broken JSON', '/generate', '{', 400, /JSON/],
    ['generate with a list', '/generate', [], 400, /Send {"prompt"/],
    ['generate with too much', '/generate', { prompt: 'x'.repeat(5_000_000) }, 413, /too large/],
    ['a path that is not there', '/nowhere', {}, 404, /GET \/ lists/],
  ])('%s is refused with a sentence that helps, and no model is asked', async (_name, path, body, status, sentence) => {
    const answer = await post(agent.url + path, body);
    expect(answer).toMatchObject({ status, body: { error: { message: expect.stringMatching(sentence) } } });
    expect(JSON.stringify(answer.body)).not.toMatch(/node_modules|\.ts:/);
    expect(gateway.requests).toHaveLength(0);
  });

  test('another content type is refused', async () => {
    expect(
      await post(`${agent.url}/generate`, 'prompt=x', { 'content-type': 'application/x-www-form-urlencoded' }),
    ).toMatchObject({ status: 400, body: { error: { message: expect.stringContaining('Send JSON') } } });
  });

  test('gives back the id of a request, but no rubbish in its place', async () => {
    const withId = async (id: string) =>
      (await fetch(`${agent.url}/health`, { headers: { 'x-request-id': id } })).headers.get('x-request-id');
    expect(await withId('abc-1')).toBe('abc-1');
    expect(await withId('a b"<')).toMatch(/^[0-9a-f-]{36}$/);
  });

  test('counts requests and tokens', async () => {
    await post(`${agent.url}/generate`, { prompt: 'x' });
    await eventually(async () =>
      /kadre_agent_requests_total{method="POST",route="\/generate",status="200"} \d/.test((await get('/metrics')).body),
    );
    const { body } = await get('/metrics');
    expect(body).toMatch(/kadre_agent_tokens_total{direction="input"} \d+/);
    expect(body).toMatch(/kadre_agent_in_flight 0/);
    expect(body).toMatch(/kadre_agent_request_duration_seconds_count{method="POST",route="\/generate"} \d/);
  });

  test('a client that leaves takes the model call with it', async () => {
    let hungUp = false;
    gateway.handler = (_request, response) => void response.once('close', () => (hungUp = true));
    const controller = new AbortController();
    const headers = { 'content-type': 'application/json' };
    const asking = fetch(`${agent.url}/generate`, {
      method: 'POST',
      headers,
      body: '{"prompt":"x"}',
      signal: controller.signal,
    });
    await eventually(() => gateway.requests.length === 1);
    controller.abort();
    await expect(asking).rejects.toThrow();
    await eventually(() => hungUp);
    expect(hungUp).toBe(true);
  });
});

test('works against an independent double of the OpenAI API', async () => {
  const mock = new LLMock({ port: 0 });
  mock.onMessage('capital of France', { content: 'Paris, of course.' });
  await mock.start();
  const agent = await serveAgent({ gatewayUrl: mock.url });
  const client = new OpenAI({ baseURL: `${agent.url}/v1`, apiKey: 'none', maxRetries: 0 });
  const ask = { model: 'greeter', messages: [{ role: 'user' as const, content: 'What is the capital of France?' }] };
  expect((await client.chat.completions.create(ask)).choices[0]?.message.content).toBe('Paris, of course.');
  expect((await client.chat.completions.stream(ask).finalChatCompletion()).choices[0]?.message.content).toBe(
    'Paris, of course.',
  );
  await agent.runtime.shutdown(0);
  await mock.stop();
});
