import type { ToolSpec } from '@kadre/crds';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { faultOf, json, makeBed, makeTool, startServer, tokenRef, type Bed, type TestServer } from '../testing/bed.ts';

let bed: Bed;
let server: TestServer;
beforeEach(async () => {
  bed = makeBed();
  server = await startServer();
});
afterEach(async () => {
  await bed.toolbox.close();
  await server.close();
});

type HttpSpec = NonNullable<ToolSpec['http']>;
const endpoint = (path: string, http: Partial<HttpSpec> = {}, spec: Partial<ToolSpec> = {}) =>
  makeTool({
    description: 'Does it.',
    http: { method: 'GET', url: server.url + path, input: { schema: { type: 'object' } }, ...http },
    ...spec,
  });
const failing = (promise: Promise<unknown>) => promise.then(() => 'went well', faultOf);

test('an endpoint is described by its Tool', async () => {
  const schema = { type: 'object', properties: { id: { type: 'string' } } };
  const output = { schema: { type: 'array' } };
  expect(await bed.describe(endpoint('/', { input: { schema }, output }))).toEqual({
    operations: [{ description: 'Does it.', inputSchema: schema, outputSchema: { type: 'array' } }],
  });
});

describe('a request', () => {
  test('has arguments in its path and its query', async () => {
    const args = { id: 'a b/c?d#e', q: 'x&y=z', tags: ['one', 'two'], filter: { a: 1 }, none: null };
    await bed.call(endpoint('/users/{id}/posts', {}), args);
    expect(server.received[0]).toMatchObject({ method: 'GET', body: '' });
    expect(server.received[0]?.url).toBe(
      '/users/a%20b%2Fc%3Fd%23e/posts?q=x%26y%3Dz&tags=one&tags=two&filter=%7B%22a%22%3A1%7D',
    );
  });

  test.each(['POST', 'PUT', 'PATCH'] as const)('with %s has the others as JSON', async (method) => {
    await bed.call(endpoint('/users/{id}', { method }), { id: 7, name: 'Ada', nested: { deep: [1] } });
    expect(server.received[0]).toMatchObject({ method, url: '/users/7' });
    expect(JSON.parse(server.received[0]?.body ?? '')).toEqual({ name: 'Ada', nested: { deep: [1] } });
    expect(server.received[0]?.headers['content-type']).toBe('application/json');
  });

  test('bears what the Tool and the caller put on it, and the key that makes it safe to repeat', async () => {
    const tool = endpoint('/', {
      headers: [{ name: 'X-Team', value: 'blue' }],
      auth: { scheme: 'bearer', secretRef: tokenRef },
    });
    await bed.call(tool, {}, { headers: { traceparent: '00-1-2-01' }, idempotencyKey: 'once' });
    expect(server.received[0]?.headers).toMatchObject({
      'x-team': 'blue',
      authorization: 'Bearer s3cr3t-token',
      traceparent: '00-1-2-01',
      'idempotency-key': 'once',
    });
  });

  test.each([
    ['basic', undefined, 'authorization', `Basic ${Buffer.from('ada:pass word').toString('base64')}`],
    ['header', 'X-Api-Key', 'x-api-key', 'ada:pass word'],
  ] as const)('is signed in by %s', async (scheme, header, name, value) => {
    bed.secrets.set('keys/token', 'ada:pass word\n');
    await bed.call(endpoint('/', { auth: { scheme, secretRef: tokenRef, ...(header ? { header } : {}) } }));
    expect(server.received[0]?.headers[name]).toBe(value);
  });

  test.each(['..', '.', '../admin', 'a/../../b', '..\\x', '', 'a\nb', { a: 1 }, ['x'], null, '\ud800'])(
    'does not leave its path by the argument %j',
    async (id) => {
      const answer = await bed.call(endpoint('/users/{id}'), { id });
      expect(answer).toMatchObject({
        isError: true,
        content: [{ text: expect.stringMatching(/^id stands in the address/) }],
      });
      expect(server.received).toEqual([]);
    },
  );

  test.each(['%2e%2e', '@evil.example', '//evil.example', ':8080', '#', '?x=1'])(
    'goes where it should with the argument %j',
    async (id) => {
      await bed.call(endpoint('/users/{id}/x'), { id });
      const url = new URL(server.received[0]?.url ?? '', server.url);
      expect(decodeURIComponent(url.pathname)).toBe(`/users/${id}/x`);
    },
  );
});

describe('an answer', () => {
  test('of JSON is text and structured', async () => {
    server.answer = json({ n: 1 });
    expect(await bed.call(endpoint('/'))).toEqual({
      content: [{ type: 'text', text: '{"n":1}' }],
      structured: { n: 1 },
      isError: false,
    });
  });

  test.each([
    ['text/plain; charset=latin1', Buffer.from([0xe9]), 'é'],
    ['text/html', Buffer.from('<p>hi'), '<p>hi'],
    ['application/atom+xml', Buffer.from('<feed/>'), '<feed/>'],
    ['text/plain; charset=klingon', Buffer.from('hi'), 'hi'],
    ['text/plain', Buffer.from([0xff, 0x41]), '\ufffdA'],
    ['', Buffer.from('bare'), 'bare'],
    ['text/plain', Buffer.alloc(0), 'Done. The answer is empty.'],
  ])('of %j is text', async (type, body, text) => {
    server.answer = (response) => response.writeHead(200, type === '' ? {} : { 'content-type': type }).end(body);
    expect(await bed.call(endpoint('/'))).toEqual({ content: [{ type: 'text', text }], isError: false });
  });

  test('may be an image', async () => {
    server.answer = (response) => response.writeHead(200, { 'content-type': 'image/png' }).end(Buffer.from('png'));
    expect((await bed.call(endpoint('/'))).content).toEqual([{ type: 'image', data: 'cG5n', mediaType: 'image/png' }]);
  });

  test.each([400, 403, 404, 409, 422])('of status %d is for the model to read', async (status) => {
    server.answer = json({ error: 'because' }, status);
    expect(await bed.call(endpoint('/'))).toEqual({
      content: [{ type: 'text', text: `HTTP ${status}: {"error":"because"}` }],
      isError: true,
    });
  });

  test('that is a long error is cut', async () => {
    server.answer = json('x'.repeat(100_000), 400);
    const { content } = await bed.call(endpoint('/'));
    expect(content[0]?.type === 'text' && content[0].text.length).toBeLessThan(2100);
  });

  test.each([
    [401, { fault: 'unauthorized', retry: false, sent: false }],
    [429, { fault: 'rateLimited', retry: true, sent: false }],
    [500, { fault: 'status', retry: false, sent: true }],
    [503, { fault: 'status', retry: true, sent: true }],
    [302, { fault: 'misconfigured', retry: false, sent: true }],
  ])('of status %d is an error', async (status, fault) => {
    server.answer = (response) => response.writeHead(status, { location: 'http://169.254.169.254/' }).end();
    expect(await failing(bed.call(endpoint('/')))).toEqual(fault);
    expect(server.received).toHaveLength(1);
  });

  test.each([
    ['2', 2000],
    ['Sat, 21 Nov 2026 09:01:00 GMT', 60_000],
    ['soon', undefined],
    ['999999999', 86_400_000],
  ])('that says to come back after %j', async (value, retryAfterMs) => {
    server.answer = (response) => response.writeHead(429, { 'retry-after': value }).end();
    await expect(bed.call(endpoint('/'))).rejects.toMatchObject({ fault: 'rateLimited', retryAfterMs });
  });
});

describe('a server that', () => {
  const small = (timeout?: string) => endpoint('/', {}, { maxResultBytes: 1024, ...(timeout ? { timeout } : {}) });

  test.each<[string, TestServer['answer'], object]>([
    ['sends more than is taken', (response) => response.end('x'.repeat(1025)), { fault: 'tooLarge', sent: true }],
    [
      'sends without end',
      (response) => {
        const more = () => {
          while (!response.destroyed && response.write('x'.repeat(65536)));
        };
        response.on('drain', more);
        more();
      },
      { fault: 'tooLarge', sent: true },
    ],
    ['breaks off', (response) => response.socket?.destroy(), { fault: 'unreachable', sent: true, retry: true }],
    [
      'breaks off in the middle',
      (response) => {
        response.writeHead(200, { 'content-length': 100 }).write('half', () => response.socket?.destroy());
      },
      { fault: 'unreachable', sent: true, retry: true },
    ],
    ['speaks rubbish', (response) => response.socket?.end('rubbish\r\n\r\n'), { fault: 'malformed', sent: true }],
    [
      'says JSON and means something else',
      (response) => response.writeHead(200, { 'content-type': 'application/json' }).end('<html>'),
      { fault: 'malformed' },
    ],
    [
      'sends what nobody can read',
      (response) => response.writeHead(200, { 'content-type': 'application/pdf' }).end('%PDF'),
      { fault: 'malformed' },
    ],
    [
      'sends a bomb',
      (response) => response.writeHead(200, { 'content-encoding': 'gzip' }).end('x'),
      { fault: 'malformed' },
    ],
    [
      'has headers without end',
      (response) => response.writeHead(200, { x: 'y'.repeat(200_000) }).end(),
      { fault: 'malformed' },
    ],
  ])('%s is an error', async (_what, answer, fault) => {
    server.answer = answer;
    await expect(bed.call(small())).rejects.toMatchObject({ name: 'ToolError', ...fault });
  });

  test.each<[string, TestServer['answer']]>([
    ['never answers', () => undefined],
    ['never ends', (response) => void response.write('x')],
  ])('%s is left at the timeout of the Tool', async (_what, answer) => {
    server.answer = answer;
    const fault = { fault: 'timeout', message: 'There was no answer within 0.05 s.', sent: true, retry: true };
    await expect(bed.call(small('50ms'))).rejects.toMatchObject(fault);
  });

  test('is not there is an error after which nothing was done', async () => {
    const tool = endpoint('/');
    await server.close();
    expect(await failing(bed.call(tool))).toEqual({ fault: 'unreachable', retry: true, sent: false });
    server = await startServer();
  });

  test('repeats the secret is not believed', async () => {
    const auth = { scheme: 'basic', secretRef: tokenRef } as const;
    bed.secrets.set('keys/token', 'ada:pa"ssword');
    const encoded = Buffer.from('ada:pa"ssword').toString('base64');
    server.answer = json({ said: `ada:pa"ssword ${encoded}`, 'pa"ssword': ['pa"ssword'] });
    const answer = await bed.call(endpoint('/', { auth }));
    expect(JSON.stringify(answer)).not.toMatch(/ssword|YWRhOn/);
    expect(answer.structured).toEqual({ said: '[redacted] [redacted]', '[redacted]': ['[redacted]'] });
    server.answer = (response) => response.writeHead(500).end(`bad ${encoded}`);
    await expect(bed.call(endpoint('/', { auth }))).rejects.toMatchObject({ message: 'HTTP 500: bad [redacted]' });
  });
});

test('the caller may end a call, and the server notices', async () => {
  const caller = new AbortController();
  const gone = new Promise<void>((resolve) => {
    server.answer = (response) => {
      response.on('close', resolve);
      caller.abort(new Error('enough'));
    };
  });
  await expect(bed.call(endpoint('/'), {}, { signal: caller.signal })).rejects.toThrow('enough');
  await gone;
});

test.each([
  ['that is not there', undefined, /There is no Secret keys with the key token/],
  ['that is empty', ' \n', /The key token of the Secret keys is empty/],
  ['that would smuggle a header', 'a\r\nx: y', /no header may have/],
])('a secret %s is told', async (_what, value, message) => {
  if (value === undefined) bed.secrets.clear();
  else bed.secrets.set('keys/token', value);
  const tool = endpoint('/', { auth: { scheme: 'bearer', secretRef: tokenRef } });
  await expect(bed.call(tool)).rejects.toMatchObject({
    fault: 'misconfigured',
    message: expect.stringMatching(message),
  });
  expect(server.received).toEqual([]);
});

test.each(['127.0.0.1', 'localhost', '0x7f.1', '2130706433', '017700000001', '[::1]', '[::ffff:7f00:1]', '[::]', '0'])(
  'nobody is sent to this machine by the name of %s',
  async (host) => {
    const guarded = makeBed({});
    const tool = endpoint('/', { url: `http://${host}:${server.port}/` });
    expect(await failing(guarded.call(tool))).toEqual({ fault: 'refused', retry: false, sent: false });
    expect(server.received).toEqual([]);
    await guarded.toolbox.close();
  },
);
