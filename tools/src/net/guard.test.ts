import { afterEach, beforeEach, expect, test } from '@jest/globals';
import type { LookupAddress } from 'node:dns';
import { Agent } from 'undici';
import { startServer, type TestServer } from '../testing/bed.ts';
import { closedTo, type WrittenBy } from './addresses.ts';
import { guardedConnector, NotConnectedError } from './guard.ts';

let server: TestServer;
let agent: Agent | undefined;
beforeEach(async () => {
  server = await startServer();
});
afterEach(async () => {
  await agent?.destroy();
  agent = undefined;
  await server.close();
});

/** A name server that says one thing after the other. */
function names(...answers: string[][]) {
  let asked = 0;
  return {
    asked: () => asked,
    lookup: (_host: string, _options: object, callback: (error: null, found: LookupAddress[]) => void) => {
      const answer = answers[Math.min(asked++, answers.length - 1)] ?? [];
      callback(
        null,
        answer.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
      );
    },
  };
}

async function get(
  lookup: ReturnType<typeof names>['lookup'],
  allowLoopback: boolean,
  writtenBy: WrittenBy = 'stranger',
) {
  agent ??= new Agent({
    connect: guardedConnector({ closed: closedTo(writtenBy, allowLoopback), connectMs: 1000, allowH2: false, lookup }),
    allowH2: false,
  });
  const { body, headers } = await agent.request({
    origin: `http://name.example:${server.port}`,
    path: '/',
    method: 'GET',
    headers: { connection: 'close' },
  });
  await body.dump();
  return headers;
}

const refused = { name: 'NotConnectedError', cause: { name: 'AddressRefusedError' } };

test('a name that leads somewhere open once is looked up and judged again for the next connection', async () => {
  const dns = names(['127.0.0.1'], ['169.254.169.254']);
  await get(dns.lookup, true);
  await expect(get(dns.lookup, true)).rejects.toMatchObject(refused);
  expect([dns.asked(), server.received.length]).toEqual([2, 1]);
});

test.each([
  ['one closed address among open ones', ['93.184.216.34', '127.0.0.1']],
  ['an IPv4 address in the clothes of IPv6', ['::ffff:127.0.0.1']],
  ['a link-local address with a zone', ['fe80::1%eth0']],
  ['a private address', ['10.1.2.3']],
  ['NAT64 of a private address', ['64:ff9b::a01:203']],
  ['what is no address', ['example']],
])('a name that leads to %s is not called', async (_what, answer) => {
  await expect(get(names(answer).lookup, false)).rejects.toMatchObject(refused);
  expect(server.received).toEqual([]);
});

test('a name that leads nowhere is no refusal', async () => {
  const error = await get(names([]).lookup, false).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(NotConnectedError);
  expect(error).not.toMatchObject(refused);
});
