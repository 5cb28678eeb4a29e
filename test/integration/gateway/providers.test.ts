// The official OpenAI client, through the gateway, to an independent double of each provider.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { LLMock } from '@copilotkit/aimock';
import type { ModelSpec } from '@kadre/crds';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { CANARY, collect, failure, startBed, user, type Bed } from './bed.ts';

const double = new LLMock({ port: 0, logLevel: 'silent' });
let bed: Bed;

beforeAll(async () => {
  await double.start();
});
afterAll(() => double.stop());
beforeEach(async () => {
  bed = await startBed();
});
afterEach(async () => {
  expect(bed.log()).not.toContain(CANARY);
  await bed.close();
  double.clearFixtures();
  double.clearRequests();
});

const auth = { secretRef: { name: 'llm', key: 'key' } };
const price = { inputPerMillion: '1', outputPerMillion: '2' };
const providers: [string, () => Partial<ModelSpec>][] = [
  ['openai', () => ({ provider: 'openai', model: 'gpt-5', baseUrl: `${double.url}/v1`, auth, price })],
  [
    'openai, asked in Responses',
    () => ({ provider: 'openai', api: 'responses', model: 'gpt-5', baseUrl: `${double.url}/v1`, auth, price }),
  ],
  [
    'openaiCompatible',
    () => ({ provider: 'openaiCompatible', model: 'llama', baseUrl: `${double.url}/v1`, auth, price }),
  ],
  ['anthropic', () => ({ provider: 'anthropic', model: 'claude-sonnet-4-5', baseUrl: double.url, auth, price })],
  ['google', () => ({ provider: 'google', model: 'gemini-2.5-flash', baseUrl: `${double.url}/v1beta`, auth, price })],
];

const content = 'Grüße aus 東京 🗼🚀, and a long tail of plain words.';
const usage = {
  prompt_tokens: 100, completion_tokens: 20, input_tokens: 100, output_tokens: 20, promptTokenCount: 100, candidatesTokenCount: 20,
}; // prettier-ignore

/** A port on which nobody listens. */
async function closedPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

describe.each(providers)('%s', (name, spec) => {
  const ask = (prompt: string, more: object = {}) =>
    bed.client().chat.completions.create({ model: 'm', messages: user(prompt), ...more, stream: false });
  const askStreamed = (prompt: string) =>
    bed.client().chat.completions.create({
      model: 'm',
      messages: user(prompt),
      stream: true,
      stream_options: { include_usage: true },
    });
  beforeEach(() => bed.model('m', spec()));

  test('answers, and the cost is what the provider counted', async () => {
    double.onMessage('hello', { content, usage });
    const answer = await ask('hello');
    expect(answer).toMatchObject({
      model: 'm',
      choices: [{ message: { role: 'assistant', content }, finish_reason: 'stop' }],
      usage: { prompt_tokens: 100, completion_tokens: 20, total_tokens: 120 },
    });
    expect(bed.lines().at(-1)).toMatchObject({
      counted: 'provider',
      inputTokens: 100,
      costNanoUsd: 140_000,
      agent: 'researcher',
    });
  });

  test('streams, piece by piece', async () => {
    double.onMessage('hello', { content, usage }, { chunkSize: 3 });
    const chunks = await collect(await askStreamed('hello'));
    expect(chunks.map(({ choices }) => choices[0]?.delta.content ?? '').join('')).toBe(content);
    expect(chunks.filter(({ choices }) => choices[0]?.delta.content).length).toBeGreaterThan(5);
    expect(chunks.flatMap(({ choices }) => choices[0]?.finish_reason ?? [])).toEqual(['stop']);
    expect(chunks.at(-1)?.usage).toMatchObject({ prompt_tokens: 100, completion_tokens: 20 });
  });

  test('says that an answer was cut for length', async () => {
    double.onMessage('hello', { content, usage, finishReason: 'length' });
    expect((await ask('hello')).choices[0]?.finish_reason).toBe('length');
    const chunks = await collect(await askStreamed('hello'));
    expect(chunks.flatMap(({ choices }) => choices[0]?.finish_reason ?? [])).toEqual(['length']);
  });

  test('sends the key, the conversation and the settings on', async () => {
    double.onMessage('and now?', { content: '{"a": 1}', usage });
    await bed.client().chat.completions.create({
      model: 'm',
      messages: [
        { role: 'system', content: 'Be brief.' },
        { role: 'user', content: 'one' },
        { role: 'assistant', content: 'two' },
        { role: 'user', content: [{ type: 'text', text: 'and now?' }] },
      ],
      temperature: 0.5,
      max_completion_tokens: 77,
      // Responses have no stop sequences.
      ...(name.includes('Responses') ? {} : { stop: ['END'] }),
      response_format: {
        type: 'json_schema',
        json_schema: { name: 'a', schema: { type: 'object', properties: { a: { type: 'integer' } } } },
      },
    });
    const sent = JSON.stringify(double.getLastRequest()?.body);
    for (const part of ['Be brief.', 'one', 'two', 'and now?', '0.5', '77']) expect(sent).toContain(part);
    const headers = JSON.stringify(double.getLastRequest()?.headers);
    expect(headers).not.toContain('token-a');
  });

  test('passes a rate limit on, with the time to wait', async () => {
    double.onMessage('hello', {
      error: { message: 'slow down please', type: 'rate_limit_error' },
      status: 429,
      retryAfter: 7,
    });
    for (const call of [ask('hello'), askStreamed('hello')]) {
      const error = await failure(call);
      expect(error).toMatchObject({ status: 429, code: 'RateLimited', type: 'rate_limit_error' });
      expect(error.message).toContain('slow down please');
      expect(error.headers?.get('retry-after')).toBe('7');
      expect(error.headers?.get('x-should-retry')).toBeNull();
    }
    expect(bed.lines().at(-1)).not.toHaveProperty('costNanoUsd');
  });

  const refusals: [number, { status: number; code: string; retry: boolean }][] = [
    [400, { status: 400, code: 'ModelFailed', retry: false }],
    [401, { status: 424, code: 'Unauthorized', retry: false }],
    [404, { status: 424, code: 'ModelFailed', retry: false }],
    [500, { status: 503, code: 'ModelUnavailable', retry: true }],
    [529, { status: 503, code: 'ModelUnavailable', retry: true }],
  ];
  test.each(refusals)("turns a provider's %i into a typed error", async (status, expected) => {
    double.onMessage('hello', { error: { message: `it is about ${CANARY}`, type: 'x' }, status });
    const error = await failure(ask('hello'));
    expect(error).toMatchObject({ status: expected.status, code: expected.code });
    expect(error.message).not.toContain(CANARY);
    expect(error.headers?.get('x-should-retry')).toBe(expected.retry ? null : 'false');
  });

  test('a stream that breaks off ends with an error, and what was said is paid for', async () => {
    double.onMessage(
      'hello',
      { content: 'x'.repeat(400), usage },
      { chunkSize: 10, truncateAfterChunks: 16, latency: 5 },
    );
    const error = await failure(askStreamed('hello').then(collect));
    expect(error).toMatchObject({ code: 'ModelUnavailable' });
    const line = bed.lines().at(-1);
    expect(line).toMatchObject({ counted: 'estimate', code: 'ModelUnavailable' });
    expect(line?.['outputTokens']).toBeGreaterThan(5);
    expect(line?.['costNanoUsd']).toBeGreaterThan(0);
  });

  test('an answer that is not JSON is not worth another attempt', async () => {
    double.onMessage('hello', { content, usage }, { chaos: { malformedRate: 1 } });
    const error = await failure(ask('hello'));
    expect(error).toMatchObject({ status: 502, code: 'ModelFailed' });
    expect(error.headers?.get('x-should-retry')).toBe('false');
  });

  test('a connection that is dropped is', async () => {
    double.onMessage('hello', { content, usage }, { chaos: { disconnectRate: 1 } });
    expect(await failure(ask('hello'))).toMatchObject({ status: 503, code: 'ModelUnavailable' });
  });

  test('a provider that is not there is unavailable, and costs nothing', async () => {
    bed.model('m', { ...spec(), baseUrl: `http://127.0.0.1:${await closedPort()}/v1` });
    const error = await failure(ask('hello'));
    expect(error).toMatchObject({ status: 503, code: 'ModelUnavailable' });
    expect(error.message).toContain('ECONNREFUSED');
    expect(bed.lines().at(-1)).not.toHaveProperty('costNanoUsd');
  });

  test('a Secret that is not there, or has no such key, is named', async () => {
    bed.model('m', { ...spec(), auth: { secretRef: { name: 'nope', key: 'key' } } });
    expect((await failure(ask('hello'))).message).toContain('Secret nope, which is not there');
    bed.model('m', { ...spec(), auth: { secretRef: { name: 'llm', key: 'nope' } } });
    const error = await failure(ask('hello'));
    expect(error).toMatchObject({ status: 424, code: 'SecretNotFound' });
    expect(error.message).toContain('no key nope');
  });

  test('a Model may not lead to the addresses of cloud credentials', async () => {
    bed.model('m', { ...spec(), baseUrl: 'http://169.254.169.254/latest' });
    const error = await failure(ask('hello'));
    expect(error).toMatchObject({ status: 424, code: 'ModelFailed' });
    expect(error.message).toContain('169.254.169.254');
  });
});

describe.each(providers)('tools with %s', (_name, spec) => {
  beforeEach(() => bed.model('m', spec()));
  const tools = [
    {
      type: 'function' as const,
      function: {
        name: 'weather',
        description: 'The weather of a city.',
        parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
      },
    },
  ];
  const called = { name: 'weather', arguments: '{"city":"Zürich"}' };

  test('several calls at once come back whole and streamed, and their results lead to an answer', async () => {
    const second = { name: 'weather', arguments: '{"city":"東京"}' };
    double.onMessage('weather?', { toolCalls: [called, second] }, { chunkSize: 4 });
    const client = bed.client();
    const whole = await client.chat.completions.create({ model: 'm', messages: user('weather?'), tools });
    const streamed = await client.chat.completions
      .stream({ model: 'm', messages: user('weather?'), tools })
      .finalChatCompletion();
    for (const { choices } of [whole, streamed]) {
      const [choice] = choices;
      expect(choice?.finish_reason).toBe('tool_calls');
      const calls = (choice?.message.tool_calls ?? []) as { function: { name: string; arguments: string } }[];
      expect(calls.map((call) => [call.function.name, JSON.parse(call.function.arguments) as unknown])).toEqual([
        ['weather', { city: 'Zürich' }],
        ['weather', { city: '東京' }],
      ]);
    }

    double.clearFixtures();
    double.onMessage('weather?', { content: 'Both are sunny.', usage });
    const message = whole.choices[0]?.message;
    if (!message) throw new Error('no message');
    const answer = await client.chat.completions.create({
      model: 'm',
      tools,
      messages: [
        ...user('weather?'),
        message,
        ...(message.tool_calls ?? []).map(({ id }, index) => ({
          role: 'tool' as const,
          tool_call_id: id,
          content: `sunny in city ${index}`,
        })),
      ],
    });
    expect(answer.choices[0]).toMatchObject({ finish_reason: 'stop', message: { content: 'Both are sunny.' } });
    const sent = JSON.stringify(double.getLastRequest()?.body);
    for (const part of ['sunny in city 0', 'sunny in city 1', '東京', 'The weather of a city.'])
      expect(sent).toContain(part);
  });
});

test('a list of prices is followed live, from one call to the next', async () => {
  await bed.close();
  let list: string | undefined;
  bed = await startBed({ prices: { current: () => list } });
  bed.model('m', { provider: 'openaiCompatible', model: 'llama', baseUrl: `${double.url}/v1` });
  double.onMessage('hello', { content, usage });
  const costs: unknown[] = [];
  for (const input of [undefined, '1', 'nonsense', '2']) {
    list = input && JSON.stringify({ openaiCompatible: { llama: [{ input, output: '0' }] } });
    await bed.client().chat.completions.create({ model: 'm', messages: user('hello') });
    costs.push(bed.lines().at(-1)?.['costNanoUsd']);
  }
  expect(costs).toEqual([null, 100_000, 100_000, 200_000]);
  expect(bed.log()).toContain('openaiCompatible.llama[0].input: must be USD for a million tokens');
});
