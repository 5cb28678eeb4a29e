// `kadre mcp`, started by official clients of both eras, as desktop programs start it.
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { Client as ModernClient } from '@modelcontextprotocol/client';
import { StdioClientTransport as ModernTransport } from '@modelcontextprotocol/client/stdio';
import { Client as OldClient } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport as OldTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { join } from 'node:path';
import { eventually } from '../../support/kubectl.ts';
import { Laptop, ROOT, simulated } from './kadre.ts';

const offer = 'labels: {kadre.dev/offer: mcp}';
const manifests = `${simulated.replace('{name: writer}', `{name: writer, ${offer}}`)}---
apiVersion: kadre.dev/v1alpha1
kind: Workflow
metadata: {name: report, ${offer}}
spec:
  input: {schema: {type: object, properties: {topic: {type: string}}, required: [topic]}}
  steps: [{name: about, value: {about: $(input.topic)}}]
---
apiVersion: kadre.dev/v1alpha1
kind: Workflow
metadata: {name: slow, ${offer}}
spec: {steps: [{name: wait, wait: {for: 1h}}]}
---
apiVersion: kadre.dev/v1alpha1
kind: Workflow
metadata: {name: secret}
spec: {steps: [{name: a, value: 1}]}
`;

type AnyClient = ModernClient | OldClient;
let laptop: Laptop;
beforeEach(async () => {
  laptop = await Laptop.open();
});
afterEach(() => laptop.close());

async function settings() {
  return {
    command: process.execPath,
    args: [join(ROOT, 'cli/src/main.ts'), 'mcp', '-f', await laptop.manifests(manifests)],
    env: { PATH: process.env['PATH'] ?? '', HOME: laptop.folder, KADRE_STORE: laptop.history },
    stderr: 'ignore' as const,
  };
}
const info = { name: 'test', version: '1' };
async function modern(): Promise<AnyClient> {
  const client = new ModernClient(info, { versionNegotiation: { mode: 'auto' } });
  await client.connect(new ModernTransport(await settings()));
  laptop.closing(() => client.close());
  return client;
}
async function old(): Promise<AnyClient> {
  const client = new OldClient(info);
  await client.connect(new OldTransport(await settings()));
  laptop.closing(() => client.close());
  return client;
}

interface Shown {
  name: string;
  phase?: string;
}
const runs = async (): Promise<Shown[]> =>
  JSON.parse((await laptop.kadre(['runs', '--output', 'json'])).stdout) as Shown[];

describe.each([
  ['of 2026', modern],
  ['of 2025', old],
])('a client %s', (_, open) => {
  test('runs what is offered, as kadre run would', async () => {
    const client = await open();
    const { tools } = await client.listTools();
    expect(tools.map(({ name }) => name)).toEqual(['agent_writer', 'workflow_report', 'workflow_slow']);
    expect(await client.callTool({ name: 'workflow_report', arguments: { topic: 'tea' } })).toMatchObject({
      structuredContent: { about: 'tea' },
    });
    expect(await client.callTool({ name: 'agent_writer', arguments: { prompt: '--help' } })).toMatchObject({
      content: [{ type: 'text', text: 'Reply to --help' }],
    });
    expect(await client.callTool({ name: 'workflow_report', arguments: { topic: 7 } })).toMatchObject({
      isError: true,
      content: [{ text: expect.stringMatching(/topic/) }],
    });
    expect((await runs()).map(({ phase }) => phase)).toEqual(['Succeeded', 'Succeeded']);
  });
});

test('a client that leaves cancels what it has asked for', async () => {
  const client = await modern();
  const lost = client.callTool({ name: 'workflow_slow' }).catch(() => undefined);
  await eventually('a run', async () => (await runs()).length === 1, 40);
  await client.close();
  await lost;
  await eventually('it is cancelled', async () => (await runs())[0]?.phase === 'Cancelled', 40);
});

test.each([
  ['nothing is offered', simulated, [], /nothing is offered in namespace default: .*kadre.dev\/offer: mcp/],
  ['manifests would come by standard input', manifests, ['-f', '-'], /standard input is the client/],
])('it refuses when %s', async (_, text, more, message) => {
  const { status, stderr, stdout } = await laptop.kadre(['mcp', '-f', await laptop.manifests(text), ...more]);
  expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
  expect(stderr).toMatch(message);
});
