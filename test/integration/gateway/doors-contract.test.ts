// What each door refuses, what it hands on, and how its official client understands it.
import Anthropic from '@anthropic-ai/sdk';
import { ApiError } from '@google/genai';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { LLMock } from '@copilotkit/aimock';
import type { ModelSpec } from '@kadre/crds';
import OpenAI from 'openai';
import { CANARY, startBed, type Bed } from './bed.ts';
import { anthropicOf, googleOf } from './clients.ts';
import { startRecorder, type Recorder } from './recorder.ts';

const double = new LLMock({ port: 0, logLevel: 'silent' });
let wire: Recorder;
let bed: Bed;

beforeAll(async () => {
  await double.start();
  wire = await startRecorder(double.url);
});
afterAll(async () => {
  await wire.close();
  await double.stop();
});
beforeEach(async () => {
  bed = await startBed();
  bed.model('m', { provider: 'simulated', simulated: { embeddingDimensions: 8 } });
});
afterEach(async () => {
  expect(bed.log()).not.toContain(CANARY);
  await bed.close();
  double.clearFixtures();
  wire.clear();
});

/** Sends whatever it is given as the body of a chat. */
type Ask = (body: object, token?: string) => Promise<unknown>;

const messages: Ask = (body, token = 'token-a') =>
  new Anthropic({ baseURL: bed.url, apiKey: token, maxRetries: 0 }).messages.create({
    model: 'm',
    max_tokens: 100,
    messages: [{ role: 'user', content: 'hello' }],
    ...body,
  });
const responses: Ask = (body, token = 'token-a') =>
  bed.client(token).responses.create({ model: 'm', input: 'hello', ...body });
const embeddings: Ask = (body, token = 'token-a') =>
  bed.client(token).embeddings.create({ model: 'm', input: 'hello', ...body });
/** Google's client drops what it does not know, so wrong bodies go by themselves. */
const generateContent: Ask = async (body, token = 'token-a') => {
  const { model = 'm', ...rest } = body as { model?: string };
  const reply = await fetch(`${bed.url}/v1beta/models/${model}:generateContent`, {
    method: 'POST',
    headers: { 'x-goog-api-key': token, 'content-type': 'application/json' },
    body: JSON.stringify({ contents: [{ role: 'user', parts: [{ text: 'hello' }] }], ...rest }),
  });
  const said = (await reply.json()) as { error?: { message: string; status: string } };
  if (!reply.ok) throw Object.assign(new Error(said.error?.message), { status: reply.status, said });
  return said;
};

const caught = (call: Promise<unknown>): Promise<Error & { status?: number }> =>
  call.then(
    () => {
      throw new Error('the call should have failed');
    },
    (error: unknown) => error as Error & { status?: number },
  );

const asks: Record<string, Ask> = {
  messages: (body, token) => messages(body, token),
  responses: (body, token) => responses(body, token),
  generateContent: (body, token) => generateContent(body, token),
  embeddings: (body, token) => embeddings(body, token),
};
const user = (content: unknown) => ({ messages: [{ role: 'user', content }] });
const said = (part: object) => ({ contents: [{ role: 'user', parts: [part] }] });

const wrong: [string, object, string][] = [
  ['messages', { messages: [] }, 'messages must have at least one entry'],
  ['messages', { messages: [{ role: 'tool', content: 'x' }] }, 'messages[0].role must be one of'],
  ['messages', { messages: [{ role: 'user' }] }, 'messages[0].content is missing'],
  ['messages', user([{ type: 'tool_result' }]), 'messages[0].content[0].tool_use_id is missing'],
  ['messages', user([{ type: 'document', source: {} }]), 'do not take parts of type document'],
  ['messages', { temperature: 2 }, 'temperature must be between 0 and 1'],
  ['messages', { tools: [{ type: 'web_search_20250305', name: 'web_search' }] }, 'tools[0].type must be custom'],
  ['messages', { tools: [{ name: 'a', input_schema: {}, defer_loading: true }] }, 'tools[0].defer_loading'],
  ['messages', { thinking: { type: 'enabled' } }, 'thinking.budget_tokens is missing'],
  ['messages', { mcp_servers: [{}] }, '`mcp_servers` with this value is not something that the gateway offers'],
  ['messages', { speed: 'fast' }, '`speed` with this value'],
  ['responses', { input: [] }, 'input must be a text, or have at least one entry'],
  ['responses', { previous_response_id: 'resp_1' }, 'previous_response_id is refused, for the gateway keeps no'],
  ['responses', { conversation: 'conv_1' }, 'conversation is refused, for the gateway keeps no'],
  ['responses', { store: true }, 'store must be false, for the gateway keeps no'],
  ['responses', { background: true }, 'background must be false'],
  ['responses', { input: [{ type: 'item_reference', id: 'x' }] }, 'send the item itself'],
  ['responses', { input: [{ type: 'function_call', name: 'a' }] }, 'input[0].call_id is missing'],
  ['responses', { tools: [{ type: 'web_search' }] }, 'tools[0].type must be function'],
  ['responses', { include: ['file_search_call.results'] }, 'include: file_search_call.results'],
  ['responses', { text: { format: { type: 'json_schema', name: 'a' } } }, 'text.format.schema is missing'],
  ['responses', { service_tier: 'priority' }, '`service_tier` with this value'],
  ['generateContent', { contents: [] }, 'contents must have at least one entry'],
  ['generateContent', said({ functionResponse: { name: 'a' } }), 'is not the name of a function that was called'],
  ['generateContent', { tools: [{ googleSearch: {} }] }, 'tools[0].googleSearch is a tool that the gateway'],
  ['generateContent', { generationConfig: { candidateCount: 2 } }, '`candidateCount` with this value'],
  ['generateContent', { generationConfig: { responseMimeType: 'text/x.enum' } }, 'responseMimeType'],
  ['generateContent', { generationConfig: { thinkingConfig: { thinkingLevel: 'HUGE' } } }, 'must be one of MINIMAL'],
  ['embeddings', { input: [] }, 'input must have at least one entry'],
  ['embeddings', { input: ['a', ''] }, 'input[1] must be a text that says something'],
  ['embeddings', { dimensions: 0 }, 'dimensions must be between 1 and'],
  ['embeddings', { encoding_format: 'hex' }, 'encoding_format must be one of float, base64'],
];

describe('a request that is wrong', () => {
  // Parts that only one family knows are refused by the model, not by the door.
  beforeEach(() =>
    bed.model('m', {
      provider: 'openaiCompatible',
      model: 'llama',
      baseUrl: `${wire.url}/v1`,
    }),
  );

  test.each(wrong)('%s: %j is a 400 that says why', async (door, body, why) => {
    const error = await caught(asks[door]?.(body) ?? Promise.resolve());
    expect(error.status).toBe(400);
    expect(error.message).toContain(why);
    if (door === 'messages') {
      expect(error).toBeInstanceOf(Anthropic.BadRequestError);
      expect(error).toMatchObject({ type: 'invalid_request_error' });
    } else if (door === 'generateContent') {
      expect(error).toMatchObject({ said: { error: { code: 400, status: 'INVALID_ARGUMENT' } } });
    } else {
      expect(error).toBeInstanceOf(OpenAI.BadRequestError);
    }
    expect(wire.last()).toBeUndefined();
  });
});

const statuses: [string, Partial<ModelSpec>, object, string | undefined, number, string, unknown][] = [
  ['a token that is not known', {}, {}, 'nope', 401, 'authentication_error', Anthropic.AuthenticationError],
  ['a Model that is not there', {}, { model: 'nope' }, undefined, 404, 'not_found_error', Anthropic.NotFoundError],
  ...(
    [
      [429, 429, 'rate_limit_error', Anthropic.RateLimitError],
      [500, 503, 'overloaded_error', Anthropic.ServiceUnavailableError],
    ] as const
  ).map(([status, told, type, kind]): (typeof statuses)[number] => [
    `a provider's ${status}`,
    { provider: 'simulated', simulated: { script: [{ error: { status } }] } },
    {},
    undefined,
    told,
    type,
    kind,
  ]),
];

test.each(statuses)('%s has its class in every client', async (_what, spec, body, token, status, type, kind) => {
  bed.model('m', spec);
  for (const [door, ask] of Object.entries(asks)) {
    if (door === 'embeddings' && spec.simulated) continue;
    const error = await caught(ask(body, token));
    expect([door, error.status]).toEqual([door, status]);
    if (door !== 'messages') continue;
    expect(error).toBeInstanceOf(kind);
    expect(error).toMatchObject({ type });
  }
  const model = (body as { model?: string }).model ?? 'm';
  const google = googleOf(bed, token);
  const error = await caught(google.models.generateContent({ model, contents: 'hello' }));
  expect(error).toBeInstanceOf(ApiError);
  expect(error.status).toBe(status);
});

test('tokens are not counted ahead of a call, and the client is told so', async () => {
  const call = anthropicOf(bed).messages.countTokens({ model: 'm', messages: [{ role: 'user', content: 'x' }] });
  expect(await caught(call)).toBeInstanceOf(Anthropic.NotFoundError);
});

const auth = { secretRef: { name: 'llm', key: 'key' } };
const families: Record<string, () => Partial<ModelSpec>> = {
  openai: () => ({ provider: 'openai', model: 'gpt-5', baseUrl: `${wire.url}/v1`, auth }),
  anthropic: () => ({ provider: 'anthropic', model: 'claude-sonnet-4-6', baseUrl: wire.url, auth }),
  google: () => ({ provider: 'google', model: 'gemini-3-pro', baseUrl: `${wire.url}/v1beta`, auth }),
};

describe('fields that only one family knows', () => {
  const fields: [string, string, object, string][] = [
    ['messages', 'anthropic', { future_field: { a: 1 } }, 'future_field'],
    ['responses', 'openai', { future_field: { a: 1 } }, 'future_field'],
    ['responses', 'openai', { text: { verbosity: 'low' } }, 'verbosity'],
    ['generateContent', 'google', { futureField: { a: 1 } }, 'futureField'],
    ['generateContent', 'google', { generationConfig: { mediaResolution: 'LOW' } }, 'mediaResolution'],
  ];
  test.each(fields)('%s hands them to %s: %j', async (door, family, body, name) => {
    bed.model('m', families[family]?.() ?? {});
    double.addFixture({ match: {}, response: { content: 'ok' } });
    await asks[door]?.(body);
    expect(wire.last()).toContain(name);
  });

  test.each(fields)('%s refuses them by name for others than %s: %j', async (door, family, body) => {
    const [top = ''] = Object.keys(body);
    for (const [other, spec] of Object.entries(families)) {
      if (other === family) continue;
      bed.model('m', spec());
      const error = await caught(asks[door]?.(body) ?? Promise.resolve());
      expect(error.status).toBe(400);
      expect(error.message).toContain(top);
    }
    expect(wire.last()).toBeUndefined();
  });
});

const pixel = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';
const schema = { type: 'object', properties: { a: { type: 'integer' } }, required: ['a'], additionalProperties: false };

describe.each(Object.entries(families))('to %s', (_family, spec) => {
  const bodies: [string, object][] = [
    [
      'messages',
      {
        system: [{ type: 'text', text: 'Be brief.', cache_control: { type: 'ephemeral' } }],
        messages: [
          {
            role: 'user',
            content: [
              { type: 'text', text: 'look' },
              { type: 'image', source: { type: 'base64', media_type: 'image/png', data: pixel } },
            ],
          },
        ],
        max_tokens: 777,
        output_config: { format: { type: 'json_schema', schema } },
      },
    ],
    [
      'responses',
      {
        instructions: 'Be brief.',
        input: [
          {
            role: 'user',
            content: [
              { type: 'input_text', text: 'look' },
              { type: 'input_image', image_url: `data:image/png;base64,${pixel}`, detail: 'auto' },
            ],
          },
        ],
        max_output_tokens: 777,
        text: { format: { type: 'json_schema', name: 'answer', schema, strict: true } },
      },
    ],
    [
      'generateContent',
      {
        systemInstruction: { parts: [{ text: 'Be brief.' }] },
        contents: [{ role: 'user', parts: [{ text: 'look' }, { inlineData: { mimeType: 'image/png', data: pixel } }] }],
        generationConfig: {
          maxOutputTokens: 777,
          responseMimeType: 'application/json',
          responseSchema: { type: 'OBJECT', properties: { a: { type: 'INTEGER' } }, required: ['a'] },
        },
      },
    ],
  ];

  test.each(bodies)('%s hands instructions, images and the format on', async (door, body) => {
    bed.model('m', spec());
    double.addFixture({ match: {}, response: { content: '{"a": 1}' } });
    await asks[door]?.(body);
    const sent = wire.last();
    for (const part of ['Be brief.', 'look', pixel, '777', 'integer']) expect(sent).toContain(part);
  });

  test.each(bodies)('%s fails for an answer that does not have the format', async (door, body) => {
    bed.model('m', spec());
    double.addFixture({ match: {}, response: { content: '{"b": 1}' } });
    expect(await caught(asks[door]?.(body) ?? Promise.resolve())).toMatchObject({ status: 502 });
  });
});

describe('embeddings', () => {
  test('are the same numbers as floats and as base64', async () => {
    const body = { model: 'm', input: ['hello', 'world'] };
    // Left to itself, the client asks for base64.
    const packed = await bed.client().embeddings.create(body);
    const plain = await bed.client().embeddings.create({ ...body, encoding_format: 'float' });
    expect(plain.data.map(({ embedding }) => embedding.length)).toEqual([8, 8]);
    expect(packed.data).toEqual(plain.data);
    expect(plain.usage.prompt_tokens).toBeGreaterThan(0);
  });

  test('come from a provider, in the order of the texts', async () => {
    bed.model('m', families['openai']?.() ?? {});
    double.onEmbedding(/.*/, { embedding: [0.25, -0.5, 1] });
    const { data } = await bed.client().embeddings.create({ model: 'm', input: ['a', 'b'], dimensions: 3 });
    expect(data).toEqual([0, 1].map((index) => ({ object: 'embedding', index, embedding: [0.25, -0.5, 1] })));
    expect(wire.last()).toContain('"dimensions":3');
  });

  test('are refused for a provider that has none', async () => {
    bed.model('m', families['anthropic']?.() ?? {});
    expect(await caught(embeddings({}))).toMatchObject({ status: 424 });
  });
});

test('every client lists the Models and finds one by its name', async () => {
  bed.model('n', {});
  const openai = bed.client();
  expect((await openai.models.list()).data.map(({ id }) => id)).toEqual(['m', 'n']);
  expect(await openai.models.retrieve('n')).toMatchObject({ id: 'n', object: 'model', owned_by: 'simulated' });
  expect(await caught(openai.models.retrieve('x'))).toBeInstanceOf(OpenAI.NotFoundError);

  const anthropic = anthropicOf(bed);
  expect((await anthropic.models.list()).data.map(({ id }) => id)).toEqual(['m', 'n']);
  expect(await anthropic.models.retrieve('n')).toMatchObject({ id: 'n', type: 'model', display_name: 'n' });
  expect(await caught(anthropic.models.retrieve('x'))).toBeInstanceOf(Anthropic.NotFoundError);

  const google = googleOf(bed);
  const listed = [];
  for await (const model of await google.models.list()) listed.push(model.name);
  expect(listed).toEqual(['models/m', 'models/n']);
  expect(await google.models.get({ model: 'n' })).toMatchObject({ name: 'models/n' });
  expect(await caught(google.models.get({ model: 'x' }))).toBeInstanceOf(ApiError);
});

describe('what is no request at all is refused in the words of the door', () => {
  const paths: [string, (error: Record<string, unknown>) => unknown][] = [
    ['/v1/responses', ({ error }) => (error as { type: string }).type],
    ['/v1/embeddings', ({ error }) => (error as { type: string }).type],
    ['/v1/messages', ({ type, error }) => (type === 'error' ? (error as { type: string }).type : type)],
    ['/v1/models/m:generateContent', ({ error }) => (error as { status: string }).status.toLowerCase()],
  ];
  const rubbish: [string, string, number][] = [
    ['half a body', '{"model": ', 400],
    ['a body that is no object', '[]', 400],
    ['a body that is too large', JSON.stringify({ x: 'x'.repeat(5_000_000) }), 413],
  ];
  test.each(paths.flatMap(([path, typeOf]) => rubbish.map((one) => [path, ...one, typeOf] as const)))(
    '%s: %s',
    async (path, _what, body, status, typeOf) => {
      const reply = await fetch(`${bed.url}${path}`, {
        method: 'POST',
        headers: { 'x-api-key': 'token-a', 'content-type': 'application/json' },
        body,
      });
      expect(reply.status).toBe(status);
      const type = typeOf((await reply.json()) as Record<string, unknown>);
      expect(['invalid_request_error', 'request_too_large', 'invalid_argument']).toContain(type);
    },
  );

  test.each(['/v1/models/m:generateContents', '/v1/models/m', '/v1beta/models/m:countTokens'])(
    'Google has no method %s',
    async (path) => {
      const reply = await fetch(`${bed.url}${path}`, {
        method: 'POST',
        headers: { 'x-goog-api-key': 'token-a', 'content-type': 'application/json' },
        body: '{}',
      });
      expect([reply.status, await reply.json()]).toMatchObject([404, { error: { code: 404, status: 'NOT_FOUND' } }]);
    },
  );
});
