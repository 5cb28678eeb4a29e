import { afterEach, expect, test } from '@jest/globals';
import type { Agent, Workflow } from '@kadre/crds';
import type { RunRequest, RunRequestRecord } from '@kadre/store';
import pino from 'pino';
import type { ServerOptions } from '../options.ts';
import { createServer, type Server } from '../server.ts';
import type { McpOptions } from './options.ts';

let server: Server | undefined;
afterEach(async () => {
  // The client keeps its connections open for a while.
  server?.app.server.closeAllConnections();
  await server?.close();
});

const named = (name: string, spec: object = {}) =>
  ({ metadata: { name, namespace: 'team' }, spec }) as unknown as Workflow & Agent;
const ada = { username: 'ada', uid: '', groups: [], extra: {} };
const none = {
  get: () => undefined,
  read: () => Promise.resolve(undefined),
  start: () => Promise.reject(new Error('no Runs here')),
};

async function bed(mcp: Partial<McpOptions> = {}, more: Partial<ServerOptions> = {}) {
  const asked = new Map<string, RunRequestRecord>();
  const cancelled: string[] = [];
  const store: McpOptions['store'] = {
    requestRun: (request: RunRequest) => {
      const record = asked.get(request.key) ?? { ...request, state: 'asked', cancelled: false };
      asked.set(request.key, record as RunRequestRecord);
      return Promise.resolve(record as RunRequestRecord);
    },
    runRequest: (key) => Promise.resolve(asked.get(key)),
    cancelRunRequest: (key) => Promise.resolve(void cancelled.push(key)),
    projection: () => Promise.resolve(undefined),
    subscribe: () => () => undefined,
  };
  const offered: McpOptions = {
    store,
    workflows: {
      list: () => [named('report'), named('list', { input: { schema: { type: 'array' } } })],
    },
    agents: { list: () => [named('clerk')] },
    authenticate: () => Promise.resolve(ada),
    mayCreateRuns: () => Promise.resolve(true),
    ...mcp,
  };
  const logger = pino({ level: 'silent' });
  const shared = { triggers: none, secrets: none, runs: none, store: { publishEvent: () => Promise.resolve(true) } };
  server = createServer({ ...shared, logger, mcp: offered, ...more });
  const url = await server.listen({ host: '127.0.0.1', port: 0 });
  const ask = async (method: string, params: object = {}, signal?: AbortSignal) => {
    const response = await fetch(`${url}/mcp/team`, {
      method: 'POST',
      headers: {
        ...{ authorization: 'Bearer t', 'content-type': 'application/json' },
        accept: 'application/json, text/event-stream',
      },
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
      signal: signal ?? null,
    });
    return { status: response.status, text: await response.text() };
  };
  return { ask, asked, cancelled };
}
const call = (name: string, args: object = {}, key?: string) => ({
  ...{ name, arguments: args },
  ...(key !== undefined && { _meta: { 'kadre.dev/idempotency-key': key } }),
});

test('what takes no object is no tool, and an agent takes a prompt', async () => {
  const { ask, asked } = await bed();
  const { text } = await ask('tools/list');
  expect(text).toContain('agent_clerk');
  expect(text).toContain('workflow_report');
  expect(text).not.toContain('workflow_list');
  expect((await ask('tools/call', call('agent_clerk', { prompt: 7 }))).text).toContain('prompt must be a text');
  expect(asked.size).toBe(0);
});

test('long lists come in pages', async () => {
  const many = Array.from({ length: 51 }, (_, at) => named(`w${String(at).padStart(2, '0')}`));
  const { ask } = await bed({ workflows: { list: () => many }, agents: { list: () => [] } });
  const first = await ask('tools/list');
  expect(first.text).toContain('"nextCursor":"workflow_w49"');
  expect(first.text).not.toContain('workflow_w50');
  expect((await ask('tools/list', { cursor: 'workflow_w49' })).text).toMatch(
    /"tools":\[\{"name":"workflow_w50"[^[]*\]/,
  );
});

test('the API server is asked once for a while, and an answer that cannot be had is no answer', async () => {
  let times = 0;
  const { ask } = await bed({
    authenticate: () => (times++ === 0 ? Promise.reject(new Error('away')) : Promise.resolve(ada)),
  });
  expect(await ask('tools/list')).toMatchObject({ status: 503 });
  expect(await ask('tools/list')).toMatchObject({ status: 200 });
  expect(await ask('tools/list')).toMatchObject({ status: 200 });
  expect(times).toBe(2);
});

test('before all is read, nobody is answered', async () => {
  const { ask } = await bed({}, { ready: () => false });
  expect(await ask('tools/list')).toMatchObject({ status: 503 });
});

test('one user waits for sixteen calls at once, and cancels them by hanging up', async () => {
  const { ask, asked, cancelled } = await bed();
  const leave = new AbortController();
  const waiting = Array.from({ length: 16 }, () => ask('tools/call', call('workflow_report'), leave.signal));
  const lost = Promise.allSettled(waiting);
  while (asked.size < 16) await new Promise(setImmediate);
  expect(await ask('tools/list')).toMatchObject({ status: 429 });
  leave.abort();
  await lost;
  while (cancelled.length < 16) await new Promise(setImmediate);
  expect(new Set(cancelled)).toEqual(new Set(asked.keys()));
});

test('a name of a call stands for one call', async () => {
  const { ask, asked, cancelled } = await bed();
  const leave = new AbortController();
  const lost = ask('tools/call', call('workflow_report', { a: 1 }, 'k'), leave.signal).catch(() => undefined);
  while (asked.size < 1) await new Promise(setImmediate);
  expect((await ask('tools/call', call('workflow_report', { a: 2 }, 'k'))).text).toContain('choose another');
  expect((await ask('tools/call', call('workflow_report', { a: 1 }, ''))).text).toContain('must be a text of 1 to 256');
  leave.abort();
  await lost;
  expect(asked.size).toBe(1);
  expect(cancelled).toEqual([]);
});

test('calls beyond 120 in a minute, and those that the store cannot take, are told so', async () => {
  const { ask } = await bed({}, { clock: { now: () => 1 } });
  for (let calls = 0; calls < 120; calls += 1) await ask('tools/call', call('agent_clerk'));
  expect((await ask('tools/call', call('agent_clerk'))).text).toContain('Too many calls in this minute');
  server?.app.server.closeAllConnections();
  await server?.close();
  const store = { requestRun: () => Promise.reject(new Error('secret host')) } as unknown as McpOptions['store'];
  const broken = await bed({ store: { ...store, cancelRunRequest: () => Promise.resolve() } });
  const { text } = await broken.ask('tools/call', call('workflow_report'));
  expect(text).toContain('cannot be reached just now');
  expect(text).not.toContain('secret host');
});
