// Kadre as an MCP server: official clients of both eras, a real API server that says who they are and what they may, the
// operator that makes their Runs, and the engine that carries them out.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { labels, MCP_AUDIENCE } from '@kadre/crds';
import { startEngine, type Engine } from '@kadre/engine';
import { createMcpSources, type McpSources } from '@kadre/operator';
import { createServer, type Server } from '@kadre/server';
import { Client as ModernClient, StreamableHTTPClientTransport as ModernTransport } from '@modelcontextprotocol/client';
import { Client as OldClient } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport as OldTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import pino from 'pino';
import { eventually, field, KADRE, startBed, startMs, type Bed, type Seen } from '../operator/bed.ts';

const NAMESPACE = 'team';
const USER = `system:serviceaccount:${NAMESPACE}:desk`;

let bed: Bed;
let sources: McpSources;
let server: Server;
let engine: Engine;
let stop: AbortController;
let url: string;

beforeAll(async () => {
  bed = await startBed();
  await bed.namespace(NAMESPACE);
  await bed.namespace('others');
  const core = { apiVersion: 'v1', kind: 'ServiceAccount' };
  for (const name of ['desk', 'stranger']) await bed.apply({ ...core, metadata: { name, namespace: NAMESPACE } });
  const rbac = { apiVersion: 'rbac.authorization.k8s.io/v1', metadata: { name: 'desk', namespace: NAMESPACE } };
  const rules = [{ apiGroups: ['kadre.dev'], resources: ['runs'], verbs: ['create'] }];
  await bed.apply({ ...rbac, kind: 'Role', rules });
  const subjects = [{ kind: 'ServiceAccount', name: 'desk', namespace: NAMESPACE }];
  const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'desk' };
  await bed.apply({ ...rbac, kind: 'RoleBinding', roleRef, subjects });
  const schema = { type: 'object', properties: { topic: { type: 'string' } }, required: ['topic'] };
  const say = (name: string, value: unknown) => ({ name, value });
  await workflow('report', {
    input: { schema },
    steps: [say('a', 1), say('b', { about: '$(input.topic)', by: '$(run.name != "")' })],
  });
  await workflow('text', { steps: [say('a', 'Hello')] });
  await workflow('fails', { steps: [{ name: 'no', fail: 'No such topic.' }] });
  await workflow('slow', { steps: [say('a', 1), { name: 'wait', wait: { event: { name: 'go' } } }] });
  await workflow('secret', { steps: [say('a', 1)] }, {});
  sources = createMcpSources({ client: bed.client, instance: 'test' });
  await sources.start();
  await bed.startOperator();
  stop = new AbortController();
  const logger = pino({ level: 'silent' });
  engine = await startEngine({
    ...{ store: bed.store, logger, signal: stop.signal, limits: { poll: 50 } },
    agents: { resolve: () => ({ found: false, serving: false }) },
    gateway: () => Promise.reject(new Error('no gateway here')),
  });
  server = serve();
  url = await server.listen({ host: '127.0.0.1', port: 0 });
}, startMs);
afterAll(async () => {
  await server.close();
  stop.abort();
  await engine.stopped;
  await sources.stop();
  await bed.stop();
});

function serve(): Server {
  const none = {
    get: () => undefined,
    read: () => Promise.resolve(undefined),
    start: () => Promise.reject(new Error('no Runs')),
  };
  const { store } = bed;
  const shared = { store, logger: pino({ level: 'silent' }), mcp: { ...sources.mcp, store } };
  return createServer({ triggers: none, secrets: none, runs: none, ...shared });
}

const workflow = (name: string, spec: object, offered: Record<string, string> = { [labels.offer]: 'mcp' }) =>
  bed.apply({ apiVersion: KADRE, kind: 'Workflow', metadata: { name, namespace: NAMESPACE, labels: offered }, spec });

async function tokenOf(account: string, audience: string = MCP_AUDIENCE): Promise<string> {
  const path = `/api/v1/namespaces/${NAMESPACE}/serviceaccounts/${account}/token`;
  const body = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: { audiences: [audience] } };
  const answer = await bed.controlPlane.api.call('POST', path, body);
  return field(answer.body as Seen, 'status.token') as string;
}

const info = { name: 'test', version: '1' };
const headersOf = (token: string) => ({ requestInit: { headers: { authorization: `Bearer ${token}` } } });
const place = (namespace = NAMESPACE, at = url) => new URL(`${at}/mcp/${namespace}`);

async function modern(at?: string): Promise<ModernClient> {
  const client = new ModernClient(info, { versionNegotiation: { mode: 'auto' } });
  await client.connect(new ModernTransport(place(NAMESPACE, at), headersOf(await tokenOf('desk'))));
  return client;
}
async function old(at?: string): Promise<OldClient> {
  const client = new OldClient(info);
  // Its types do not know exactOptionalPropertyTypes.
  await client.connect(new OldTransport(place(NAMESPACE, at), headersOf(await tokenOf('desk'))));
  return client;
}
type AnyClient = ModernClient | OldClient;
interface Answer {
  isError?: boolean;
  content: { text: string }[];
}
/** The old one takes its options in another place. */
function callWith(client: AnyClient, call: { name: string }, options: object): Promise<Answer> {
  const answer =
    client instanceof OldClient ? client.callTool(call, undefined, options) : client.callTool(call, options);
  return answer as Promise<Answer>;
}
const runsOf = async (name: string): Promise<Seen[]> =>
  (await bed.list(KADRE, 'Run', NAMESPACE)).filter((run) => field(run, 'spec.workflow.name') === name);

const slowRuns = async () => new Set((await runsOf('slow')).map(({ metadata }) => metadata.name));
const slowRunBut = async (known: Set<string>) =>
  (await runsOf('slow')).find(({ metadata }) => !known.has(metadata.name));

describe.each<[string, (at?: string) => Promise<AnyClient>]>([
  ['of 2026', modern],
  ['of 2025', old],
])('a client %s', (_, open) => {
  test('sees what is offered, and nothing else', async () => {
    const client = await open();
    const { tools } = await client.listTools();
    expect(tools.map(({ name }) => name)).toEqual([
      'workflow_fails',
      'workflow_report',
      'workflow_slow',
      'workflow_text',
    ]);
    expect(tools[1]?.inputSchema).toMatchObject({ required: ['topic'] });
    await client.close();
  }, 15_000);

  test('runs a Workflow, as the one who it is, and gets its output', async () => {
    const client = await open();
    const before = (await runsOf('report')).length;
    const result = await client.callTool({ name: 'workflow_report', arguments: { topic: 'Kadre' } });
    expect(result).toMatchObject({ structuredContent: { about: 'Kadre', by: true } });
    const runs = await runsOf('report');
    expect(runs).toHaveLength(before + 1);
    expect(field(runs[0], 'spec.requestedBy')).toBe(USER);
    expect(await client.callTool({ name: 'workflow_text' })).toMatchObject({
      content: [{ type: 'text', text: 'Hello' }],
    });
    await client.close();
  }, 15_000);

  test.each([
    ['a Run that fails', { name: 'workflow_fails' }, /failed \(Refused\): .*No such topic/],
    ['arguments that do not fit', { name: 'workflow_report', arguments: { topic: 7 } }, /failed \(InvalidInput\)/],
    ['what is not offered', { name: 'workflow_secret' }, /Nothing called workflow_secret is offered/],
  ])(
    'is told of %s',
    async (__, call, message) => {
      const client = await open();
      const result = (await client.callTool(call)) as Answer;
      expect(result.isError).toBe(true);
      expect(result.content[0]?.text).toMatch(message);
      await client.close();
    },
    60_000,
  );

  test('that names its call runs it once, and may come back for it', async () => {
    const client = await open();
    const call = { name: 'workflow_slow', _meta: { 'kadre.dev/idempotency-key': `k-${_}` } };
    const known = await slowRuns();
    const gone = new AbortController();
    const lost = callWith(client, call, { signal: gone.signal }).catch(() => undefined);
    const uid = await eventually('a Run', () => slowRunBut(known).then((run) => run?.metadata.uid));
    gone.abort();
    await lost;
    await client.close();
    const again = await open();
    const coming = again.callTool(call);
    await eventually('it waits', async () => (await bed.store.projection(uid))?.status.phase === 'Waiting');
    await bed.store.publishEvent({
      id: `go-${_}`,
      namespace: NAMESPACE,
      name: 'go',
      payload: { on: true },
      at: Date.now(),
    });
    expect(await coming).toMatchObject({ structuredContent: { on: true } });
    expect((await slowRuns()).size).toBe(known.size + 1);
    await again.close();
  }, 15_000);

  test('hears how far the Run is, and cancels it by letting go', async () => {
    const client = await open();
    const known = await slowRuns();
    const gone = new AbortController();
    const heard: unknown[] = [];
    const options = { signal: gone.signal, onprogress: (progress: unknown) => void heard.push(progress) };
    const lost = callWith(client, { name: 'workflow_slow' }, options).catch(() => undefined);
    await eventually('1/2', () => Promise.resolve(JSON.stringify(heard).includes('1/2')));
    expect(heard.at(-1)).toMatchObject({ progress: 1, total: 2 });
    gone.abort();
    await client.close();
    await lost;
    await eventually('it is cancelled', async () => field(await slowRunBut(known), 'status.phase') === 'Cancelled');
  }, 15_000);

  test('is told when the server stops, which waits for no Run', async () => {
    const stopping = serve();
    const client = await open(await stopping.listen({ host: '127.0.0.1', port: 0 }));
    const known = await slowRuns();
    const calling = client.callTool({ name: 'workflow_slow' }).then(
      () => 'answered',
      (error: unknown) => String(error),
    );
    await eventually('a Run', () => slowRunBut(known));
    await stopping.close();
    expect(await calling).toMatch(/The server stops: call again/);
    await client.close();
    await eventually('it is cancelled', async () => field(await slowRunBut(known), 'status.phase') === 'Cancelled');
  }, 15_000);
});

describe('whoever asks', () => {
  const ping = { jsonrpc: '2.0', id: 1, method: 'tools/list', params: {} };
  const ask = async (headers: Record<string, string>, { namespace = NAMESPACE, method = 'POST' } = {}) => {
    const response = await fetch(place(namespace), {
      method,
      headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream', ...headers },
      ...(method === 'POST' && { body: JSON.stringify(ping) }),
    });
    return { status: response.status, text: await response.text() };
  };
  const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

  test.each<[string, () => Promise<Record<string, string>>, object, number, RegExp]>([
    ['no token', () => Promise.resolve({}), {}, 401, /Show a token/],
    ['rubbish', () => Promise.resolve(bearer('rubbish')), {}, 401, /not valid here/],
    [
      'a token for somebody else',
      async () => bearer(await tokenOf('desk', 'kadre-gateway')),
      {},
      401,
      /not valid here/,
    ],
    [
      'no right',
      async () => bearer(await tokenOf('stranger')),
      {},
      403,
      /stranger may not create Runs in namespace team/,
    ],
    [
      'a right elsewhere',
      async () => bearer(await tokenOf('desk')),
      { namespace: 'others' },
      403,
      /in namespace others/,
    ],
    [
      'a page of another site',
      async () => ({ ...bearer(await tokenOf('desk')), origin: 'https://evil.example' }),
      {},
      403,
      /other sites/,
    ],
    ['the right', async () => bearer(await tokenOf('desk')), {}, 200, /workflow_report/],
    ['a session', async () => bearer(await tokenOf('desk')), { method: 'GET' }, 405, /not allowed/],
    ['a session to end', async () => bearer(await tokenOf('desk')), { method: 'DELETE' }, 405, /not allowed/],
    ['a session without a token', () => Promise.resolve({}), { method: 'DELETE' }, 401, /Show a token/],
  ])('with %s is answered so', async (_, headers, where, status, said) => {
    const answer = await ask(await headers(), where);
    expect(answer).toMatchObject({ status });
    expect(answer.text).toMatch(said);
  });
});
