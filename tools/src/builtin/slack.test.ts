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

test('posts to a channel that is named', async () => {
  expect((await bed.describe(slack())).operations[0]?.description).toBe('Posts a message to Slack: #alerts, C042.');
  expect(await bed.call(slack(), { channel: 'alerts', text: 'Hello', threadTs: '1.2' })).toMatchObject({
    isError: false,
    structured: { channel: 'C1', ts: '1700000000.000100' },
  });
  expect(server.received[0]).toMatchObject({
    url: '/api/chat.postMessage',
    headers: { authorization: 'Bearer s3cr3t-token' },
  });
  expect(JSON.parse(server.received[0]?.body ?? '')).toEqual({
    channel: '#alerts',
    text: 'Hello',
    thread_ts: '1.2',
    unfurl_links: false,
  });
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
