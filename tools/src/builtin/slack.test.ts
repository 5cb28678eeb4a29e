import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { json, makeBed, makeTool, startServer, tokenRef, type Bed, type TestServer } from '../testing/bed.ts';

let bed: Bed;
let server: TestServer;
beforeEach(async () => {
  bed = makeBed();
  server = await startServer(json({ ok: true, channel: 'C1', ts: '1700000000.000100' }));
});
afterEach(() => Promise.all([bed.toolbox.close(), server.close()]));

const slack = () =>
  makeTool({
    builtin: { slack: { auth: { secretRef: tokenRef }, channels: ['#alerts', 'C042'], apiUrl: `${server.url}/api` } },
  });

test('posts to a channel that is named, under one and the same id however often', async () => {
  expect((await bed.describe(slack())).operations[0]?.description).toBe('Posts a message to Slack: #alerts, C042.');
  const args = { channel: 'alerts', text: 'Hello <!channel>', threadTs: '1.2' };
  for (const idempotencyKey of ['one', 'one', 'two']) {
    expect(await bed.call(slack(), args, { idempotencyKey })).toMatchObject({
      isError: false,
      structured: { channel: 'C1', ts: '1700000000.000100' },
    });
  }
  const sent = server.received.map(({ body }) => JSON.parse(body) as Record<string, unknown>);
  expect(sent[0]).toMatchObject({ channel: '#alerts', text: 'Hello <!channel>', thread_ts: '1.2' });
  expect(server.received[0]).toMatchObject({
    url: '/api/chat.postMessage',
    headers: { authorization: 'Bearer s3cr3t-token' },
  });
  expect(sent[0]?.['client_msg_id']).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
  expect(sent[1]).toEqual(sent[0]);
  expect(sent[2]?.['client_msg_id']).not.toBe(sent[0]?.['client_msg_id']);
});

test.each([
  [{ channel: 'general', text: 'x' }, 'There are only these channels: #alerts, C042.'],
  [{ channel: 'alerts' }, expect.stringMatching(/argument text does not fit/)],
  [{ channel: 'alerts', text: 'x', threadTs: 'y' }, expect.stringMatching(/threadTs does not fit/)],
  [{ channel: 'alerts', text: 'x', blocks: [] }, expect.stringMatching(/does not fit/)],
])('%j is not sent', async (args, text) => {
  expect(await bed.call(slack(), args)).toEqual({ isError: true, content: [{ type: 'text', text }] });
  expect(server.received).toEqual([]);
});

describe('an answer of Slack that says', () => {
  const post = () => bed.call(slack(), { channel: 'C042', text: 'x' });

  test('what the model did wrong is told', async () => {
    server.answer = json({ ok: false, error: 'msg_too_long' });
    expect(await post()).toMatchObject({
      isError: true,
      content: [{ text: 'Slack refuses the message: msg_too_long.' }],
    });
  });

  test.each<[string, TestServer['answer'], object]>([
    ['that the token is bad', json({ ok: false, error: 'invalid_auth' }), { fault: 'unauthorized', retry: false }],
    [
      'to come back later',
      (response) => response.writeHead(429, { 'retry-after': '30' }).end(),
      { fault: 'rateLimited', retry: true, retryAfterMs: 30_000 },
    ],
    ['to come back later, in words', json({ ok: false, error: 'ratelimited' }), { fault: 'rateLimited', retry: true }],
    ['nothing of Slack', json({ hello: 1 }), { fault: 'malformed' }],
    ['nothing at all', (response) => response.writeHead(503).end(), { fault: 'status', retry: true }],
  ])('%s is an error', async (_what, answer, fault) => {
    server.answer = answer;
    await expect(post()).rejects.toMatchObject(fault);
  });
});
