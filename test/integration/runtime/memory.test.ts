// Conversations with an agent go on at another of its pods, through each of its doors, and stay its own.
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { SendMessageRequest, type Task } from '@a2a-js/sdk';
import { ClientFactory } from '@a2a-js/sdk/client';
import { kinds, type Tool } from '@kadre/crds';
import { mintStepToken } from '@kadre/store';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import OpenAI from 'openai';
import {
  eventually,
  post,
  say,
  serveAgent,
  startGateway,
  testAgent,
  type GatewayHandler,
  type ServedAgent,
  type TestGateway,
} from '../../../agent-runtime/src/testing/harness.ts';
import { toolGateway } from '../../../agent-runtime/src/testing/tool-gateway.ts';
import { NAMESPACE, startBed, step, type Bed } from '../gateway/bed.ts';
import { startWire } from './runtime-process.ts';

let provider: TestGateway;
let page: Server;
let bed: Bed;
/** How much is kept; undefined: the Agent has no memory. */
let room: { turns: number; characters: number } | undefined;
let pods: ServedAgent[];
const config = { name: 'researcher', namespace: NAMESPACE, memory: true };

beforeEach(async () => {
  room = { turns: 50, characters: 100_000 };
  pods = [];
  provider = await startGateway(counting());
  page = createServer((_request, response) => response.end('done')).listen(0, '127.0.0.1');
  await once(page, 'listening');
  const address = `http://127.0.0.1:${(page.address() as AddressInfo).port}`;
  const tools = {
    grants: () => [{ name: 'read' }, { name: 'act' }],
    get: (_namespace: string, name: string) => toolOf(name, address),
  };
  bed = await startBed({
    tools,
    memory: { ofAgent: (_namespace, agent) => (agent === 'researcher' ? room : undefined) },
  });
  bed.model('smart', { provider: 'openaiCompatible', model: 'm', baseUrl: provider.url });
});
afterEach(async () => {
  await Promise.all(pods.map(({ runtime }) => runtime.shutdown(0)));
  await bed.close();
  await provider.close();
  page.closeAllConnections();
  page.close();
});

/** `read` is untrusted, `act` has consequences. */
function toolOf(name: string, url: string): Tool {
  const spec = { http: { url, input: { schema: { type: 'object' } } }, ...(name === 'act' && ACT) };
  const metadata = { name, namespace: NAMESPACE, uid: name, generation: 1 };
  return { metadata, spec: kinds.Tool.spec.parse({ description: name, ...spec }) } as unknown as Tool;
}
const ACT = { trust: 'trusted', consequential: true };

async function pod(more: object = {}, gatewayUrl = bed.url): Promise<{ url: string; openai: OpenAI }> {
  const agent = testAgent({ ...config, ...more });
  const one = await serveAgent({ gatewayUrl, agent }, { token: () => Promise.resolve('token-a') });
  pods.push(one);
  return { url: one.url, openai: new OpenAI({ baseURL: `${one.url}/v1`, apiKey: 'none', maxRetries: 0 }) };
}

/** Answers with the number of the call. */
function counting(): GatewayHandler {
  let calls = 0;
  return (request, response) => say(`Answer ${(calls += 1)}.`)(request, response);
}

const asked = (): unknown[] => (provider.requests.at(-1)?.body.messages ?? []).slice(1).map(({ content }) => content);

const messageOf = (text: string, messageId: string, contextId?: string, metadata = {}) =>
  SendMessageRequest.fromJSON({ message: { messageId, contextId, role: 'ROLE_USER', parts: [{ text }], metadata } });
const sendTo = async (url: string, request: SendMessageRequest): Promise<Task> =>
  (await (await new ClientFactory().createFromUrl(url)).sendMessage(request)) as Task;
const outputOf = ({ artifacts }: Task): unknown => artifacts[0]?.parts[0]?.content?.value;

test('over A2A, under the context that the agent gave or the client chose', async () => {
  const [first, second] = [await pod(), await pod()];
  const begun = await sendTo(first.url, messageOf('I am Ann.', 'm1'));
  await sendTo(second.url, messageOf('Who am I?', 'm2', begun.contextId));
  expect(asked()).toEqual(['I am Ann.', 'Answer 1.', 'Who am I?']);
  await sendTo(second.url, messageOf('Hello', 'm3', 'chosen by the client'));
  await sendTo(first.url, messageOf('Again', 'm4', 'chosen by the client'));
  expect(asked()).toEqual(['Hello', 'Answer 3.', 'Again']);
});

test('the same message sent to another pod gets the answer that it got before, another one under its id is refused', async () => {
  const [first, second] = [await pod(), await pod()];
  await sendTo(first.url, messageOf('Hi', 'm1', 'c'));
  expect(outputOf(await sendTo(second.url, messageOf('Hi', 'm1', 'c')))).toBe('Answer 1.');
  expect(provider.requests).toHaveLength(1);
  const refused = await sendTo((await pod()).url, messageOf('Ho', 'm1', 'c'));
  expect(refused.status?.message?.parts[0]?.content?.value).toContain('another content');
});

test('over /generate, streamed or not, and forgotten when somebody wants that', async () => {
  const [first, second] = [await pod(), await pod()];
  const { body } = await post(`${first.url}/generate`, { prompt: 'One' });
  const { context } = body as { context: string };
  expect(context).toMatch(/^ctx_[0-9a-f]{32}$/);
  const streamed = await fetch(`${second.url}/generate`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ prompt: 'Two', context, stream: true }),
  });
  expect(await streamed.text()).toContain(`"context":"${context}"`);
  expect(asked()).toEqual(['One', 'Answer 1.', 'Two']);
  expect(await first.openai.conversations.delete(context)).toMatchObject({ deleted: true });
  await post(`${second.url}/generate`, { prompt: 'Three', context });
  expect(asked()).toEqual(['Three']);
});

test('over Responses, after any response, and by conversation', async () => {
  const [first, second] = [await pod(), await pod()];
  const ask = { model: 'researcher', instructions: 'Be brief.' };
  const one = await first.openai.responses.create({ ...ask, input: 'One' });
  const two = await second.openai.responses
    .stream({ ...ask, input: 'Two', previous_response_id: one.id })
    .finalResponse();
  expect(asked()).toEqual(['Be brief.', 'One', 'Answer 1.', 'Two']);
  expect(two).toMatchObject({ previous_response_id: one.id, store: true });
  const fork = await first.openai.responses.create({ ...ask, input: 'Other', previous_response_id: one.id });
  const on = { previous_response_id: fork.id, store: false };
  expect(await second.openai.responses.create({ model: 'researcher', input: 'On', ...on })).toMatchObject({
    store: false,
  });
  expect(asked()).toEqual(['One', 'Answer 1.', 'Other', 'Answer 3.', 'On']);
  await first.openai.responses.create({ model: 'researcher', input: 'Three', previous_response_id: two.id });
  expect(asked()).toEqual(['One', 'Answer 1.', 'Two', 'Answer 2.', 'Three']);
  const read = await second.openai.responses.retrieve(two.id);
  expect(read).toMatchObject({ id: two.id, status: 'completed', output: [{ content: [{ text: 'Answer 2.' }] }] });
  const { id: conversation } = await first.openai.conversations.create();
  for (const input of ['A', 'B']) await first.openai.responses.create({ model: 'researcher', input, conversation });
  expect(asked()).toEqual(['A', 'Answer 6.', 'B']);
});

test('a call of a tool of the caller and its result belong to the conversation', async () => {
  const { openai } = await pod();
  const call = { id: 'c1', type: 'function', function: { name: 'mine', arguments: '{}' } };
  provider.handler = (_request, response) => {
    const choices = [{ index: 0, finish_reason: 'tool_calls', delta: { tool_calls: [{ index: 0, ...call }] } }];
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.end(`data: ${JSON.stringify({ id: 'x', choices })}\n\ndata: [DONE]\n\n`);
  };
  const tools = [{ type: 'function' as const, name: 'mine', parameters: { type: 'object' }, strict: false }];
  const one = await openai.responses.create({ model: 'researcher', input: 'Call it.', tools });
  provider.handler = say('Done.');
  const [made] = one.output;
  if (made?.type !== 'function_call') throw new Error('no call');
  const result = { type: 'function_call_output' as const, call_id: made.call_id, output: '42' };
  const two = await openai.responses.create({
    model: 'researcher',
    input: [result],
    tools,
    previous_response_id: one.id,
  });
  expect(two.output_text).toBe('Done.');
  expect(provider.requests.at(-1)?.body.messages?.map(({ role }) => role)).toEqual([
    'system',
    'user',
    'assistant',
    'tool',
  ]);
});

test('unknown responses, those of others, and ids that are no responses are not found', async () => {
  const { openai, url } = await pod();
  await sendTo(url, messageOf('Secret', 'm1'));
  for (const id of [`resp_${'0'.repeat(32)}`, 'a2a:m1', 'resp_x']) {
    await expect(openai.responses.retrieve(id)).rejects.toMatchObject({ status: 404 });
    await expect(
      openai.responses.create({ model: 'researcher', input: 'x', previous_response_id: id }),
    ).rejects.toMatchObject({ status: 400, code: 'previous_response_not_found' });
  }
});

test('two that answer at once in one conversation are both kept, each in one piece', async () => {
  const [first, second] = [await pod(), await pod()];
  const waiting: (() => void)[] = [];
  provider.handler = (request, response) =>
    void waiting.push(() => void say(`To ${request.body.messages?.at(-1)?.content ?? ''}.`)(request, response));
  const both = [sendTo(first.url, messageOf('A', 'm1', 'c')), sendTo(second.url, messageOf('B', 'm2', 'c'))];
  await eventually(() => waiting.length === 2);
  for (const answer of waiting) answer();
  await Promise.all(both);
  provider.handler = say('Ok.');
  await sendTo(first.url, messageOf('C', 'm3', 'c'));
  expect([['A', 'To A.', 'B', 'To B.', 'C'], ['B', 'To B.', 'A', 'To A.', 'C']]).toContainEqual(asked()); // prettier-ignore
});

test('an answer of the gateway that is lost on the way loses nothing, and keeps nothing twice', async () => {
  let requests = 0;
  const wire = await startWire(bed.url, () => async (_request, forward) => {
    requests += 1;
    await forward();
    // Of recalling, of remembering, and of forgetting.
    if ([1, 4, 6].includes(requests)) throw new Error('lost');
  });
  const { url, openai } = await pod({}, wire.url);
  expect(await post(`${url}/generate`, { prompt: 'One', context: 'c' })).toMatchObject({ status: 200 });
  expect(provider.requests).toHaveLength(1);
  expect(await bed.store.turns({ namespace: NAMESPACE, agent: 'researcher', conversation: 'c' })).toHaveLength(1);
  await expect(openai.conversations.delete('c')).rejects.toMatchObject({ status: 404 });
  expect(await bed.store.turns({ namespace: NAMESPACE, agent: 'researcher', conversation: 'c' })).toEqual([]);
  await wire.close();
});

test('the oldest turns make room, and what is long is kept in part', async () => {
  room = { turns: 2, characters: 100_000 };
  const { url } = await pod({ limits: { turns: 4, durationMs: 10_000, contextCharacters: 8192 } });
  for (const prompt of ['One', 'Two', 'x'.repeat(5000), 'Four'])
    await post(`${url}/generate`, { prompt, context: 'c' });
  expect(asked()).toEqual(['Two', 'Answer 2.', expect.stringMatching(/^x{1024}\n\[Cut/), 'Answer 3.', 'Four']);
});

test('words of strangers that were read before still taint the conversation', async () => {
  const { url } = await pod({ tools: true });
  const calls = { read: [['read', '{}']], act: [['act', '{}']] } as const;
  provider.handler = toolGateway({
    model: ({ body: { messages = [] } }) => {
      const said = messages.at(-1)?.content ?? '';
      return said === 'read' || said === 'act' ? { calls: [...calls[said]] as [string, string][] } : { text: said };
    },
  });
  const ask = async (prompt: string, context: string): Promise<string> =>
    ((await post(`${url}/generate`, { prompt, context })).body as { output: string }).output;
  expect(await ask('act', 'clean')).toBe('done');
  for (const prompt of ['read', 'hello']) await ask(prompt, 'tainted');
  expect(await ask('act', 'tainted')).toMatch(/^Error: Tool act has consequences/);
  expect(await ask('act', 'clean')).toBe('done');
});

test('steps of Runs remember nothing and read nothing', async () => {
  const { url } = await pod();
  await sendTo(url, messageOf('Secret', 'm1', 'c'));
  const token = mintStepToken(await bed.store.secret('step-token'), step, Date.now() + 60_000);
  await sendTo(url, messageOf('Go on', 'm2', 'c', { 'kadre.dev/step-token': token }));
  expect(asked()).toEqual(['Go on']);
  expect(await bed.store.turns({ namespace: NAMESPACE, agent: 'researcher', conversation: 'c' })).toHaveLength(1);
  const refused = await fetch(`${bed.url}/v1/conversations?conversation=c`, {
    headers: { authorization: 'Bearer token-a', 'kadre-step': token },
  });
  expect(refused.status).toBe(403);
});

test('the gateway keeps conversations of agents apart, and none of those without memory', async () => {
  bed.tokens.set('token-b', { namespace: NAMESPACE, serviceAccount: 'agent-other', uid: 'sa-2' });
  bed.tokens.set('token-c', { namespace: 'team-b', serviceAccount: 'agent-researcher', uid: 'sa-3' });
  const { url } = await pod();
  await post(`${url}/generate`, { prompt: 'Secret', context: 'c' });
  const ask = (token: string, init: RequestInit = {}, query = '?conversation=c') =>
    fetch(`${bed.url}/v1/conversations${query}`, {
      ...init,
      headers: { authorization: `Bearer ${token}`, ...(init.body && { 'content-type': 'application/json' }) },
    });
  expect((await ask('token-b')).status).toBe(403);
  expect(await (await ask('token-c')).json()).toEqual({ conversation: 'c', turns: [] });
  expect((await ask('token-c', { method: 'DELETE' })).status).toBe(200);
  expect((await ask('token-a', {}, '')).status).toBe(400);
  expect((await ask('token-a', {}, '?turn=none')).status).toBe(404);
  for (const [body, status] of [
    [{ conversation: 'c' }, 400],
    [{ conversation: 'c', id: 'x', messages: ['no'] }, 400],
    [{ conversation: 'c', id: 'x', messages: [{ role: 'user', content: 'x'.repeat(2 ** 20) }] }, 413],
  ] as const)
    expect((await ask('token-a', { method: 'POST', body: JSON.stringify(body) }, '')).status).toBe(status);
  expect(await bed.store.turns({ namespace: NAMESPACE, agent: 'researcher', conversation: 'c' })).toHaveLength(1);
});

test('an answer that cannot be kept is none', async () => {
  const { url } = await pod();
  room = undefined;
  expect(await post(`${url}/generate`, { prompt: 'Hi' })).toMatchObject({ status: 424 });
  const forgetful = await serveAgent(
    { gatewayUrl: bed.url, agent: testAgent({ ...config, memory: false }) },
    { token: () => Promise.resolve('token-a') },
  );
  pods.push(forgetful);
  expect(await post(`${forgetful.url}/generate`, { prompt: 'Hi', context: 'c' })).toMatchObject({ status: 400 });
});
