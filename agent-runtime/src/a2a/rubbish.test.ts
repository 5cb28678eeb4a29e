import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { post, serveAgent, startGateway, type ServedAgent, type TestGateway } from '../testing/harness.ts';

type Json = Record<string, unknown>;

describe('rubbish at the A2A endpoint', () => {
  let gateway: TestGateway;
  let agent: ServedAgent;
  beforeAll(async () => {
    gateway = await startGateway();
    agent = await serveAgent({ gatewayUrl: gateway.url });
  });
  afterAll(async () => {
    expect(gateway.requests).toHaveLength(0);
    await agent.runtime.shutdown(0);
    await gateway.close();
  });

  const send = (body: unknown, headers: Record<string, string> = { 'A2A-Version': '1.0' }) =>
    post(`${agent.url}/a2a`, body, headers);
  const call = (method: string, params?: unknown) => ({ jsonrpc: '2.0', id: 7, method, params });
  const message = (more: Json) => ({ message: { messageId: 'm', role: 'ROLE_USER', parts: [{ text: 'x' }], ...more } });

  test.each<[string, unknown, number, number | null]>([
    ['broken JSON', '{"jsonrpc":', -32700, null],
    ['nothing', '', -32700, null],
    ['a number', 7, -32600, null],
    ['a batch', [call('GetTask')], -32600, null],
    ['another version of JSON-RPC', { ...call('GetTask'), jsonrpc: '1.0' }, -32600, 7],
    ['no id', { jsonrpc: '2.0', method: 'GetTask' }, -32600, null],
    ['no method', { jsonrpc: '2.0', id: 7 }, -32600, 7],
    ['an unknown method', call('message/send', message({})), -32601, 7],
    ['a method that objects have', call('constructor'), -32601, 7],
    ['no parameters', call('SendMessage'), -32602, 7],
    ['no message', call('SendMessage', {}), -32602, 7],
    ['no parts', call('SendMessage', message({ parts: [] })), -32602, 7],
    ['a part that is empty', call('SendMessage', message({ parts: [{}] })), -32602, 7],
    ['a part of two kinds', call('SendMessage', message({ parts: [{ text: 'x', data: 1 }] })), -32602, 7],
    ['empty text', call('SendMessage', message({ parts: [{ text: '' }] })), -32602, 7],
    ['a message of an agent', call('SendMessage', message({ role: 'ROLE_AGENT' })), -32602, 7],
    ['an id that is no string', call('SendMessage', message({ messageId: 5 })), -32602, 7],
    [
      'a step token that is no string',
      call('SendMessage', message({ metadata: { 'kadre.dev/step-token': 5 } })),
      -32602,
      7,
    ],
    ['a file', call('SendMessage', message({ parts: [{ url: 'https://example.com/a.pdf' }] })), -32005, 7],
    [
      'a request for push notifications',
      call('SendMessage', { ...message({}), configuration: { taskPushNotificationConfig: { url: 'http://x' } } }),
      -32003,
      7,
    ],
    ['a push notification method', call('CreateTaskPushNotificationConfig', {}), -32003, 7],
    ['the extended card', call('GetExtendedAgentCard'), -32004, 7],
    ['a task without an id', call('GetTask', {}), -32602, 7],
    ['an unknown task', call('SubscribeToTask', { id: 'x' }), -32001, 7],
    ['a page of no size', call('ListTasks', { pageSize: 0 }), -32602, 7],
    ['a made-up page token', call('ListTasks', { pageToken: '../etc' }), -32602, 7],
  ])('%s gets its error', async (_name, body, code, id) => {
    expect(await send(body)).toMatchObject({ status: 200, body: { jsonrpc: '2.0', id, error: { code } } });
  });

  test.each([
    ['missing', {}, /A2A 0\.3/],
    ['empty', { 'A2A-Version': '' }, /A2A 0\.3/],
    ['older', { 'A2A-Version': '0.3' }, /A2A 0\.3/],
    ['newer', { 'A2A-Version': '2.0' }, /A2A 2\.0/],
  ])('a version that is %s is not supported', async (_name, headers, sentence) => {
    const { body } = await send(call('ListTasks'), headers);
    expect(body).toMatchObject({
      id: 7,
      error: {
        code: -32009,
        message: expect.stringMatching(sentence),
        data: [{ reason: 'VERSION_NOT_SUPPORTED', domain: 'a2a-protocol.org' }],
      },
    });
  });

  test('the version may have a patch number or come as a query parameter', async () => {
    expect((await send(call('ListTasks'), { 'A2A-Version': '1.0.1' })).body).toHaveProperty('result');
    expect((await post(`${agent.url}/a2a?A2A-Version=1.0`, call('ListTasks'))).body).toHaveProperty('result');
  });

  test('another content type and too large a body are refused as JSON-RPC', async () => {
    expect(await send('<x/>', { 'content-type': 'text/xml' })).toMatchObject({
      status: 415,
      body: { error: { code: -32600 } },
    });
    expect(await send('x'.repeat(5_000_000))).toMatchObject({ status: 413, body: { error: { code: -32600 } } });
  });
});
