// The Model Context Protocol's own suite, against the server by which clients reach Workflows. Of its scenarios for servers
// these apply: the others call tools of fixed names, or want sessions, resources, prompts, completions or logging, of which
// there are none.
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Workflow } from '@kadre/crds';
import { createServer, type Server } from '@kadre/server';
import { openSqliteStore, type Store } from '@kadre/store';
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import pino from 'pino';

const run = promisify(execFile);
const suite = join(import.meta.dirname, '../../node_modules/.bin/conformance');

let folder: string;
let store: Store;
let server: Server;
let url: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kadre-mcp-'));
  store = openSqliteStore(join(folder, 'store.db'));
  const report = {
    metadata: { name: 'report', namespace: 'team' },
    spec: { input: { schema: { type: 'object', properties: { topic: { type: 'string' } } } }, steps: [] },
  } as unknown as Workflow;
  const user = { username: 'suite', uid: '', groups: [], extra: {} };
  const mcp = {
    store,
    workflows: { list: () => [report] },
    agents: { list: () => [] },
    authenticate: () => Promise.resolve(user),
    mayCreateRuns: () => Promise.resolve(true),
  };
  const none = {
    get: () => undefined,
    read: () => Promise.resolve(undefined),
    start: () => Promise.reject(new Error('no Runs here')),
  };
  const logger = pino({ level: 'silent' });
  server = createServer({ triggers: none, secrets: none, runs: none, store, logger, mcp });
  // The suite has no token to show.
  server.app.addHook('onRequest', ({ headers }, _reply, proceed) => {
    headers.authorization ??= 'Bearer suite';
    proceed();
  });
  url = `${await server.listen({ host: '127.0.0.1', port: 0 })}/mcp/team`.replace('127.0.0.1', 'localhost');
});
afterAll(async () => {
  await server.close();
  await store.close();
  await rm(folder, { recursive: true, force: true });
});

test.each(['server-initialize', 'ping', 'tools-list', 'dns-rebinding-protection'])('%s', async (scenario) => {
  const { stdout, stderr } = await run(process.execPath, [suite, 'server', '--url', url, '--scenario', scenario]);
  expect(stdout + stderr).toMatch(/Passed: ([1-9]\d*)\/\1, 0 failed, 0 warnings/);
});
