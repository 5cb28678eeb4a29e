// An agent with tools as its callers see it: over the OpenAI wire, plain HTTP and A2A, through the official clients.
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { CancelTaskRequest, SendMessageRequest, StreamResponse, type Task } from '@a2a-js/sdk';
import { ClientFactory } from '@a2a-js/sdk/client';
import { compaction, toolActivity } from '@kadre/crds';
import OpenAI from 'openai';
import {
  eventually,
  post,
  serveAgent,
  startGateway,
  testAgent,
  type ServedAgent,
  type TestGateway,
} from '../testing/harness.ts';
import { text, toolGateway, type Said } from '../testing/tool-gateway.ts';

let gateway: TestGateway;
let agent: ServedAgent;
let client: OpenAI;
beforeAll(async () => {
  gateway = await startGateway();
  const limits = { turns: 5, durationMs: 60_000, contextCharacters: 8192 };
  agent = await serveAgent({ gatewayUrl: gateway.url, agent: testAgent({ tools: true, limits }) });
  client = new OpenAI({ baseURL: `${agent.url}/v1`, apiKey: 'none', maxRetries: 0 });
});
afterEach(() => {
  gateway.requests.length = 0;
});
afterAll(async () => {
  await agent.runtime.shutdown(0);
  await gateway.close();
});

const weather: Said[] = [{ text: 'I look.', calls: [['look', '{"city":"Bern"}']] }, { text: 'It rains.' }];
const ask = { model: 'greeter', messages: [{ role: 'user' as const, content: 'Weather?' }] };
const theirs = (name: string) => ({ type: 'function' as const, function: { name, parameters: { type: 'object' } } });
const modelCalls = () => gateway.requests.filter(({ path }) => path === '/v1/chat/completions');

test('over the OpenAI wire the answer is the last one, and usage counts all of them', async () => {
  gateway.handler = toolGateway({ model: weather });
  const { choices, usage } = await client.chat.completions.create(ask);
  expect(choices[0]).toMatchObject({ message: { content: 'It rains.' }, finish_reason: 'stop' });
  expect(usage).toEqual({ prompt_tokens: 14, completion_tokens: 10, total_tokens: 24 });
});

test('streamed over the OpenAI wire, what was written beside calls stands before the answer', async () => {
  gateway.handler = toolGateway({ model: weather });
  const stream = client.chat.completions.stream({ ...ask, stream_options: { include_usage: true } });
  const { choices, usage } = await stream.finalChatCompletion();
  expect(choices[0]).toMatchObject({ message: { content: 'I look.\n\nIt rains.' }, finish_reason: 'stop' });
  expect(choices[0]?.message.tool_calls).toBeUndefined();
  expect(usage).toMatchObject({ total_tokens: 24 });
});

test.each([true, false])('calls of tools that the caller brings come back to it (streamed: %s)', async (streamed) => {
  gateway.handler = toolGateway({ model: [{ calls: [['look', '{}']] }, { calls: [['paint', '{"colour":"red"}']] }] });
  const asked = { ...ask, tools: [theirs('paint')], tool_choice: 'required' as const };
  const { choices } = streamed
    ? await client.chat.completions.stream(asked).finalChatCompletion()
    : await client.chat.completions.create(asked);
  expect(choices[0]).toMatchObject({
    finish_reason: 'tool_calls',
    message: { tool_calls: [{ function: { name: 'paint', arguments: '{"colour":"red"}' } }] },
  });
  const offered = modelCalls().map(({ body }) =>
    (body['tools'] as { function: { name: string } }[]).map((tool) => tool.function.name),
  );
  expect(offered).toEqual([
    ['paint', 'add', 'look'],
    ['paint', 'add', 'look'],
  ]);
  expect(modelCalls().map(({ body }) => body['tool_choice'])).toEqual(['required', undefined]);
});

test("a call of the caller's tool beside one of the agent's is put off, and the model is told why", async () => {
  const model: Said[] = [
    {
      calls: [
        ['paint', '{}'],
        ['look', '{}'],
      ],
    },
    { calls: [['paint', '{}']] },
  ];
  gateway.handler = toolGateway({ model });
  const { choices } = await client.chat.completions.create({ ...ask, tools: [theirs('paint')] });
  expect(choices[0]?.message.tool_calls).toHaveLength(1);
  const told = modelCalls()[1]
    ?.body.messages?.slice(-2)
    .map(({ content }) => content);
  expect(told).toEqual([expect.stringContaining('belongs to whoever asks you'), 'done']);
  expect(gateway.requests.filter(({ path }) => path === '/v1/tools/call')).toHaveLength(1);
});

test('a tool of the caller with the name of one of the agent is refused', async () => {
  gateway.handler = toolGateway({ model: weather });
  const asked = { ...ask, tools: [theirs('look')] };
  for (const stream of [false, true])
    expect(await post(`${agent.url}/v1/chat/completions`, { ...asked, stream })).toMatchObject({
      status: 400,
      body: { error: { message: expect.stringContaining('a tool look of its own'), code: 'InvalidInput' } },
    });
  expect(modelCalls()).toHaveLength(0);
});

test('an agent that reaches a limit says so, and its client does not try again', async () => {
  let turn = 0;
  gateway.handler = toolGateway({ model: () => ({ calls: [['look', String((turn += 1))]] }) });
  const answer = await post(`${agent.url}/generate`, { prompt: 'Weather?' });
  expect(answer).toMatchObject({ status: 502, body: { error: { code: 'LimitExceeded' } } });
  expect(answer.headers.get('x-should-retry')).toBe('false');
});

test.each<[string, () => Promise<void>]>([
  [
    'a client that leaves',
    async () => {
      const leaving = new AbortController();
      const body = JSON.stringify({ ...ask, stream: true });
      const headers = { 'content-type': 'application/json' };
      const asking = fetch(`${agent.url}/v1/chat/completions`, {
        method: 'POST',
        headers,
        body,
        signal: leaving.signal,
      });
      await eventually(() => gateway.requests.some(({ path }) => path === '/v1/tools/call'));
      leaving.abort();
      await expect(asking.then((response) => response.text())).rejects.toThrow();
    },
  ],
  [
    'a task that is cancelled',
    async () => {
      const a2a = await new ClientFactory().createFromUrl(agent.url);
      const message = { messageId: 'to-cancel', role: 'ROLE_USER', parts: [{ text: 'Weather?' }] };
      const configuration = { returnImmediately: true };
      const { id } = (await a2a.sendMessage(SendMessageRequest.fromJSON({ message, configuration }))) as Task;
      await eventually(() => gateway.requests.some(({ path }) => path === '/v1/tools/call'));
      await a2a.cancelTask(CancelTaskRequest.fromJSON({ id }));
    },
  ],
])('%s takes the call of the tool with it', async (_name, leave) => {
  let hungUp = false;
  const handler = toolGateway({ model: weather });
  gateway.handler = (request, response) => {
    if (request.path !== '/v1/tools/call') return handler(request, response);
    response.once('close', () => (hungUp = true));
  };
  await leave();
  await eventually(() => hungUp);
  expect(modelCalls()).toHaveLength(1);
});

test('over plain HTTP, events tell of calls, and that what stood beside them was no answer', async () => {
  gateway.handler = toolGateway({ model: weather });
  const body = JSON.stringify({ prompt: 'Weather?', stream: true });
  const headers = { 'content-type': 'application/json' };
  const events = await (await fetch(`${agent.url}/generate`, { method: 'POST', headers, body })).text();
  expect(events).toBe(
    [
      'event: delta\ndata: {"text":"I "}',
      'event: delta\ndata: {"text":"look."}',
      'event: restart\ndata: {}',
      'event: tool\ndata: {"call":2,"tool":"look","phase":"Running","arguments":"{\\"city\\":\\"Bern\\"}"}',
      'event: tool\ndata: {"call":2,"tool":"look","phase":"Succeeded"}',
      'event: delta\ndata: {"text":"It "}',
      'event: delta\ndata: {"text":"rains."}',
      'event: result\ndata: {"output":"It rains.","usage":{"inputTokens":14,"outputTokens":10},"model":"smart"}\n\n',
    ].join('\n\n'),
  );
});

test('over A2A, status updates tell of calls and of what was left out, and the artifact is the answer alone', async () => {
  let turn = 0;
  const model = (): Said =>
    (turn += 1) < 5 ? { text: `Try ${turn}. `, calls: [['look', `{"n":${turn}}`]] } : { text: 'It rains.' };
  gateway.handler = toolGateway({ model, call: () => text('x'.repeat(5000)) });
  const a2a = await new ClientFactory().createFromUrl(agent.url);
  const message = { messageId: 'm1', role: 'ROLE_USER', parts: [{ text: 'Weather?' }] };
  const artifacts = new Map<string, string>();
  const said: Record<string, unknown>[] = [];
  for await (const event of a2a.sendMessageStream(SendMessageRequest.fromJSON({ message }))) {
    const json = StreamResponse.toJSON(event) as {
      statusUpdate?: { metadata?: Record<string, unknown> };
      artifactUpdate?: { append?: boolean; artifact: { artifactId: string; parts: { text: string }[] } };
    };
    if (json.statusUpdate?.metadata) said.push(json.statusUpdate.metadata);
    if (!json.artifactUpdate) continue;
    const { append, artifact } = json.artifactUpdate;
    const before = append === true ? (artifacts.get(artifact.artifactId) ?? '') : '';
    artifacts.set(artifact.artifactId, before + artifact.parts.map((part) => part.text).join(''));
  }
  expect([...artifacts.values()]).toEqual(['It rains.']);
  const activities = said.flatMap((metadata) => metadata['kadre.dev/tool'] ?? []);
  expect(activities).toHaveLength(8);
  expect(activities.slice(0, 2).map((activity) => toolActivity.parse(activity))).toEqual([
    { call: 2, tool: 'look', phase: 'Running', arguments: '{"n":1}' },
    { call: 2, tool: 'look', phase: 'Succeeded' },
  ]);
  const dropped = said.flatMap((metadata) => metadata['kadre.dev/compaction'] ?? []);
  expect(dropped.map((one) => compaction.parse(one))).toEqual([{ results: 3, characters: expect.any(Number) }]);
  expect(agent.log.join('')).toContain('left results of tools out of a long conversation');
});
