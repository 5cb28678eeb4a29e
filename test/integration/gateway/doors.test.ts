// The official client of each dialect, through its door, to an independent double of each provider.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { LLMock } from '@copilotkit/aimock';
import type { ModelSpec } from '@kadre/crds';
import { CANARY, startBed, type Bed } from './bed.ts';
import { doorClients, weather, type DoorClient } from './clients.ts';

const double = new LLMock({ port: 0, logLevel: 'silent' });
let bed: Bed;
let door: DoorClient;

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
const families: [string, () => Partial<ModelSpec>][] = [
  ['openai', () => ({ provider: 'openai', model: 'gpt-5', baseUrl: `${double.url}/v1`, auth, price })],
  [
    'openai, asked for chat completions',
    () => ({ provider: 'openai', model: 'gpt-5', api: 'chatCompletions', baseUrl: `${double.url}/v1`, auth, price }),
  ],
  ['anthropic', () => ({ provider: 'anthropic', model: 'claude-sonnet-4-5', baseUrl: double.url, auth, price })],
  ['google', () => ({ provider: 'google', model: 'gemini-2.5-flash', baseUrl: `${double.url}/v1beta`, auth, price })],
];
const content = 'Grüße aus 東京 🗼🚀, and a long tail of plain words.';
const usage = {
  prompt_tokens: 100, completion_tokens: 20, input_tokens: 100, output_tokens: 20, promptTokenCount: 100, candidatesTokenCount: 20,
}; // prettier-ignore
const ways = [
  ['whole', false],
  ['streamed', true],
] as const;

describe.each(doorClients)('%s', (_door, clientOf) => {
  describe.each(ways)('%s', (_way, streamed) => {
    beforeEach(() => {
      door = clientOf(bed);
    });

    test.each(families)('answers with the words and the counts of %s', async (_family, spec) => {
      bed.model('m', spec());
      double.onMessage('hello', { content, usage }, { chunkSize: 3 });
      const turn = await door.ask('hello', streamed);
      expect(turn).toMatchObject({
        text: content,
        calls: [],
        finish: door.finish.stop,
        usage: { input: 100, output: 20 },
      });
      expect(bed.lines().at(-1)).toMatchObject({ counted: 'provider', costNanoUsd: 140_000 });
    });

    test.each(families)('says that an answer of %s was cut for length', async (_family, spec) => {
      bed.model('m', spec());
      double.onMessage('hello', { content, usage, finishReason: 'length' });
      expect((await door.ask('hello', streamed)).finish).toBe(door.finish.length);
    });

    test.each(families)('carries calls of tools and their results to %s and back', async (_family, spec) => {
      bed.model('m', spec());
      const toolCalls = ['Zürich', '東京'].map((city) => ({ name: 'weather', arguments: JSON.stringify({ city }) }));
      double.onMessage('weather?', { toolCalls }, { chunkSize: 4 });
      const turn = await door.ask('weather?', streamed);
      expect(turn.finish).toBe(door.finish.toolCalls);
      expect(turn.calls).toEqual([
        { name: 'weather', arguments: { city: 'Zürich' } },
        { name: 'weather', arguments: { city: '東京' } },
      ]);

      double.clearFixtures();
      double.addFixture({ match: {}, response: { content: 'Both are sunny.', usage } });
      const end = await turn.answer(['sunny in city 0', 'sunny in city 1'], streamed);
      expect(end).toMatchObject({ text: 'Both are sunny.', calls: [], finish: door.finish.stop });
      const sent = JSON.stringify(double.getLastRequest()?.body);
      for (const said of ['sunny in city 0', 'sunny in city 1', '東京', weather.description])
        expect(sent).toContain(said);
    });

    test('thinks, calls tools and reads their results with a simulated model', async () => {
      const script = [
        { matchToolResult: 'sunny', reply: 'I read: $(toolResult)' },
        { reasoning: 'Let me see.', reply: 'Wait.', toolCalls: [{ name: 'weather', arguments: '{"city":"Bern"}' }] },
      ];
      bed.model('m', { provider: 'simulated', simulated: { script } });
      const turn = await door.ask('weather?', streamed);
      expect(turn).toMatchObject({
        text: 'Wait.',
        thoughts: 'Let me see.',
        calls: [{ name: 'weather', arguments: { city: 'Bern' } }],
        finish: door.finish.toolCalls,
      });
      expect((await turn.answer(['sunny'], streamed)).text).toBe('I read: sunny');
    });

    test.each(families)('tells what goes wrong with %s, and waits for what is slow', async (_family, spec) => {
      bed.model('m', spec());
      double.onMessage('limited', { error: { message: 'slow down', type: 'rate_limit_error' }, status: 429 });
      double.onMessage('malformed', { content, usage }, { chaos: { malformedRate: 1 } });
      double.onMessage('dropped', { content, usage }, { chaos: { disconnectRate: 1 } });
      double.onMessage('cut', { content, usage }, { chunkSize: 5, truncateAfterChunks: 4, latency: 1 });
      double.onMessage('slow', { content, usage }, { chunkSize: 10, latency: 5 });
      const fails = async (prompt: string, status: number, code: string): Promise<void> => {
        await expect(door.ask(prompt, streamed)).rejects.toMatchObject({ status });
        expect(bed.lines().at(-1)).toMatchObject({ code });
      };
      await fails('malformed', 502, 'ModelFailed');
      await fails('dropped', 503, 'ModelUnavailable');
      if (streamed) await expect(door.ask('cut', true)).rejects.toThrow();
      expect((await door.ask('slow', streamed)).text).toBe(content);
      // Last: after it the Model is left alone for a while.
      await fails('limited', 429, 'RateLimited');
    });
  });

  test('a stream that breaks off fails, after what was said', async () => {
    bed.model('m', { provider: 'simulated', simulated: { script: [{ reply: 'x'.repeat(400), cutAfter: 40 }] } });
    await expect(clientOf(bed).ask('hello', true)).rejects.toThrow(/broke/);
    expect(bed.lines().at(-1)).toMatchObject({ code: 'ModelUnavailable' });
  });
});
