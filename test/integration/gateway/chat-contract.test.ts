// The official OpenAI client against the gateway, on the simulated model.
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { mintStepToken } from '@kadre/store';
import { collect, failure, researcher, startBed, step, usageOf, user, type Bed } from './bed.ts';

let bed: Bed;
beforeEach(async () => {
  bed = await startBed();
});
afterEach(() => bed.close());

describe('a call that is not streamed', () => {
  test('answers with the echo, its cost and the name of the Model', async () => {
    bed.model('echo', {});
    const { data, response } = await bed
      .client()
      .chat.completions.create({ model: 'echo', messages: user('Hello, Kadre!') })
      .withResponse();
    expect(data).toMatchObject({
      object: 'chat.completion',
      model: 'echo',
      choices: [
        { index: 0, finish_reason: 'stop', message: { role: 'assistant', content: 'Hello, Kadre!', refusal: null } },
      ],
      usage: { prompt_tokens: 4, completion_tokens: 4, total_tokens: 8 },
    });
    expect(response.headers.get('x-request-id')).toMatch(/^req_[0-9a-f-]{36}$/);
  });

  test('obeys stop sequences and the limit on tokens', async () => {
    bed.model('echo', {});
    const create = bed.client().chat.completions;
    const stopped = await create.create({ model: 'echo', messages: user('one two three'), stop: [' two'] });
    const limited = await create.create({ model: 'echo', messages: user('one two three'), max_completion_tokens: 1 });
    expect(stopped.choices[0]).toMatchObject({ message: { content: 'one' }, finish_reason: 'stop' });
    expect(limited.choices[0]).toMatchObject({ message: { content: 'one ' }, finish_reason: 'length' });
  });
});

describe('a streamed call', () => {
  test('comes as chunks that share id, created and model, with the role first and the reason last', async () => {
    bed.model('echo', { simulated: { tokensPerSecond: 100000 } });
    const text = 'Zürich 🚀 '.repeat(600);
    const stream = await bed.client().chat.completions.create({
      model: 'echo',
      messages: user(text),
      stream: true,
      stream_options: { include_usage: true },
    });
    const chunks = await collect(stream);
    expect(new Set(chunks.map(({ id, created, model, object }) => `${id} ${created} ${model} ${object}`)).size).toBe(1);
    expect(chunks[0]?.choices[0]?.delta).toEqual({ role: 'assistant', content: '' });
    expect(chunks.map(({ choices }) => choices[0]?.delta.content ?? '').join('')).toBe(text);
    expect(chunks.flatMap(({ choices }) => choices[0]?.finish_reason ?? [])).toEqual(['stop']);
    expect(chunks.slice(0, -1).every(({ usage }) => usage === null)).toBe(true);
    expect(chunks.at(-1)).toMatchObject({ choices: [], usage: { total_tokens: 2 * Math.ceil(text.length / 4) } });
    expect(chunks.length).toBeGreaterThan(4);
  });

  test("satisfies the client's own stream helper", async () => {
    bed.model('echo', {});
    const final = await bed
      .client()
      .chat.completions.stream({ model: 'echo', messages: user('hi') })
      .finalChatCompletion();
    expect(final.choices[0]).toMatchObject({ finish_reason: 'stop', message: { content: 'hi' } });
  });
});

describe('refusals', () => {
  const cases: [string, object, { status: number; code: string; message: RegExp; param?: string }][] = [
    [
      'a Model that is not there',
      { model: 'nobody' },
      { status: 404, code: 'ModelNotFound', message: /no Model nobody in namespace team-a/, param: 'model' },
    ],
    [
      'a body without messages',
      { messages: undefined },
      { status: 400, code: 'ModelFailed', message: /messages/, param: 'messages' },
    ],
    [
      'a role that does not exist',
      { messages: [{ role: 'wizard', content: 'x' }] },
      { status: 400, code: 'ModelFailed', message: /messages\[0\]\.role/ },
    ],
    ['several answers at once', { n: 2 }, { status: 400, code: 'ModelFailed', message: /`n`/, param: 'n' }],
    ['log probabilities', { logprobs: true }, { status: 400, code: 'ModelFailed', message: /`logprobs`/ }],
  ];
  test.each(cases)('%s', async (_name, change, expected) => {
    bed.model('echo', {});
    const body = { model: 'echo', messages: user('x'), ...change };
    const error = await failure(bed.client().chat.completions.create(body));
    expect(error).toMatchObject({ status: expected.status, code: expected.code });
    expect(error.message).toMatch(expected.message);
    if (expected.param !== undefined) expect(error.param).toBe(expected.param);
    expect(error.headers?.get('x-should-retry')).toBe('false');
    expect(error.requestID).toMatch(/^req_/);
  });

  test('a path that is not there', async () => {
    const error = await failure(bed.client().completions.create({ model: 'echo', prompt: 'x' }));
    expect(error).toMatchObject({ status: 404, code: 'unknown_url' });
    expect(error.message).toContain('POST /v1/completions');
  });

  test.each([
    ['rubbish', '{"model": ', 'application/json', 400],
    ['a body that is no object', '[]', 'application/json', 400],
    ['another media type', 'hello', 'text/plain', 415],
    ['a body that is too large', JSON.stringify({ x: 'x'.repeat(5_000_000) }), 'application/json', 413],
  ])('%s', async (_name, body, type, status) => {
    const response = await fetch(`${bed.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: 'Bearer token-a', 'content-type': type },
      body,
    });
    expect(response.status).toBe(status);
    expect(await response.json()).toMatchObject({ error: { type: 'invalid_request_error', code: 'ModelFailed' } });
  });
});

describe('scripts', () => {
  test('the first entry that matches answers, with the prompt in its place', async () => {
    bed.model('scripted', {
      simulated: {
        script: [
          { match: '^translate: ', reply: 'Übersetzt: $(prompt)' },
          { match: '(?i)json', reply: '{"score": 8}' },
          { reply: 'whatever' },
        ],
      },
    });
    const ask = async (prompt: string): Promise<string | null | undefined> => {
      const answer = await bed.client().chat.completions.create({ model: 'scripted', messages: user(prompt) });
      return answer.choices[0]?.message.content;
    };
    expect(await ask('translate: $& $1')).toBe('Übersetzt: translate: $& $1');
    expect(await ask('give me JSON')).toBe('{"score": 8}');
    expect(await ask('hm')).toBe('whatever');
  });

  test('an error comes as often as it should, then the next entry answers; an edited Model starts anew', async () => {
    const script = [{ error: { status: 429, message: 'slow down', times: 2 } }, { reply: 'fine' }];
    bed.model('flaky', { simulated: { script } });
    const ask = () => bed.client().chat.completions.create({ model: 'flaky', messages: user('x') });
    expect(await failure(ask())).toMatchObject({ status: 429, code: 'RateLimited' });
    expect(await failure(ask())).toMatchObject({ status: 429, code: 'RateLimited' });
    expect((await ask()).choices[0]?.message.content).toBe('fine');
    bed.model('flaky', { simulated: { script } });
    expect(await failure(ask())).toMatchObject({ status: 429 });
  });

  test('the client retries a scripted 503 by itself and succeeds', async () => {
    bed.model('flaky', { simulated: { script: [{ error: { status: 503, times: 1 } }, { reply: 'fine' }] } });
    const answer = await bed
      .client()
      .chat.completions.create({ model: 'flaky', messages: user('x') }, { maxRetries: 1 });
    expect(answer.choices[0]?.message.content).toBe('fine');
  });

  test('an expression that cannot be read names its entry and is not retried', async () => {
    bed.model('broken', { simulated: { script: [{ match: '(?=a)', reply: 'x' }] } });
    const error = await failure(bed.client().chat.completions.create({ model: 'broken', messages: user('x') }));
    expect(error).toMatchObject({ status: 424, code: 'ModelFailed' });
    expect(error.message).toContain('script[0].match');
    expect(error.headers?.get('x-should-retry')).toBe('false');
  });

  test('a reply that would grow beyond bounds is refused', async () => {
    bed.model('bomb', { simulated: { script: [{ reply: '$(prompt)'.repeat(1800) }] } });
    const error = await failure(
      bed.client().chat.completions.create({ model: 'bomb', messages: user('x'.repeat(100_000)) }),
    );
    expect(error).toMatchObject({ status: 424, code: 'ModelFailed' });
  });
});

describe('what a call costs', () => {
  const stepToken = async (): Promise<string> =>
    mintStepToken(await bed.store.secret('step-token'), step, Date.now() + 60_000);

  test('is in the store, for the step that it was made for, before the answer is over', async () => {
    bed.model('priced', { price: { inputPerMillion: '3', outputPerMillion: '0.0375' } });
    const client = bed.client('token-a', { 'kadre-step': await stepToken() });
    await client.chat.completions.create({ model: 'priced', messages: user('x'.repeat(40)) });
    expect(await usageOf(bed)).toEqual({ inputTokens: 10, outputTokens: 10, costNanoUsd: 30_375, unpricedCalls: 0 });
    const stream = await client.chat.completions.create({
      model: 'priced',
      messages: user('x'.repeat(40)),
      stream: true,
    });
    for await (const chunk of stream) {
      if (chunk.choices[0]?.finish_reason) expect((await usageOf(bed)).inputTokens).toBe(20);
    }
    expect(await usageOf(bed)).toMatchObject({ inputTokens: 20, outputTokens: 20 });
  });

  test('withholds the answer if it cannot be written down', async () => {
    await bed.close();
    const store = { ...bed.store, recordUsage: () => Promise.reject(new Error('disk full')) };
    bed = await startBed({ store });
    bed.model('echo', {});
    const error = await failure(
      bed.client().chat.completions.create({ model: 'echo', messages: user('secret answer') }),
    );
    expect(error).toMatchObject({ status: 500, code: 'InternalError' });
    expect(error.headers?.get('x-should-retry')).toBe('false');
    const stream = await bed.client().chat.completions.create({ model: 'echo', messages: user('x'), stream: true });
    const finished = await failure(
      (async () => {
        for await (const chunk of stream) expect(chunk.choices[0]?.finish_reason).toBeNull();
      })(),
    );
    expect(finished).toMatchObject({ code: 'InternalError' });
  });
});

test('the list of models holds those of the caller alone', async () => {
  bed.model('one', {});
  bed.model('two', { provider: 'openaiCompatible' });
  bed.tokens.set('token-b', { ...researcher, namespace: 'team-b' });
  expect((await bed.client().models.list()).data).toEqual([
    { id: 'one', object: 'model', created: 1767323045, owned_by: 'simulated' },
    { id: 'two', object: 'model', created: 1767323045, owned_by: 'openaiCompatible' },
  ]);
  expect((await bed.client('token-b').models.list()).data).toEqual([]);
  const stranger = bed.client('token-b').chat.completions.create({ model: 'one', messages: user('x') });
  expect(await failure(stranger)).toMatchObject({ status: 404, code: 'ModelNotFound' });
});

test('two hundred calls at once each get their own answer', async () => {
  bed.model('echo', { simulated: { tokensPerSecond: 2000 } });
  const client = bed.client();
  const answers = await Promise.all(
    Array.from({ length: 200 }, async (_, index) => {
      const prompt = `call ${index} `.repeat(20);
      const stream = await client.chat.completions.create({ model: 'echo', messages: user(prompt), stream: true });
      const chunks = await collect(stream);
      return chunks.map(({ choices }) => choices[0]?.delta.content ?? '').join('') === prompt;
    }),
  );
  expect(answers.filter(Boolean)).toHaveLength(200);
});
