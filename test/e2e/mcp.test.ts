// Kadre as an MCP server on a real cluster: an official client, through the Service, with a token of the API server's, to a
// Run that an agent answers on a real pod.
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { labels, MCP_AUDIENCE } from '@kadre/crds';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { SYSTEM_NAMESPACE } from '../support/install.ts';
import { kubectlFor, type Kubectl } from '../support/kubectl.ts';
import { example, kubeconfig, makeNamespace, ready, removeNamespace } from '../support/namespace.ts';

const NAMESPACE = 'kadre-e2e-mcp';
let kubectl: Kubectl;
let server: { url: string; stop: () => void };
beforeAll(async () => {
  kubectl = await makeNamespace(NAMESPACE);
  await kubectl.apply(await example('models/simulated'));
  const spec = { description: 'Answers.', model: 'assistant', instructions: 'Answer.', serving: {} };
  const metadata = { name: 'clerk', labels: { [labels.offer]: 'mcp' } };
  await kubectl.apply(JSON.stringify({ apiVersion: 'kadre.dev/v1alpha1', kind: 'Agent', metadata, spec }));
  for (const account of ['desk', 'stranger']) await kubectl.run(['create', 'serviceaccount', account]);
  await kubectl.run(['create', 'role', 'desk', '--verb=create', '--resource=runs.kadre.dev']);
  await kubectl.run(['create', 'rolebinding', 'desk', '--role=desk', `--serviceaccount=${NAMESPACE}:desk`]);
  await ready(kubectl, 'agent', 'clerk');
  server = await kubectlFor(kubeconfig(), SYSTEM_NAMESPACE).portForward('service/kadre-server', 80);
}, 600_000);
afterAll(async () => {
  server.stop();
  await removeNamespace(kubectl);
});

async function connect(account: string, audience: string): Promise<Client> {
  const token = (await kubectl.run(['create', 'token', account, '--audience', audience])).trim();
  const client = new Client({ name: 'desk', version: '1' }, { versionNegotiation: { mode: 'auto' } });
  const requestInit = { headers: { authorization: `Bearer ${token}` } };
  await client.connect(new StreamableHTTPClientTransport(new URL(`${server.url}/mcp/${NAMESPACE}`), { requestInit }));
  return client;
}

test('whoever may create Runs asks an agent, and the Run is theirs', async () => {
  const client = await connect('desk', MCP_AUDIENCE);
  expect((await client.listTools()).tools.map(({ name }) => name)).toEqual(['agent_clerk']);
  const { content, isError } = await client.callTool({ name: 'agent_clerk', arguments: { prompt: 'Hello' } });
  expect(isError ?? false).toBe(false);
  expect(content).toEqual([{ type: 'text', text: expect.stringContaining('Hello') }]);
  const runs = JSON.parse(await kubectl.run(['get', 'runs', '-o', 'json'])) as { items: { spec: object }[] };
  expect(runs.items.map(({ spec }) => spec)).toMatchObject([
    { agent: { name: 'clerk' }, requestedBy: `system:serviceaccount:${NAMESPACE}:desk` },
  ]);
  await client.close();
}, 120_000);

test.each([
  ['may create none', 'stranger', MCP_AUDIENCE],
  ['shows a token that is meant for somebody else', 'desk', 'kadre-gateway'],
])('whoever %s gets nothing', async (_who, account, audience) => {
  await expect(connect(account, audience)).rejects.toThrow();
});
