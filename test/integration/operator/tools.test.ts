// Tools in a real API server, asked by the operator at real servers.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { ToolStatus } from '@kadre/crds';
import { freePort } from '../../support/free-port.ts';
import { startEverything } from '../tools/mcp-servers.ts';
import { conditionOf, eventually, field, KADRE, startBed, startMs, type Bed, type Ref, type Seen } from './bed.ts';

const NAMESPACE = 'tools';
const TOKEN = 'token-that-nobody-may-see';

let bed: Bed;
let everything: Awaited<ReturnType<typeof startEverything>>;
/** Takes what it is asked, and never answers. */
let silent: Server;
/** Answers everything with a page. */
let webSite: Server;
/** A port where nobody listens. */
let nobody: number;
beforeAll(async () => {
  bed = await startBed();
  [everything, silent, webSite] = await Promise.all([
    startEverything(),
    listening(createServer(() => undefined)),
    listening(createServer((_request, response) => response.end('<html>Welcome</html>'))),
  ]);
  nobody = await freePort();
  await bed.namespace(NAMESPACE);
  await bed.startOperator();
}, startMs);
afterAll(async () => {
  for (const server of [silent, webSite]) {
    server.closeAllConnections();
    server.close();
  }
  await everything.stop();
  await bed.stop();
});

const listening = (server: Server): Promise<Server> =>
  new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(server)));
const urlOf = (server: Server) => `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`;
const ref = (kind: string, name: string): Ref => ({ apiVersion: KADRE, kind, name, namespace: NAMESPACE });
const apply = (kind: string, name: string, spec: object) =>
  bed.apply({ apiVersion: KADRE, kind, metadata: { name, namespace: NAMESPACE }, spec });
const tool = (name: string, spec: object) => apply('Tool', name, spec);
const statusOf = (object: Seen) => object['status'] as ToolStatus;
const auth = { secretRef: { name: 'server', key: 'token' } };

describe('a Tool', () => {
  test('that runs a Workflow is ready when that is there, and takes what the Workflow takes', async () => {
    await tool('report', { workflow: { name: 'report' } });
    const missing = await bed.condition(ref('Tool', 'report'), 'Stalled', 'True', 'InvalidSpec');
    expect(conditionOf(missing, 'Stalled')?.message).toContain('There is no Workflow report in namespace tools');
    const input = { schema: { type: 'object', properties: { topic: { type: 'string' } } } };
    await apply('Workflow', 'report', { input, steps: [{ name: 'say', value: '$(input.topic)' }] });
    await bed.condition(ref('Tool', 'report'), 'Ready', 'True');
    await apply('Workflow', 'report', { input: { schema: { type: 'array' } }, steps: [{ name: 'say', value: 1 }] });
    const wrong = await bed.condition(ref('Tool', 'report'), 'Stalled', 'True', 'InvalidSpec');
    expect(conditionOf(wrong, 'Stalled')?.message).toContain('the type of its input.schema is not "object"');
  }, 60_000);

  test('is ready when its server has said what it can do, as far as that is allowed', async () => {
    await tool('everything', { mcp: { url: everything.url }, allow: ['echo', 'get-s*'] });
    const status = statusOf(await bed.condition(ref('Tool', 'everything'), 'Ready', 'True'));
    expect(status.operations?.map(({ name }) => name)).toEqual(['echo', 'get-structured-content', 'get-sum']);
    expect(status.server).toMatch(/everything/);
    expect(Number.isNaN(Date.parse(status.checkedAt ?? ''))).toBe(false);
    await tool('everything', { mcp: { url: everything.url }, allow: ['echo'] });
    const narrower = await bed.condition(ref('Tool', 'everything'), 'Ready', 'True');
    expect(statusOf(narrower).operations).toHaveLength(1);
  });

  test('is ready without a server where it needs none', async () => {
    await tool('calculator', { builtin: { calculator: {} }, policy: { rules: [{ rule: 'size(args) < 3' }] } });
    await tool('orders', {
      openapi: {
        document: JSON.stringify({
          openapi: '3.1.0',
          info: { title: 'Orders', version: '1' },
          servers: [{ url: 'https://orders.example.com' }],
          paths: { '/orders': { get: { operationId: 'listOrders', summary: 'All orders.', responses: {} } } },
        }),
      },
    });
    await bed.condition(ref('Tool', 'calculator'), 'Ready', 'True');
    const { operations } = statusOf(await bed.condition(ref('Tool', 'orders'), 'Ready', 'True'));
    expect(operations).toEqual([{ name: 'listOrders', description: expect.stringContaining('All orders.') }]);
  });

  test.each<[string, () => object, string | RegExp, RegExp]>([
    [
      'whose server is gone',
      () => ({ mcp: { url: `http://127.0.0.1:${nobody}/mcp` } }),
      'Unreachable',
      /network policy/,
    ],
    ['whose server is none', () => ({ mcp: { url: urlOf(webSite) } }), /^(InvalidAnswer|Unreachable)$/, /./],
    ['at the metadata of a cloud', () => ({ mcp: { url: 'http://169.254.169.254/mcp' } }), 'Refused', /never called/],
    ['without its Secret', () => ({ mcp: { url: everything.url, auth } }), 'SecretNotFound', /no Secret server/],
    [
      'with a rule that is none',
      () => ({ builtin: { calculator: {} }, policy: { rules: [{ rule: 'argz.x > 1' }] } }),
      'InvalidPolicy',
      /Unknown variable: argz; there are: args/,
    ],
    ['with a document that is none', () => ({ openapi: { document: '[1, 2]' } }), 'InvalidDocument', /./],
    ['that allows nothing', () => ({ mcp: { url: everything.url }, allow: ['rm'] }), 'NoOperations', /There are: /],
  ])('%s says so', async (what, spec, reason, message) => {
    const name = what.toLowerCase().replaceAll(' ', '-');
    await tool(name, spec());
    const object = await bed.condition(ref('Tool', name), 'Ready', 'False');
    expect(conditionOf(object, 'Ready')?.reason).toMatch(reason);
    expect(conditionOf(object, 'Ready')?.message).toMatch(message);
  });

  test('whose status is written is not asked again for that, though each write is a change', async () => {
    let asked = 0;
    const document = JSON.stringify({
      openapi: '3.1.0',
      info: { title: 'Orders', version: '1' },
      servers: [{ url: 'https://orders.example.com' }],
      paths: { '/orders': { get: { operationId: 'listOrders', responses: {} } } },
    });
    const counting = await listening(
      createServer((_request, response) => {
        asked += 1;
        response.setHeader('content-type', 'application/json').end(document);
      }),
    );
    await tool('counted', { openapi: { url: urlOf(counting), baseUrl: 'https://orders.example.com' } });
    await bed.condition(ref('Tool', 'counted'), 'Ready', 'True');
    const first = asked;
    // Whatever had been put off by the write would have come before these.
    await tool('after', { builtin: { calculator: {} } });
    await bed.condition(ref('Tool', 'after'), 'Ready', 'True');
    expect([first, asked]).toEqual([1, 1]);
    counting.closeAllConnections();
    counting.close();
  });

  test('whose server Kadre runs gets what that takes, and loses it when it names an address instead', async () => {
    const child = (apiVersion: string, kind: string): Ref => ({
      apiVersion,
      kind,
      name: 'tool-crm',
      namespace: NAMESPACE,
    });
    const parts = [
      child('apps/v1', 'Deployment'),
      child('v1', 'Service'),
      child('networking.k8s.io/v1', 'NetworkPolicy'),
    ];
    await tool('crm', { mcp: { server: { image: 'crm:1' } } });
    // There is no node that could take its pods here.
    await bed.condition(ref('Tool', 'crm'), 'Ready', 'False', 'Unschedulable');
    const made = await Promise.all(parts.map((part) => bed.get(part)));
    expect(made.map((object) => field(object, 'metadata.ownerReferences.0.name'))).toEqual(['crm', 'crm', 'crm']);
    await bed.client.delete(parts[1] as Ref);
    await eventually('the Service again', async () => (await bed.get(parts[1] as Ref)) !== undefined);
    await tool('crm', { mcp: { url: everything.url } });
    await bed.condition(ref('Tool', 'crm'), 'Ready', 'True');
    await eventually('the server gone', async () =>
      (await Promise.all(parts.map((part) => bed.get(part)))).every((object) => object === undefined),
    );
  });

  test('that hangs keeps no other waiting', async () => {
    await Promise.all(
      Array.from({ length: 12 }, (_, index) => tool(`silent-${index}`, { mcp: { url: urlOf(silent) } })),
    );
    await tool('lively', { mcp: { url: everything.url } });
    await bed.condition(ref('Tool', 'lively'), 'Ready', 'True');
    expect(field(await bed.get(ref('Tool', 'silent-0')), 'status.checkedAt')).toBeUndefined();
    await bed.condition(ref('Tool', 'silent-0'), 'Ready', 'False', 'TimedOut');
  });

  test('shows nothing of its Secret', async () => {
    const secret = { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'shown', namespace: NAMESPACE } };
    await bed.apply({ ...secret, stringData: { token: TOKEN } });
    await tool('keyed', { mcp: { url: everything.url, auth: { secretRef: { name: 'shown', key: 'token' } } } });
    await bed.condition(ref('Tool', 'keyed'), 'Ready', 'True');
    await tool('keyed', { mcp: { url: urlOf(webSite), auth: { secretRef: { name: 'shown', key: 'token' } } } });
    await bed.condition(ref('Tool', 'keyed'), 'Ready', 'False');
    const events = await bed.list('events.k8s.io/v1', 'Event', NAMESPACE);
    expect(JSON.stringify([await bed.get(ref('Tool', 'keyed')), events])).not.toContain(TOKEN);
  });
});

describe('an Agent', () => {
  test('is stalled while one of its Tools is missing, and no longer', async () => {
    await apply('Model', 'echo', { provider: 'simulated' });
    await apply('Agent', 'clerk', { instructions: 'Help.', model: 'echo', tools: [{ name: 'late', allow: ['echo'] }] });
    const stalled = await bed.condition(ref('Agent', 'clerk'), 'Stalled', 'True', 'ToolNotFound');
    expect(conditionOf(stalled, 'ToolsReady')?.message).toMatch(/no Tool late in namespace tools. Create it/);
    await tool('late', { mcp: { url: everything.url } });
    await bed.condition(ref('Agent', 'clerk'), 'ToolsReady', 'True');
    await bed.condition(ref('Agent', 'clerk'), 'Ready', 'True');
  });

  test('does without a Tool that fails, and says why', async () => {
    await tool('broken', { mcp: { url: `http://127.0.0.1:${nobody}/mcp` } });
    await apply('Agent', 'patient', { instructions: 'Help.', model: 'echo', tools: [{ name: 'broken' }] });
    const agent = await bed.condition(ref('Agent', 'patient'), 'ToolsReady', 'False', 'Unreachable');
    expect(conditionOf(agent, 'ToolsReady')?.message).toMatch(/the agent does without it/);
    await bed.condition(ref('Agent', 'patient'), 'Ready', 'True');
  });
});
