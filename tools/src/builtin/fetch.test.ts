import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { ToolSpec } from '@kadre/crds';
import { json, makeBed, makeTool, startServer, type Bed, type TestServer } from '../testing/bed.ts';
import { permits } from './hosts.ts';

type HttpPart = NonNullable<NonNullable<ToolSpec['builtin']>['http']>;

let bed: Bed;
let server: TestServer;
let other: TestServer;
beforeEach(async () => {
  bed = makeBed();
  [server, other] = await Promise.all([startServer(), startServer()]);
});
afterEach(() => Promise.all([bed.toolbox.close(), server.close(), other.close()]));

const fetcher = (http: Partial<HttpPart> = {}) =>
  makeTool({ builtin: { http: { hosts: [`127.0.0.1:${server.port}`], methods: ['GET'], ...http } } });
const told = (text: string | RegExp) => ({
  isError: true,
  content: [{ type: 'text', text: typeof text === 'string' ? text : expect.stringMatching(text) }],
});
const redirect =
  (location: string, status = 302): TestServer['answer'] =>
  (response, { url }) => {
    if (url === '/start') response.writeHead(status, { location }).end();
    else json({ at: url })(response, { method: '', url, headers: {}, body: '' });
  };

describe('among the hosts', () => {
  test.each<[string[], string, string | undefined]>([
    [['api.example.com'], 'https://api.example.com/x', 'administrator'],
    [['api.example.com'], 'http://API.example.com./x', 'administrator'],
    [['api.example.com'], 'https://api.example.com:8443/', undefined],
    [['api.example.com:443'], 'https://api.example.com/', 'administrator'],
    [['api.example.com:443'], 'http://api.example.com/', undefined],
    [['api.example.com:8443'], 'https://api.example.com:8443/', 'administrator'],
    [['*.example.com'], 'https://api.example.com/', 'stranger'],
    [['*.example.com'], 'https://a.b.example.com/', 'stranger'],
    [['*.example.com'], 'https://example.com/', undefined],
    [['*.example.com'], 'https://evilexample.com/', undefined],
    [['*.example.com'], 'https://.example.com/', undefined],
    [['*.example.com', 'db.example.com'], 'http://db.example.com/', 'administrator'],
    [['example.com'], 'https://example.com.evil.org/', undefined],
    [['example.com'], 'https://example.com@evil.org/', undefined],
    [['example.com'], 'https://evil.org/example.com', undefined],
    [['example.com'], 'https://evil.org#example.com', undefined],
    [['example.com'], 'https://xn--exmple-cua.com/', undefined],
    [['10.0.0.5'], 'http://167772165/', 'administrator'],
    [['10.0.0.5'], 'http://10.0.0.50/', undefined],
  ])('%j, %s is called as the address of: %s', (hosts, url, writtenBy) => {
    expect(permits(hosts, new URL(url))).toBe(writtenBy);
  });
});

test('fetches, and sends only what may be sent', async () => {
  const tool = fetcher({ methods: ['GET', 'POST'] });
  expect((await bed.describe(tool)).operations[0]).toMatchObject({
    description: expect.stringMatching(/Fetches from 127\.0\.0\.1:\d+ over HTTP \(GET, POST\)/),
    inputSchema: { properties: { method: { enum: ['GET', 'POST'] } }, required: ['url'] },
  });
  const body = { url: `${server.url}/a?b=1`, method: 'POST', body: 'hi', contentType: 'text/plain' };
  expect(await bed.call(tool, body)).toMatchObject({ isError: false, structured: { ok: true } });
  expect(server.received[0]).toMatchObject({
    method: 'POST',
    url: '/a?b=1',
    body: 'hi',
    headers: { 'content-type': 'text/plain', 'idempotency-key': 'key-1' },
  });
});

describe('turned down is', () => {
  test.each<[string, Record<string, unknown>, RegExp]>([
    ['another host', { url: 'https://evil.example/' }, /^evil\.example is not among the hosts that may be called/],
    ['metadata', { url: 'http://169.254.169.254/latest/meta-data/' }, /is not among the hosts/],
    ['a password in the address', { url: 'http://ada:pw@127.0.0.1/' }, /user name or a password/],
    ['a file', { url: 'file:///etc/passwd' }, /Only http and https/],
    ['what is no address', { url: 'nowhere' }, /not an address/],
    ['a zone', { url: 'http://[fe80::1%25eth0]/' }, /not an address/],
    ['another method', { url: 'http://127.0.0.1/', method: 'DELETE' }, /argument method does not fit/],
    ['a body that nobody reads', { url: 'http://127.0.0.1/', body: 'x' }, /GET sends no body/],
    [
      'a content type that is a header',
      { url: 'http://127.0.0.1/', contentType: 'a/b\r\nx: y' },
      /contentType does not fit/,
    ],
    ['a header', { url: 'http://127.0.0.1/', headers: { host: 'x' } }, /does not fit/],
    ['no address', {}, /argument url does not fit/],
  ])('%s', async (_what, args, message) => {
    expect(await bed.call(fetcher(), args)).toEqual(told(message));
    expect(server.received).toEqual([]);
  });

  test.each(['127.0.0.1', 'localhost', '[::1]'])('this machine, listed or not, as %s', async (host) => {
    const guarded = makeBed({});
    const hosts = [`${host}:${server.port}`];
    const call = guarded.call(fetcher({ hosts }), { url: `http://${host}:${server.port}/` });
    await expect(call).rejects.toMatchObject({ fault: 'refused', sent: false });
    await guarded.toolbox.close();
  });

  test.each(['10.0.0.1', '192.168.1.1', '[fd12::1]'])(
    'a private address that a wildcard might let in: %s',
    (address) => {
      expect(permits(['*.example.com', '*.0.0.1'], new URL(`http://${address}/`))).not.toBe('administrator');
    },
  );
});

describe('a redirect', () => {
  test('is followed to where it may', async () => {
    server.answer = redirect('/end');
    const answer = await bed.call(fetcher(), { url: `${server.url}/start` });
    expect(answer).toMatchObject({ isError: false, structured: { at: '/end' } });
  });

  test.each<[string, () => string, RegExp]>([
    ['another host', () => 'http://evil.example/', /^It redirects to evil\.example, and that is not among the hosts/],
    ['another port', () => `${other.url}/`, /^It redirects to 127\.0\.0\.1:\d+, and that is not among/],
    ['metadata', () => 'http://169.254.169.254/', /is not among/],
    ['a password', () => `http://ada:pw@127.0.0.1:${server.port}/`, /user name or a password/],
    ['a file', () => 'file:///etc/passwd', /Only http and https/],
    ['nowhere', () => 'http://', /what is not an address/],
  ])('to %s is not followed', async (_what, target, message) => {
    server.answer = redirect(target());
    expect(await bed.call(fetcher(), { url: `${server.url}/start` })).toEqual(told(message));
    expect(server.received).toHaveLength(1);
    expect(other.received).toEqual([]);
  });

  test('without end ends', async () => {
    server.answer = (response) => response.writeHead(302, { location: '/start' }).end();
    expect(await bed.call(fetcher(), { url: `${server.url}/start` })).toEqual(told('It redirects more than 5 times.'));
    expect(server.received).toHaveLength(6);
  });

  test.each([
    [301, 'GET', ''],
    [302, 'GET', ''],
    [303, 'GET', ''],
    [307, 'POST', 'hi'],
    [308, 'POST', 'hi'],
  ])('with %d turns a POST into %s', async (status, method, body) => {
    server.answer = redirect('/end', status);
    await bed.call(fetcher({ methods: ['POST', 'GET'] }), { url: `${server.url}/start`, method: 'POST', body: 'hi' });
    expect(server.received[1]).toMatchObject({ method, body });
  });

  test('does not lead to a method that may not be used', async () => {
    server.answer = redirect('/end', 303);
    const answer = await bed.call(fetcher({ methods: ['POST'] }), {
      url: `${server.url}/start`,
      method: 'POST',
      body: 'hi',
    });
    expect(answer).toEqual(told(/redirects to a GET request, which is not among/));
    expect(server.received).toHaveLength(1);
  });
});
