import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { A2A_PATH, STEP_PATH } from '@kadre/crds';
import { pino } from 'pino';
import { runStep } from '../step/step.ts';
import { post, say, sendJson, serveAgent, startGateway, testAgent, type TestGateway } from '../testing/harness.ts';

const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
const message = { messageId: 'm1', role: 'ROLE_USER', parts: [{ text: 'hi' }] };

let gateway: TestGateway;
beforeEach(async () => (gateway = await startGateway()));
afterEach(async () => gateway.close());

const passedOn = (): (string | undefined)[] =>
  gateway.requests
    .filter(({ path }) => path === '/v1/chat/completions')
    .map(({ headers }) => headers['traceparent'] as string | undefined);

describe('the traceparent of a request', () => {
  test.each([
    ['/generate', { prompt: 'hi' }],
    ['/generate', { prompt: 'hi', stream: true }],
    ['/ask', {}],
    ['/v1/chat/completions', { model: 'greeter', messages: [{ role: 'user', content: 'hi' }] }],
    ['/v1/chat/completions', { model: 'greeter', messages: [{ role: 'user', content: 'hi' }], stream: true }],
    [A2A_PATH, { jsonrpc: '2.0', id: 1, method: 'SendMessage', params: { message } }],
  ])('to %s goes on with the call of the model, and its trace id into the log', async (path, body) => {
    const agent = testAgent({ endpoints: [{ path: '/ask', prompt: 'hi' }] });
    const { url, runtime, log } = await serveAgent({ agent, gatewayUrl: gateway.url });
    const response = await fetch(`${url}${path}`, {
      method: 'POST',
      body: JSON.stringify(body),
      headers: { 'content-type': 'application/json', 'a2a-version': '1.0', traceparent },
    });
    await response.text();
    await runtime.shutdown(1000);
    expect(passedOn()).toEqual([traceparent]);
    expect(log.find((line) => line.includes('"traceId":"0af7651916cd43dd8448eb211c80319c"'))).toBeDefined();
  });

  test.each([
    ['nonsense', 'nonsense'],
    ['baggage of any kind', `${traceparent}-and-more`],
  ])('that is %s goes nowhere', async (_, header) => {
    const { url, runtime } = await serveAgent({ gatewayUrl: gateway.url });
    await post(`${url}/generate`, { prompt: 'hi' }, { traceparent: header, tracestate: 'a=b', baggage: 'user=1' });
    await runtime.shutdown(1000);
    expect(passedOn()).toEqual([undefined]);
    expect(gateway.requests.at(-1)?.headers).not.toHaveProperty('baggage');
    expect(gateway.requests.at(-1)?.headers).not.toHaveProperty('tracestate');
  });
});

test.each([
  ['goes on with the call of the model', traceparent, traceparent],
  ['is ignored if it is none', 'nonsense', undefined],
  ['need not be there', undefined, undefined],
])('the traceparent of a step in a Job %s', async (_, given, expected) => {
  const asked = { run: 'u1', step: 'one', attempt: 1, prompt: 'hi', traceparent: given };
  gateway.handler = (request, response) => {
    if (request.path === STEP_PATH) sendJson(response, 200, asked);
    else if (request.path.startsWith(STEP_PATH)) sendJson(response, 200, {});
    else void say('ok')(request, response);
  };
  const end = await runStep(
    { agent: testAgent(), gatewayUrl: gateway.url, stepToken: 'step' },
    { token: () => Promise.resolve('pod'), logger: pino({ level: 'silent' }), signal: new AbortController().signal },
  );
  expect(end).toBe('reported');
  expect(passedOn()).toEqual([expected]);
});
