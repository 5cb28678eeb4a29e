import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import OpenAI, { APIError } from 'openai';
import {
  chunk,
  completion,
  eventually,
  gatewayError,
  post,
  say,
  sendJson,
  serveAgent,
  startGateway,
  startStream,
  testAgent,
  type ServedAgent,
  type TestGateway,
} from '../testing/harness.ts';

describe('an agent seen through the official OpenAI client', () => {
  let gateway: TestGateway;
  let agent: ServedAgent;
  let client: OpenAI;

  beforeAll(async () => {
    gateway = await startGateway();
    agent = await serveAgent({ gatewayUrl: gateway.url });
    client = new OpenAI({ baseURL: `${agent.url}/v1`, apiKey: 'none', maxRetries: 0 });
  });
  afterEach(() => {
    gateway.handler = say('Hello from the model.');
    gateway.requests.length = 0;
  });
  afterAll(async () => {
    await agent.runtime.shutdown(0);
    await gateway.close();
  });

  const ask = { model: 'greeter', messages: [{ role: 'user' as const, content: 'Hi' }] };

  test('lists one model, which has the name of the agent', async () => {
    const { data } = await client.models.list();
    expect(data.map(({ id, owned_by }) => ({ id, owned_by }))).toEqual([{ id: 'greeter', owned_by: 'demo' }]);
    expect((await client.models.retrieve('greeter')).id).toBe('greeter');
    await expect(client.models.retrieve('other')).rejects.toMatchObject({ status: 404, code: 'model_not_found' });
  });

  test('answers at once, under its own name', async () => {
    const answer = await client.chat.completions.create(ask);
    expect(answer).toMatchObject({ object: 'chat.completion', model: 'greeter', usage: { total_tokens: 12 } });
    expect(answer.choices[0]?.message.content).toBe('Hello from the model.');
  });

  test('puts its instructions before the conversation and asks its own model', async () => {
    await client.chat.completions.create({
      ...ask,
      temperature: 0.2,
      tools: [{ type: 'function', function: { name: 'f' } }],
    });
    const [request] = gateway.requests;
    expect(request?.body).toEqual({
      model: 'smart',
      messages: [
        { role: 'system', content: 'Be kind.' },
        { role: 'user', content: 'Hi' },
      ],
      temperature: 0.2,
      tools: [{ type: 'function', function: { name: 'f' } }],
    });
    expect(request?.headers).toMatchObject({ authorization: 'Bearer pod-token' });
    expect(request?.headers).not.toHaveProperty('kadre-step');
  });

  test('streams what the model writes, with one id, its own name and a role first', async () => {
    const chunks = [];
    for await (const piece of await client.chat.completions.create({ ...ask, stream: true })) chunks.push(piece);
    expect(chunks.map(({ choices }) => choices[0]?.delta.content ?? '').join('')).toBe('Hello from the model.');
    expect(new Set(chunks.map(({ id, model, created, object }) => `${id} ${model} ${created} ${object}`)).size).toBe(1);
    expect(chunks[0]).toMatchObject({ model: 'greeter', choices: [{ delta: { role: 'assistant' } }] });
    expect(chunks.at(-1)?.choices[0]?.finish_reason).toBe('stop');
    expect(chunks.every((piece) => !('usage' in piece))).toBe(true);
  });

  test('adds usage in a last chunk when asked for it', async () => {
    const chunks = [];
    const stream = await client.chat.completions.create({
      ...ask,
      stream: true,
      stream_options: { include_usage: true },
    });
    for await (const piece of stream) chunks.push(piece);
    expect(chunks.at(-1)).toMatchObject({ choices: [], usage: { prompt_tokens: 7, completion_tokens: 5 } });
    expect(chunks.slice(0, -1).every(({ usage }) => usage === null)).toBe(true);
  });

  test("works with the client's stream runner, which checks roles and finish reasons", async () => {
    const final = await client.chat.completions.stream(ask).finalChatCompletion();
    expect(final.choices[0]?.message).toMatchObject({ role: 'assistant', content: 'Hello from the model.' });
  });

  test('tool calls come back to the caller, who runs the loop', async () => {
    gateway.handler = (_request, response) =>
      sendJson(response, 200, {
        ...completion(''),
        choices: [
          {
            index: 0,
            finish_reason: 'tool_calls',
            message: {
              role: 'assistant',
              content: null,
              tool_calls: [{ id: 'c1', type: 'function', function: { name: 'f', arguments: '{}' } }],
            },
          },
        ],
      });
    const { choices } = await client.chat.completions.create({
      ...ask,
      tools: [{ type: 'function', function: { name: 'f' } }],
    });
    expect(choices[0]).toMatchObject({ finish_reason: 'tool_calls', message: { tool_calls: [{ id: 'c1' }] } });
  });

  test('a failure in the middle of a stream raises an APIError with its reason', async () => {
    gateway.handler = (_request, response) => {
      startStream(response);
      response.write(chunk({ content: 'Hel' }));
      response.end(`data: ${JSON.stringify(gatewayError('ModelUnavailable', 'the provider hung up'))}\n\n`);
    };
    const texts: string[] = [];
    const reading = (async () => {
      for await (const piece of await client.chat.completions.create({ ...ask, stream: true }))
        texts.push(piece.choices[0]?.delta.content ?? '');
    })();
    await expect(reading).rejects.toThrow(APIError);
    await expect(reading).rejects.toMatchObject({ code: 'ModelUnavailable' });
    expect(texts).toEqual(['Hel']);
  });

  test('a stream that is cut before its end is no answer', async () => {
    gateway.handler = (_request, response) => {
      startStream(response);
      response.end(chunk({ content: 'Hel' }));
    };
    const reading = (async () => {
      for await (const piece of await client.chat.completions.create({ ...ask, stream: true }))
        expect(piece).toBeDefined();
    })();
    await expect(reading).rejects.toMatchObject({ code: 'ModelUnavailable' });
  });

  test.each([
    ['a model that refused', 403, 'ModelFailed', 502, 'false'],
    ['a rejected key', 401, 'Unauthorized', 424, null],
    ['a model that is not there', 424, 'ModelNotFound', 424, null],
    ["a mistake in the caller's request", 400, 'ModelFailed', 400, null],
    ['a provider that is broken', 500, 'ModelUnavailable', 503, null],
  ])('%s reaches the caller with its reason', async (_name, upstream, reason, status, shouldRetry) => {
    gateway.handler = (_request, response) => sendJson(response, upstream, gatewayError(reason, 'because'));
    for (const stream of [false, true]) {
      const answer = await post(`${agent.url}/v1/chat/completions`, { ...ask, stream });
      expect(answer).toMatchObject({ status, body: { error: { code: reason, message: 'because', param: null } } });
      expect(answer.headers.get('x-should-retry')).toBe(shouldRetry);
    }
  });

  test.each([
    ['another model', { ...ask, model: 'gpt-4o' }, 404],
    ['no messages', { model: 'greeter', messages: [] }, 400],
    ['messages of another kind', { model: 'greeter', messages: 'Hi' }, 400],
    ['no object', 7, 400],
    ['broken JSON', '{"model":', 400],
  ])('%s is refused with a sentence and without a call to a model', async (_name, body, status) => {
    const answer = await post(`${agent.url}/v1/chat/completions`, body);
    expect(answer).toMatchObject({ status, body: { error: { type: 'invalid_request_error' } } });
    expect(gateway.requests).toHaveLength(0);
  });

  test('a client that leaves takes the model call with it', async () => {
    let hungUp = false;
    gateway.handler = (_request, response) => {
      startStream(response);
      response.write(chunk({ content: 'Hel' }));
      response.once('close', () => (hungUp = true));
    };
    const stream = await client.chat.completions.create({ ...ask, stream: true });
    for await (const piece of stream) {
      expect(piece).toBeDefined();
      break;
    }
    stream.controller.abort();
    await eventually(() => hungUp);
    expect(hungUp).toBe(true);
  });
});

describe('an agent with an output schema', () => {
  let gateway: TestGateway;
  let agent: ServedAgent;
  const schema = {
    type: 'object',
    required: ['score'],
    properties: { score: { type: 'integer', maximum: 10 } },
    additionalProperties: false,
  };
  const replies = (...texts: string[]): TestGateway['handler'] => {
    let next = 0;
    return (request, response) => say(texts[next++] ?? 'too many calls')(request, response);
  };

  beforeAll(async () => {
    gateway = await startGateway();
    agent = await serveAgent({ gatewayUrl: gateway.url, agent: testAgent({ output: { schema } }) });
  });
  afterEach(() => {
    gateway.requests.length = 0;
  });
  afterAll(async () => {
    await agent.runtime.shutdown(0);
    await gateway.close();
  });
  const generate = () => post(`${agent.url}/generate`, { prompt: 'Rate it.' });

  test('asks the model for JSON of that schema and returns it parsed', async () => {
    gateway.handler = replies('{"score": 7}');
    expect(await generate()).toMatchObject({
      status: 200,
      body: { output: { score: 7 }, usage: { inputTokens: 7, outputTokens: 5 }, model: 'smart' },
    });
    expect(gateway.requests[0]?.body['response_format']).toEqual({
      type: 'json_schema',
      json_schema: { name: 'greeter', schema },
    });
  });

  test('reads JSON that comes in a Markdown fence', async () => {
    gateway.handler = replies('```json\n{"score": 7}\n```');
    expect(await generate()).toMatchObject({ body: { output: { score: 7 } } });
  });

  test('an answer that does not match is asked for again, with what was wrong, and both calls are counted', async () => {
    gateway.handler = replies('{"score": 11}', '{"score": 10}');
    expect(await generate()).toMatchObject({
      status: 200,
      body: { output: { score: 10 }, usage: { inputTokens: 14, outputTokens: 10 } },
    });
    const messages = gateway.requests[1]?.body.messages ?? [];
    expect(messages.map(({ role }) => role)).toEqual(['system', 'user', 'assistant', 'user']);
    expect(messages[2]?.content).toBe('{"score": 11}');
    expect(messages[3]?.content).toContain('/score must be <= 10');
  });

  test('two answers that do not match are InvalidOutput', async () => {
    gateway.handler = replies('seven', '{"points": 7}');
    const answer = await generate();
    expect(answer).toMatchObject({ status: 502, body: { error: { code: 'InvalidOutput' } } });
    expect(answer.headers.get('x-should-retry')).toBe('false');
    expect(gateway.requests).toHaveLength(2);
  });

  test('streams to the OpenAI client only what has been checked', async () => {
    gateway.handler = replies('nonsense', '{"score": 3}');
    const client = new OpenAI({ baseURL: `${agent.url}/v1`, apiKey: 'none', maxRetries: 0 });
    const final = await client.chat.completions
      .stream({ model: 'greeter', messages: [{ role: 'user', content: 'Rate it.' }] })
      .finalChatCompletion();
    expect(final.choices[0]?.message.content).toBe('{"score": 3}');
  });

  test.each([
    ['another response format', { response_format: { type: 'text' } }],
    ['several answers', { n: 2 }],
  ])('%s is refused', async (_name, more) => {
    const answer = await post(`${agent.url}/v1/chat/completions`, {
      model: 'greeter',
      messages: [{ role: 'user', content: 'Rate it.' }],
      ...more,
    });
    expect(answer).toMatchObject({ status: 400, body: { error: { code: 'InvalidInput' } } });
  });
});
