import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { KubeConfig } from '@kubernetes/client-node';
import type { User } from '@kubernetes/client-node';
import { createKubeClient } from './client.ts';
import type { KubeClient } from './client.ts';
import { createCredentials, kubeconfigFile } from './credentials.ts';
import type { Credentials } from './credentials.ts';
import { FakeClock } from './fake-clock.ts';
import { createTransport } from './transport.ts';

let directory: string;
let server: Server;
let connections: number;
/** Authorization headers in the order in which they came. */
let seen: (string | undefined)[];
let accepted: string | undefined;
let clients: KubeClient[];

beforeEach(async () => {
  directory = mkdtempSync(path.join(tmpdir(), 'credentials-'));
  connections = 0;
  seen = [];
  accepted = undefined;
  clients = [];
  server = createServer((request, response) => {
    seen.push(request.headers.authorization);
    response.statusCode = accepted === undefined || request.headers.authorization === accepted ? 200 : 401;
    response.end('{"kind":"ConfigMap","metadata":{"name":"a"}}');
  });
  server.on('connection', () => connections++);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});
afterEach(async () => {
  await Promise.all(clients.map((each) => each.close()));
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  rmSync(directory, { recursive: true });
});

const url = () => `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

function configOf(user: Partial<User>, cluster: object = {}) {
  const config = new KubeConfig();
  config.loadFromClusterAndUser({ name: 'c', server: url(), skipTLSVerify: true, ...cluster }, { name: 'u', ...user });
  return config;
}

function clientFor(credentials: Credentials): KubeClient {
  const client = createKubeClient({ transport: createTransport({ credentials }) });
  clients.push(client);
  return client;
}

const get = (client: KubeClient) => client.get({ apiVersion: 'v1', kind: 'ConfigMap', namespace: 'n', name: 'a' });

test('requests one after the other share their connections', async () => {
  const client = clientFor(createCredentials({ load: () => configOf({}) }));
  for (let i = 0; i < 10; i++) await get(client);
  // The pool may open a second one while the first is just becoming free.
  expect(connections).toBeLessThanOrEqual(2);
});

test('a token that the kubelet has replaced is read again when the old one is refused', async () => {
  const tokenFile = path.join(directory, 'token');
  writeFileSync(tokenFile, 'old\n');
  const user = { authProvider: { name: 'tokenFile', config: { tokenFile } } } as Partial<User>;
  const client = clientFor(createCredentials({ load: () => configOf(user) }));
  await get(client);
  writeFileSync(tokenFile, 'new\n');
  accepted = 'Bearer new';
  await get(client);
  expect(seen).toEqual(['Bearer old', 'Bearer old', 'Bearer new']);
});

test('an exec plugin is run for a token, and not for each request', async () => {
  const plugin = path.join(directory, 'plugin');
  const credential = {
    apiVersion: 'client.authentication.k8s.io/v1',
    kind: 'ExecCredential',
    status: { token: 'from-plugin' },
  };
  writeFileSync(plugin, `#!/bin/sh\necho run >> '${directory}/runs'\necho '${JSON.stringify(credential)}'\n`);
  chmodSync(plugin, 0o755);
  const user = { exec: { apiVersion: credential.apiVersion, command: plugin } } as Partial<User>;
  const client = clientFor(createCredentials({ load: () => configOf(user) }));
  await get(client);
  await get(client);
  expect(seen).toEqual(['Bearer from-plugin', 'Bearer from-plugin']);
});

test('a user name and password are sent as such', async () => {
  await get(clientFor(createCredentials({ load: () => configOf({ username: 'me', password: 'secret' }) })));
  expect(seen).toEqual([`Basic ${Buffer.from('me:secret').toString('base64')}`]);
});

describe('certificates', () => {
  const encoded = (text: string) => Buffer.from(text).toString('base64');

  test('that stay the same keep the connections; others get connections of their own', async () => {
    const clock = new FakeClock();
    let ca = 'one';
    const load = () => configOf({}, { server: 'https://cluster.example', caData: encoded(ca) });
    const credentials = createCredentials({ load, clock });
    const first = await credentials.access();
    credentials.invalidate();
    expect((await credentials.access()).dispatcher).toBe(first.dispatcher);
    ca = 'two';
    credentials.invalidate();
    expect((await credentials.access()).dispatcher).not.toBe(first.dispatcher);
    await credentials.close();
  });

  test('in files are looked at again after a while', async () => {
    const clock = new FakeClock();
    const caFile = path.join(directory, 'ca.crt');
    writeFileSync(caFile, 'one');
    const load = () => configOf({}, { server: 'https://cluster.example', caFile });
    const credentials = createCredentials({ load, clock });
    const first = await credentials.access();
    writeFileSync(caFile, 'two');
    expect((await credentials.access()).dispatcher).toBe(first.dispatcher);
    await clock.advance(10_000);
    expect((await credentials.access()).dispatcher).not.toBe(first.dispatcher);
    await credentials.close();
  });
});

describe('bad configuration', () => {
  test('no current context: the error says what to do', async () => {
    const file = path.join(directory, 'config');
    writeFileSync(file, JSON.stringify({ clusters: [], users: [], contexts: [] }));
    await expect(get(clientFor(createCredentials(kubeconfigFile(file))))).rejects.toThrow('use-context');
  });

  test('a file that is not there now is read when it is', async () => {
    const file = path.join(directory, 'config');
    const client = clientFor(createCredentials(kubeconfigFile(file)));
    await expect(client.create({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'a' } })).rejects.toThrow(
      'ENOENT',
    );
    writeFileSync(file, configOf({ token: 't' }).exportConfig());
    await get(client);
    expect(seen).toEqual(['Bearer t']);
  });

  test('nothing is sent after the client was closed', async () => {
    const client = clientFor(createCredentials({ load: () => configOf({}) }));
    await client.close();
    await expect(client.create({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'a' } })).rejects.toThrow(
      'closed',
    );
  });
});
