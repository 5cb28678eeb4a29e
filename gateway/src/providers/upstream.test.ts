import { afterEach, describe, expect, test } from '@jest/globals';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fromTransport } from './failures.ts';
import { createUpstream } from './upstream.ts';

const limits = { answerBytes: 1000, silenceMs: 1000, allowLoopback: false };
let server: Server | undefined;
afterEach(() => {
  server?.close();
});

async function serve(): Promise<number> {
  server = createServer((_request, response) => response.end('hello')).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

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
    const error = await upstream.fetch(`http://${host}:${port}/`).catch((thrown: unknown) => thrown);
    expect(fromTransport(error)).toMatchObject({ fault: 'refused' });
    await upstream.close();
  });

  test('leads to this machine where that is allowed, by name and by address', async () => {
    const port = await serve();
    const upstream = createUpstream({ ...limits, allowLoopback: true });
    for (const host of ['127.0.0.1', 'localhost']) {
      expect(await (await upstream.fetch(`http://${host}:${port}/`)).text()).toBe('hello');
    }
    await upstream.close();
  });
});
