// What models think between calls of tools: providers want it back, and clients of chat completions know nothing of it.
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { ModelSpec } from '@kadre/crds';
import { once } from 'node:events';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json as readJson } from 'node:stream/consumers';
import type OpenAI from 'openai';
import { failure, startBed, user, type Bed } from './bed.ts';

type Message = OpenAI.ChatCompletionMessageParam;

let bed: Bed;
let server: Server;
let answer: (response: ServerResponse, path: string) => void;
const bodies: unknown[] = [];

beforeEach(async () => {
  bodies.length = 0;
  server = createServer((request, response) => {
    if (request.method === 'GET') {
      answer(response, request.url ?? '');
      return;
    }
    void readJson(request).then((body) => {
      bodies.push(body);
      answer(response, request.url ?? '');
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  bed = await startBed();
});
afterEach(async () => {
  await bed.close();
  server.closeAllConnections();
  server.close();
});

const url = (): string => `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
const use = (spec: Partial<ModelSpec>): void =>
  bed.model('m', { baseUrl: url(), auth: { secretRef: { name: 'llm', key: 'key' } }, ...spec });
const say = (response: ServerResponse, body: unknown): void => {
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body));
};
const tell = (response: ServerResponse, events: object[]): void => {
  const text = events.map((event) => `data: ${JSON.stringify(event)}\n\n`).join('');
  response.writeHead(200, { 'content-type': 'text/event-stream' }).end(text);
};

const tools = [{ type: 'function' as const, function: { name: 'weather', parameters: { type: 'object' } } }];

/** Only what any client keeps of a message: its words and its calls. */
async function callOf(streamed: boolean, more: object = {}): Promise<Message> {
  const asked = { model: 'm', messages: user('weather?'), tools, ...more };
  const chat = bed.client().chat.completions;
  const whole = streamed ? await chat.stream(asked).finalChatCompletion() : await chat.create(asked);
  const { content, tool_calls: calls } = whole.choices[0]?.message ?? {};
  return {
    role: 'assistant',
    content: content ?? null,
    tool_calls: (calls ?? []).flatMap((call) =>
      call.type === 'function'
        ? [
            {
              id: call.id,
              type: 'function' as const,
              function: { name: call.function.name, arguments: call.function.arguments },
            },
          ]
        : [],
    ),
  };
}

/** The turn after it, with a result for each call. */
async function goOn(called: Message): Promise<void> {
  const calls = called.role === 'assistant' ? (called.tool_calls ?? []) : [];
  const results = calls.map(({ id }): Message => ({ role: 'tool', tool_call_id: id, content: 'sunny' }));
  await bed
    .client()
    .chat.completions.create({ model: 'm', messages: [...user('weather?'), called, ...results], tools });
}

interface Family {
  name: string;
  spec: Partial<ModelSpec>;
  whole: object;
  events: object[];
  /** What the second request must hold, word by word. */
  handedBack: object;
}

const signed = { type: 'thinking', thinking: 'Bern, I think.', signature: 'EqQB+/==' };
const used = { type: 'tool_use', id: 'toolu_1', name: 'weather', input: { city: 'Bern' } };
const geminiCall = {
  functionCall: { id: 'f1', name: 'weather', args: { city: 'Bern' } },
  thoughtSignature: 'CiQB+/==',
};
const encrypted = { type: 'reasoning', id: 'rs_1', summary: [], encrypted_content: 'gAAA+/==' };
const functionCall = {
  type: 'function_call',
  id: 'fc_1',
  call_id: 'call_1',
  name: 'weather',
  arguments: '{"city":"Bern"}',
};

const families: Family[] = [
  {
    name: 'Anthropic: thinking blocks with their signatures, the hidden ones too',
    spec: { provider: 'anthropic', model: 'claude-opus-5' },
    whole: {
      content: [signed, { type: 'redacted_thinking', data: 'EmwK' }, { type: 'text', text: 'I look.' }, used],
      stop_reason: 'tool_use',
    },
    events: [
      { type: 'message_start', message: {} },
      { type: 'content_block_start', index: 0, content_block: { type: 'thinking', thinking: '', signature: '' } },
      { type: 'content_block_delta', index: 0, delta: { type: 'thinking_delta', thinking: 'Bern, ' } },
      { type: 'content_block_delta', index: 0, delta: { type: 'thinking_delta', thinking: 'I think.' } },
      { type: 'content_block_delta', index: 0, delta: { type: 'signature_delta', signature: 'EqQB+/==' } },
      { type: 'content_block_stop', index: 0 },
      { type: 'content_block_start', index: 1, content_block: { type: 'redacted_thinking', data: 'EmwK' } },
      { type: 'content_block_stop', index: 1 },
      { type: 'content_block_start', index: 2, content_block: { type: 'text', text: 'I look.' } },
      { type: 'content_block_stop', index: 2 },
      { type: 'content_block_start', index: 3, content_block: { ...used, input: {} } },
      { type: 'content_block_delta', index: 3, delta: { type: 'input_json_delta', partial_json: '{"city":"Bern"}' } },
      { type: 'content_block_stop', index: 3 },
      { type: 'message_delta', delta: { stop_reason: 'tool_use' } },
    ],
    handedBack: {
      messages: [
        { role: 'user', content: 'weather?' },
        {
          role: 'assistant',
          content: [signed, { type: 'redacted_thinking', data: 'EmwK' }, { type: 'text', text: 'I look.' }, used],
        },
        { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'toolu_1', content: 'sunny' }] },
      ],
    },
  },
  {
    name: 'Google: the signature of a call',
    spec: { provider: 'google', model: 'gemini-3-pro' },
    whole: { candidates: [{ content: { parts: [geminiCall] }, finishReason: 'STOP' }] },
    events: [{ candidates: [{ content: { parts: [geminiCall] } }] }, { candidates: [{ finishReason: 'STOP' }] }],
    handedBack: {
      contents: [
        { role: 'user', parts: [{ text: 'weather?' }] },
        { role: 'model', parts: [geminiCall] },
        { role: 'user', parts: [{ functionResponse: { id: 'f1', name: 'weather', response: { result: 'sunny' } } }] },
      ],
    },
  },
  {
    name: "OpenAI's Responses: encrypted reasoning",
    spec: { provider: 'openai', api: 'responses', model: 'gpt-5' },
    whole: { status: 'completed', output: [encrypted, functionCall] },
    events: [
      { type: 'response.created', response: {} },
      { type: 'response.output_item.done', output_index: 0, item: encrypted },
      { type: 'response.output_item.added', output_index: 1, item: functionCall },
      { type: 'response.function_call_arguments.delta', output_index: 1, delta: '{"city":"Bern"}' },
      { type: 'response.completed', response: { status: 'completed' } },
    ],
    handedBack: {
      input: [
        {},
        encrypted,
        { type: 'function_call', call_id: 'call_1', name: 'weather', arguments: '{"city":"Bern"}' },
        { type: 'function_call_output', call_id: 'call_1', output: 'sunny' },
      ],
    },
  },
];

describe.each(families)('$name', ({ spec, whole, events, handedBack }) => {
  test.each([false, true])(
    'come back word by word through a client that keeps ids alone (streamed: %s)',
    async (streamed) => {
      use(spec);
      answer = (response) => (streamed ? tell(response, events) : say(response, whole));
      const called = await callOf(streamed);
      answer = (response) => say(response, whole);
      await goOn(called);
      expect(bodies[1]).toMatchObject(handedBack);
    },
  );

  test('are left out for a provider of another family, and its ids are short', async () => {
    use(spec);
    answer = (response) => say(response, whole);
    const called = await callOf(false);
    use({ provider: 'openaiCompatible', model: 'llama' });
    answer = (response) => say(response, { choices: [{ message: { content: 'ok' }, finish_reason: 'stop' }] });
    await goOn(called);
    const sent = JSON.stringify(bodies[1]);
    expect(sent).toContain('sunny');
    for (const secret of ['EqQB', 'EmwK', 'CiQB', 'gAAA', '~k1~']) expect(sent).not.toContain(secret);
  });
});

test('a client that asks for thoughts can read them', async () => {
  use({ provider: 'anthropic', model: 'claude-opus-5' });
  answer = (response) => say(response, families[0]?.whole);
  const reasoning = { reasoning: { effort: 'low' } };
  const whole = await bed.client().chat.completions.create({ model: 'm', messages: user('x'), ...reasoning });
  expect(whole.choices[0]?.message).toMatchObject({ content: 'I look.', reasoning_content: 'Bern, I think.' });
  expect(bodies[0]).toMatchObject({
    thinking: { type: 'adaptive', display: 'summarized' },
    output_config: { effort: 'low' },
  });
});

describe('an image that stands somewhere else', () => {
  const ask = (address: string) =>
    bed.client().chat.completions.create({
      model: 'm',
      messages: [
        {
          role: 'user',
          content: [
            { type: 'text', text: 'what?' },
            { type: 'image_url', image_url: { url: address } },
          ],
        },
      ],
      stream: false,
    });
  const reply = { candidates: [{ content: { parts: [{ text: 'a dot' }] }, finishReason: 'STOP' }] };
  const serve = (path: string, status: number, headers: Record<string, string>, body = 'PNG'): void => {
    answer = (response, asked) => {
      if (asked === '/dot.png') response.writeHead(200, { 'content-type': 'image/png' }).end('PNG');
      else if (asked === path) response.writeHead(status, headers).end(body);
      else say(response, reply);
    };
  };
  beforeEach(() => use({ provider: 'google', model: 'gemini-3-pro' }));

  test.each([
    ['is fetched for Google, which wants its content', 200, { 'content-type': 'image/png; charset=x' }],
    ['is fetched by way of a redirect', 302, { location: '/dot.png' }],
  ])('%s', async (_name, status, headers: Record<string, string>) => {
    serve('/image', status, headers);
    await ask(`${url()}/image`);
    expect(bodies[0]).toMatchObject({
      contents: [
        {
          parts: [
            { text: 'what?' },
            { inlineData: { mimeType: 'image/png', data: Buffer.from('PNG').toString('base64') } },
          ],
        },
      ],
    });
  });

  test.each<[string, number, Record<string, string>, RegExp]>([
    ['is not there', 404, { 'content-type': 'image/png' }, /HTTP 404/],
    ['is no image', 200, { 'content-type': 'text/html' }, /no image/],
    ['leads in circles', 302, { location: '/image' }, /from one address to the next/],
    ['leads to the credentials of a cloud', 302, { location: 'http://169.254.169.254/latest' }, /169\.254\.169\.254/],
    ['leads into the cluster', 302, { location: 'http://10.0.0.1/x.png' }, /10\.0\.0\.1/],
    ['leads to a file', 302, { location: 'file:///etc/passwd' }, /http or https/],
  ])('is refused where it %s, and the provider is not asked', async (_name, status, headers, message) => {
    serve('/image', status, headers);
    const error = await failure(ask(`${url()}/image`));
    expect(error).toMatchObject({ status: 400, code: 'ModelFailed' });
    expect(error.message).toMatch(message);
    expect(bodies).toHaveLength(0);
  });

  test('is refused where it is too large', async () => {
    await bed.close();
    bed = await startBed({ limits: { imageBytes: 1000 } });
    use({ provider: 'google', model: 'gemini-3-pro' });
    serve('/image', 200, { 'content-type': 'image/png' }, 'x'.repeat(5000));
    expect((await failure(ask(`${url()}/image`))).message).toContain('too large');
  });
});
