// The model that is part of the product, through the official client: all that a script can do.
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { ModelSpec } from '@kadre/crds';
import { collect, failure, startBed, user, type Bed } from './bed.ts';

let bed: Bed;
beforeEach(async () => {
  bed = await startBed();
});
afterEach(() => bed.close());

const script = (...entries: NonNullable<NonNullable<ModelSpec['simulated']>['script']>): void =>
  bed.model('m', { simulated: { script: entries } });
const ask = (more: object = {}) =>
  bed.client().chat.completions.create({ model: 'm', messages: user('weather?'), ...more, stream: false });
const askStreamed = (more: object = {}) =>
  bed.client().chat.completions.create({ model: 'm', messages: user('weather?'), ...more, stream: true });

test('a loop with tools comes to its end: calls first, then an answer that depends on their results', async () => {
  script(
    { matchToolResult: 'rain', reply: 'Take an umbrella: $(toolResult)' },
    { matchToolResult: '.', reply: 'Fine.' },
    { reply: 'I look.', toolCalls: [{ name: 'weather', arguments: '{"city":"Bern"}' }, { name: 'clock' }] },
  );
  for (const streamed of [false, true]) {
    const chat = bed.client().chat.completions;
    const body = { model: 'm', messages: user('weather?') };
    const { choices } = streamed ? await chat.stream(body).finalChatCompletion() : await chat.create(body);
    const message = choices[0]?.message;
    expect(choices[0]).toMatchObject({
      finish_reason: 'tool_calls',
      message: {
        content: 'I look.',
        tool_calls: [
          { function: { name: 'weather', arguments: '{"city":"Bern"}' } },
          { function: { name: 'clock', arguments: '{}' } },
        ],
      },
    });
    for (const [result, expected] of [
      ['rain', 'Take an umbrella: rain\nnoon'],
      ['sun', 'Fine.'],
    ] as const) {
      const [first, second] = message?.tool_calls ?? [];
      if (!message || !first || !second) throw new Error('there are no calls');
      const answer = await ask({
        messages: [
          ...user('weather?'),
          message,
          { role: 'tool', tool_call_id: first.id, content: result },
          { role: 'tool', tool_call_id: second.id, content: 'noon' },
        ],
      });
      expect(answer.choices[0]?.message.content).toBe(expected);
    }
  }
});

test('usage is what the script says, and its cost follows', async () => {
  bed.model('m', {
    price: { inputPerMillion: '10', outputPerMillion: '20', cachedInputPerMillion: '1', cacheWritePerMillion: '12' },
    simulated: {
      script: [
        {
          reply: 'x',
          usage: { inputTokens: 100, cachedInputTokens: 60, cacheWriteTokens: 10, outputTokens: 7, reasoningTokens: 5 },
        },
      ],
    },
  });
  expect((await ask()).usage).toEqual({
    prompt_tokens: 100,
    completion_tokens: 7,
    total_tokens: 107,
    prompt_tokens_details: { cached_tokens: 60, cache_write_tokens: 10 },
    completion_tokens_details: { reasoning_tokens: 5 },
  });
  expect(bed.lines().at(-1)).toMatchObject({ costNanoUsd: 30 * 10_000 + 60 * 1_000 + 10 * 12_000 + 7 * 20_000 });
});

test('thoughts are told apart from the answer', async () => {
  script({ reasoning: 'Hm.', reply: 'Yes.' });
  expect((await ask()).choices[0]?.message).toMatchObject({ content: 'Yes.', reasoning_content: 'Hm.' });
  const deltas = (await collect(await askStreamed())).flatMap(({ choices }) => choices[0]?.delta ?? []);
  expect(deltas).toEqual([{ role: 'assistant', content: '' }, { reasoning_content: 'Hm.' }, { content: 'Yes.' }, {}]);
});

test('a delay comes before the first piece', async () => {
  script({ reply: 'late', delay: '30ms' });
  await ask();
  expect(bed.lines().at(-1)?.['durationMs']).toBeGreaterThanOrEqual(29);
});

describe('what goes wrong as it does in life', () => {
  test.each([false, true])(
    'a connection that breaks is worth another attempt, and what was said is paid for (streamed: %s)',
    async (streamed) => {
      script({ reply: 'x'.repeat(80), cutAfter: 40 });
      const error = await failure(streamed ? askStreamed().then(collect) : ask());
      expect(error).toMatchObject({ code: 'ModelUnavailable' });
      expect(bed.lines().at(-1)).toMatchObject({ counted: 'estimate', outputTokens: streamed ? 10 : 0 });
    },
  );

  test('an answer that makes no sense is not', async () => {
    script({ malformed: true });
    expect(await failure(ask())).toMatchObject({ status: 502, code: 'ModelFailed' });
  });
});

describe('answers in a format', () => {
  const schema = { type: 'object', properties: { score: { type: 'integer', maximum: 10 } }, required: ['score'] };
  const format = { response_format: { type: 'json_schema', json_schema: { name: 'score', schema } } };

  test('a wrong one is mended, and both attempts are counted', async () => {
    script({ match: 'does not match the format', reply: '{"score": 9}' }, { reply: '{"score": 90}' });
    expect((await ask(format)).choices[0]?.message.content).toBe('{"score": 9}');
    expect(bed.lines().at(-1)).toMatchObject({ attempts: 2, status: 200 });
  });

  test('one that stays wrong is a typed failure that no client retries', async () => {
    script({ reply: '{"score": 90}' });
    const error = await failure(ask(format));
    expect(error).toMatchObject({ status: 502, code: 'InvalidOutput' });
    expect(error.message).toContain('/score must be <= 10');
    expect(error.headers?.get('x-should-retry')).toBe('false');
    expect(await failure(askStreamed(format).then(collect))).toMatchObject({ code: 'InvalidOutput' });
  });

  test('asked for in words, it may come in a fence', async () => {
    bed.model('m', {
      structuredOutput: 'instruction',
      simulated: { script: [{ reply: '```json\n{"score": 9}\n```' }] },
    });
    const chunks = await collect(await askStreamed(format));
    expect(chunks.map(({ choices }) => choices[0]?.delta.content ?? '').join('')).toBe('{"score": 9}');
  });
});

test('settings of the Model hold where the caller says nothing', async () => {
  bed.model('m', { parameters: { maxTokens: 1 } });
  const content = async (more: object): Promise<unknown> => (await ask(more)).choices[0]?.message.content;
  expect(await content({})).toBe('weat');
  expect(await content({ max_tokens: 2 })).toBe('weather?');
});

test('vectors of the same text are the same, and those of texts that share words are near', async () => {
  bed.model('m', { simulated: { embeddingDimensions: 64 } });
  const input = ['the cat sat on the mat', 'the cat sat on the mat', 'a cat on a mat', 'quarterly revenue grew'];
  const { data } = await bed.client().embeddings.create({ model: 'm', input });
  const [cat = [], same = [], near = [], far = []] = data.map(({ embedding }) => embedding);
  const dot = (a: number[], b: number[]): number => a.reduce((sum, value, index) => sum + value * (b[index] ?? 0), 0);
  expect(same).toEqual(cat);
  expect(cat).toHaveLength(64);
  expect(dot(cat, cat)).toBeCloseTo(1, 4);
  expect(dot(cat, near)).toBeGreaterThan(dot(cat, far) + 0.2);
});
