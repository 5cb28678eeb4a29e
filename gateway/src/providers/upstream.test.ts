import { afterEach, describe, expect, test } from '@jest/globals';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fromTransport } from './failures.ts';
import { createUpstream } from './upstream.ts';

const limits = { answerBytes: 1000, imageBytes: 1000, silenceMs: 1000, allowLoopback: false };
let server: Server | undefined;
afterEach(() => {
  server?.close();
});

async function serve(): Promise<number> {
  server = createServer((_request, response) => response.end('hello')).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

const to = (url: string) => ({ url: new URL(url), headers: {}, signal: new AbortController().signal });

describe('the way out', () => {
  test.each([
    '127.0.0.1',
    '0x7f.1',
    '[::1]',
    '[::ffff:127.0.0.1]',
    '0.0.0.0',
    'localhost',
    '169.254.169.254',
    '[fe80::1]',
  ])('does not lead to %s', async (host) => {
    const port = await serve();
    const upstream = createUpstream(limits);
    for (const way of [upstream.send, upstream.fetchPublic]) {
      const error = await way(to(`http://${host}:${port}/`)).catch((thrown: unknown) => thrown);
      expect(fromTransport(error)).toMatchObject({ fault: 'refused' });
    }
    await upstream.close();
  });

  test('leads to this machine where that is allowed, by name and by address', async () => {
    const port = await serve();
    const upstream = createUpstream({ ...limits, allowLoopback: true });
    for (const host of ['127.0.0.1', 'localhost']) {
      const { body } = await upstream.send(to(`http://${host}:${port}/`));
      expect(await body.text()).toBe('hello');
    }
    await upstream.close();
  });

  test.each([
    '10.1.2.3',
    '172.20.0.1',
    '192.168.1.1',
    '100.64.0.1',
    '[fd12::1]',
    '[64:ff9b::a00:1]',
    '[::ffff:10.0.0.1]',
    '224.0.0.1',
  ])('does not lead from a conversation to %s, where models may be', async (host) => {
    const upstream = createUpstream({ ...limits, allowLoopback: true });
    const error = await upstream.fetchPublic(to(`http://${host}/`)).catch((thrown: unknown) => thrown);
    expect(fromTransport(error)).toMatchObject({ fault: 'refused' });
    await upstream.close();
  });
});
