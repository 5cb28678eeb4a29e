// Streams as providers and their imitators send them, each torn apart at any byte.
import { describe, expect, test } from '@jest/globals';
import type { ProviderModel } from '@kadre/crds';
import fc from 'fast-check';
import { Readable } from 'node:stream';
import { AnswerBuilder, type Answer, type ModelEvent } from '../conversation/answer.ts';
import type { ModelRequest } from '../conversation/request.ts';
import { createAnthropic } from './anthropic/anthropic.ts';
import { createGoogle } from './google/google.ts';
import { createOpenAi } from './openai/openai.ts';
import type { ModelCall, Provider } from './provider.ts';
import { base, chunk, named, nothingCached, recorded, sse } from './testing/recordings.ts';
import type { Upstream, UpstreamResponse } from './upstream.ts';

const providerOf = {
  openai: (upstream: Upstream): Provider => createOpenAi(upstream, 'openai'),
  openaiCompatible: (upstream: Upstream): Provider => createOpenAi(upstream, 'openaiCompatible'),
  anthropic: createAnthropic,
  google: createGoogle,
};
type Name = keyof typeof providerOf;

function answering(chunks: readonly Uint8Array[], contentType = 'text/event-stream'): Upstream {
  const body = Object.assign(Readable.from(chunks), { text: () => Promise.resolve(Buffer.concat(chunks).toString()) });
  const response = { statusCode: 200, headers: { 'content-type': contentType }, body } as unknown as UpstreamResponse;
  return {
    send: () => Promise.resolve(response),
    fetchPublic: () => Promise.reject(new Error('unused')),
    close: () => Promise.resolve(),
  };
}

function callOf(provider: Name, spec: Partial<ProviderModel['spec']> = {}): ModelCall {
  const request: ModelRequest = {
    model: 'm',
    messages: [{ role: 'user', parts: [{ type: 'text', text: 'hello' }] }],
    sampling: {},
  };
  const model = { metadata: { name: 'm' }, spec: { provider, model: 'x', baseUrl: 'http://models/v1', ...spec } };
  return { model: model as ProviderModel, request, apiKey: 'k', signal: new AbortController().signal, headers: {} };
}

async function read(
  provider: Name,
  text: string,
  cuts: readonly number[] = [],
  spec: Partial<ProviderModel['spec']> = {},
): Promise<ModelEvent[]> {
  const bytes = Buffer.from(text);
  const places = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
  const chunks = places.slice(1).map((end, index) => bytes.subarray(places[index], end));
  const all: ModelEvent[] = [];
  const whole = text.startsWith('{') || text.startsWith('[') ? 'application/json' : undefined;
  for await (const event of providerOf[provider](answering(chunks, whole)).stream(callOf(provider, spec)))
    all.push(event);
  return all;
}

function built(events: readonly ModelEvent[]): Answer | undefined {
  const builder = new AnswerBuilder();
  for (const event of events) builder.add(event);
  return builder.answer;
}

describe('a stream that was recorded', () => {
  test.each(recorded)('$name', async ({ provider, text, answer, spec }) => {
    expect(built(await read(provider, text, [], spec))).toEqual(answer);
  });

  test.each(recorded)('$name, however it is torn apart', async ({ provider, text, answer, spec }) => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(), { maxLength: 20 }), async (cuts) => {
        expect(built(await read(provider, text, cuts, spec))).toEqual(answer);
      }),
      { numRuns: 20 },
    );
  });
});

describe('a stream that goes wrong', () => {
  const cases: [string, Name, string, object, Partial<ProviderModel['spec']>?][] = [
    [
      'OpenAI: an error in the middle',
      'openai',
      sse(chunk({ content: 'half' }), { error: { message: 'too much', type: 'rate_limit_error' } }),
      { fault: 'status', status: 429, message: 'too much' },
    ],
    [
      'OpenAI: an empty account',
      'openai',
      sse({ error: { message: 'pay', code: 'insufficient_quota' } }),
      { fault: 'status', status: 429, outOfQuota: true },
    ],
    [
      "OpenAI's Responses: a failure that is paid for",
      'openai',
      named({
        type: 'response.failed',
        response: {
          status: 'failed',
          error: { code: 'server_error', message: 'oops' },
          usage: { input_tokens: 3, output_tokens: 4 },
        },
      }),
      {
        fault: 'status',
        status: 500,
        message: 'oops',
        usage: { ...nothingCached, inputTokens: 3, outputTokens: 4, reasoningTokens: 0 },
      },
      { api: 'responses' },
    ],
    [
      "OpenAI's Responses: an error event",
      'openai',
      named({ type: 'error', code: 'rate_limit_exceeded', message: 'slow down' }),
      { fault: 'status', status: 429, message: 'slow down' },
      { api: 'responses' },
    ],
    [
      'Anthropic: too much to do',
      'anthropic',
      named(
        { type: 'message_start', message: base },
        { type: 'error', error: { type: 'overloaded_error', message: 'Overloaded' } },
      ),
      { fault: 'status', status: 529, message: 'Overloaded' },
    ],
    [
      'Google: an error in place of a piece',
      'google',
      sse({ error: { code: 503, message: 'busy', status: 'UNAVAILABLE' } }),
      { fault: 'status', status: 503, message: 'busy' },
    ],
    [
      'Google: a call that the model got wrong',
      'google',
      sse({ candidates: [{ finishReason: 'MALFORMED_FUNCTION_CALL' }] }),
      { fault: 'malformed', message: 'gave up with MALFORMED_FUNCTION_CALL' },
    ],
    [
      'what is no JSON',
      'openai',
      'data: {"half\n\n',
      { fault: 'malformed', message: 'sent an answer that is not JSON' },
    ],
    ['what is JSON, but no object', 'openai', 'data: 7\n\n', { fault: 'malformed' }],
    [
      'a call without a name',
      'anthropic',
      named({ type: 'content_block_start', content_block: { type: 'tool_use' } }),
      { fault: 'malformed' },
    ],
  ];
  test.each(cases)('%s', async (...[, provider, text, error, spec]) => {
    await expect(read(provider, text, [], spec)).rejects.toMatchObject(error);
  });
});
