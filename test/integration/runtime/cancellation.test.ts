// Whoever leaves or cancels does not pay on: the provider's connection closes, through agent and gateway, at each door.
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { runStep } from '@kadre/agent-runtime';
import { kinds, type Tool } from '@kadre/crds';
import { CancelTaskRequest, SendMessageRequest, TaskState } from '@a2a-js/sdk';
import { ClientFactory } from '@a2a-js/sdk/client';
import { mintStepToken } from '@kadre/store';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import OpenAI from 'openai';
import pino from 'pino';
import {
  chunk,
  eventually,
  serveAgent,
  startGateway,
  startStream,
  testAgent,
  type ServedAgent,
  type TestGateway,
} from '../../../agent-runtime/src/testing/harness.ts';
import { toolGateway } from '../../../agent-runtime/src/testing/tool-gateway.ts';
import { collect, NAMESPACE, startBed, step, type Bed } from '../gateway/bed.ts';

/** Writes a word and falls silent. */
let provider: TestGateway;
let tool: Server;
let bed: Bed;
let agent: ServedAgent;
let openai: OpenAI;
/** Calls that wait for the provider, or the tool. */
let waiting = 0;
let left = 0;
const config = testAgent({ name: 'researcher', namespace: NAMESPACE });
const deps = { token: () => Promise.resolve('token-a') };

beforeAll(async () => {
  provider = await startGateway();
  tool = createServer((_request, response) => hold(response)).listen(0, '127.0.0.1');
  await once(tool, 'listening');
  const url = `http://127.0.0.1:${(tool.address() as AddressInfo).port}`;
  const spec = kinds.Tool.spec.parse({ description: 'Waits.', http: { url, input: { schema: { type: 'object' } } } });
  const metadata = { name: 'wait', namespace: NAMESPACE, uid: 'u', generation: 1 };
  bed = await startBed({
    tools: { grants: () => [{ name: 'wait' }], get: () => ({ metadata, spec }) as unknown as Tool },
  });
  bed.model('smart', { provider: 'openaiCompatible', model: 'm', baseUrl: provider.url });
  agent = await serveAgent({ gatewayUrl: bed.url, agent: config }, deps);
  openai = new OpenAI({ baseURL: `${agent.url}/v1`, apiKey: 'none', maxRetries: 0 });
});
afterEach(() => {
  [waiting, left] = [0, 0];
});
afterAll(async () => {
  await agent.runtime.shutdown(0);
  await bed.close();
  await provider.close();
  tool.closeAllConnections();
  tool.close();
});

function hold(response: { once(event: 'close', listener: () => void): unknown }): void {
  waiting += 1;
  response.once('close', () => (left += 1));
}

const holding: TestGateway['handler'] = ({ body }, response) => {
  hold(response);
  if (body.stream !== true) return;
  startStream(response);
  response.write(chunk({ content: 'Wait' }));
};

const generate = (signal: AbortSignal, stream: boolean): Promise<unknown> =>
  fetch(`${agent.url}/generate`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ prompt: 'Hi', stream }),
    signal,
  }).then((response) => response.text());
const chat = { model: 'researcher', messages: [{ role: 'user' as const, content: 'Hi' }] };
const all = async (stream: Promise<AsyncIterable<unknown>>): Promise<unknown> => collect(await stream);

test.each<[string, (signal: AbortSignal) => Promise<unknown>]>([
  ['/generate', (signal) => generate(signal, false)],
  ['/generate, streamed', (signal) => generate(signal, true)],
  ['/v1/chat/completions', (signal) => openai.chat.completions.create(chat, { signal })],
  [
    '/v1/chat/completions, streamed',
    (signal) => all(openai.chat.completions.create({ ...chat, stream: true }, { signal })),
  ],
  ['/v1/responses', (signal) => openai.responses.create({ model: 'researcher', input: 'Hi' }, { signal })],
  [
    '/v1/responses, streamed',
    (signal) => all(openai.responses.create({ model: 'researcher', input: 'Hi', stream: true }, { signal })),
  ],
])('a client of %s that leaves', async (_door, ask) => {
  provider.handler = holding;
  const client = new AbortController();
  const asking = ask(client.signal).catch(() => undefined);
  await eventually(() => waiting === 1);
  client.abort();
  await asking;
  await eventually(() => left === 1);
});

test.each([
  ['the provider', holding],
  ['a tool', toolGateway({ model: [{ calls: [['wait', '{}']] }] })],
])('a task of A2A that is cancelled while it waits for %s', async (_what, handler) => {
  provider.handler = handler;
  const worker = await serveAgent({ gatewayUrl: bed.url, agent: { ...config, tools: true } }, deps);
  const client = await new ClientFactory().createFromUrl(worker.url);
  const message = { messageId: 'm1', role: 'ROLE_USER', parts: [{ text: 'Hi' }] };
  let id = '';
  const states: (TaskState | undefined)[] = [];
  const following = (async () => {
    for await (const { payload } of client.sendMessageStream(SendMessageRequest.fromJSON({ message }))) {
      if (payload?.$case === 'task') id = payload.value.id;
      if (payload?.$case === 'statusUpdate') states.push(payload.value.status?.state);
    }
  })();
  await eventually(() => waiting === 1);
  await client.cancelTask(CancelTaskRequest.fromJSON({ id }));
  await following;
  expect(states.at(-1)).toBe(TaskState.TASK_STATE_CANCELED);
  await eventually(() => left === 1);
  await worker.runtime.shutdown(0);
});

test('a step in a Job whose pod is told to stop', async () => {
  provider.handler = holding;
  const stepToken = mintStepToken(
    await bed.store.secret('step-token'),
    { ...step, job: 'researcher-1' },
    Date.now() + 60_000,
  );
  bed.tokens.set('token-job', {
    namespace: NAMESPACE,
    serviceAccount: 'agent-researcher',
    pod: 'researcher-1-x2x2x',
    uid: 'sa-1',
  });
  const payload = { run: step.run, step: step.step, attempt: step.attempt, prompt: 'Hi' };
  const work = { agent: { name: 'researcher', payload, stepToken } };
  const run = { uid: step.run, namespace: NAMESPACE, name: 'r' };
  const key = `${step.run}/${step.step}/${step.attempt}`;
  const job = { key, run, step: step.step, attempt: step.attempt, name: 'researcher-1', work };
  await bed.store.submitRun({
    uid: step.run,
    namespace: NAMESPACE,
    name: 'r',
    subject: 'w',
    workflow: { steps: [] },
    input: null,
  });
  await bed.store.append(step.run, 0, [{ at: 1, type: 'RunStarted', data: {} }], { jobs: [job] });
  const terminated = new AbortController();
  const ending = runStep(
    { agent: config, gatewayUrl: bed.url, stepToken },
    { token: () => Promise.resolve('token-job'), logger: pino({ level: 'silent' }), signal: terminated.signal },
  );
  await eventually(() => waiting === 1);
  terminated.abort();
  expect(await ending).toBe('unreported');
  await eventually(() => left === 1);
});
