// Tools on real pods: an agent of the examples computes, in a Job and behind a Service; and rules hold it.
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { parseAllDocuments } from 'yaml';
import { eventually, type Kubectl } from '../support/kubectl.ts';
import {
  conditionOf,
  createRun,
  example,
  finished,
  makeNamespace,
  ready,
  removeNamespace,
} from '../support/namespace.ts';

const QUESTION = 'What is 2394.50 with VAT of 8.1%?';

let kubectl: Kubectl;
beforeAll(async () => {
  kubectl = await makeNamespace('kadre-e2e-tools');
  await kubectl.apply(await example('tools/calculator'));
  await ready(kubectl, 'tool', 'calculator');
  await ready(kubectl, 'agent', 'bookkeeper');
}, 600_000);
afterAll(() => removeNamespace(kubectl));

/** The Tool of the example with other fields of spec. */
const calculator = async (fields: object): Promise<void> => {
  const [tool] = parseAllDocuments(await example('tools/calculator')).map((one) => one.toJS() as { spec: object });
  await kubectl.apply(JSON.stringify({ ...tool, spec: { ...tool?.spec, ...fields } }));
};

const ask = async () => {
  const run = await createRun(kubectl, 'vat-', { agent: { name: 'bookkeeper', prompt: QUESTION } });
  const { phase, output } = (await finished(kubectl, run))['status'] as { phase: string; output?: string };
  return { phase, output };
};

test('an agent computes with its tool in a Job', async () => {
  expect(await ask()).toEqual({ phase: 'Succeeded', output: 'It comes to 2588.45.' });
}, 300_000);

test('a rule that forbids the call holds it from then on, and the agent is told', async () => {
  await calculator({ policy: { rules: [{ rule: 'size(args.expression) < 20', message: 'Keep it short' }] } });
  await ready(kubectl, 'tool', 'calculator');
  await eventually('the refusal', async () => (await ask()).output === 'It comes to Error: Keep it short.');
  await calculator({ policy: { rules: [{ rule: 'size(arg.expression) < 20' }] } });
  await eventually('the status of a wrong rule', async () => {
    const condition = conditionOf(await kubectl.get('tool', 'calculator'), 'Ready');
    return condition?.reason === 'InvalidPolicy' && condition.message.includes('Unknown variable: arg');
  });
  await kubectl.run(['delete', 'tool', 'calculator']);
  await eventually('the agent that misses it', async () => {
    const agent = await kubectl.get('agent', 'bookkeeper');
    return conditionOf(agent, 'ToolsReady')?.reason === 'ToolNotFound';
  });
  await calculator({});
  await ready(kubectl, 'agent', 'bookkeeper');
}, 300_000);

/** A server of the protocol of 2025, in the words of the wire: the image has Node and nothing else. */
const greeter = `
const tool = { name: 'greet', description: 'Greets.', inputSchema: { type: 'object', properties: { name: { type: 'string' } } } };
const answers = {
  initialize: ({ protocolVersion }) => ({ protocolVersion, capabilities: { tools: {} }, serverInfo: { name: 'greeter', version: '1' } }),
  'tools/list': () => ({ tools: [tool] }),
  'tools/call': ({ arguments: { name } }) => ({ content: [{ type: 'text', text: process.env.GREETING + ', ' + name }] }),
};
require('http').createServer(async (request, response) => {
  let text = '';
  for await (const chunk of request) text += chunk;
  if (request.method !== 'POST') return response.writeHead(405).end();
  const { id, method, params } = JSON.parse(text);
  if (id === undefined) return response.writeHead(202).end();
  const answer = answers[method];
  const body = answer ? { result: answer(params) } : { error: { code: -32601, message: 'unknown' } };
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ jsonrpc: '2.0', id, ...body }));
}).listen(8080);`;

test('an agent calls a server that Kadre runs from its image', async () => {
  const api = 'kadre.dev/v1alpha1';
  const server = {
    image: 'kadre-agent-runtime:0.1.0',
    command: ['/usr/bin/node', '-e', greeter],
    env: [{ name: 'GREETING', value: 'Good day' }],
  };
  const script = [
    { matchToolResult: '.', reply: '$(toolResult)' },
    { reply: '', toolCalls: [{ name: 'greeter__greet', arguments: '{"name": "Ada"}' }] },
  ];
  const objects = [
    { kind: 'Tool', metadata: { name: 'greeter' }, spec: { mcp: { server } } },
    { kind: 'Model', metadata: { name: 'polite' }, spec: { provider: 'simulated', simulated: { script } } },
    {
      kind: 'Agent',
      metadata: { name: 'host' },
      spec: { instructions: 'Greet.', model: 'polite', tools: [{ name: 'greeter' }] },
    },
  ];
  for (const object of objects) await kubectl.apply(JSON.stringify({ apiVersion: api, ...object }));
  await ready(kubectl, 'tool', 'greeter');
  await ready(kubectl, 'agent', 'host');
  const run = await createRun(kubectl, 'greet-', { agent: { name: 'host', prompt: 'Greet Ada.' } });
  expect((await finished(kubectl, run))['status']).toMatchObject({ phase: 'Succeeded', output: 'Good day, Ada' });
}, 300_000);

test('an agent that serves computes for whoever asks it', async () => {
  await kubectl.run(['patch', 'agent', 'bookkeeper', '--type=merge', '-p', '{"spec":{"serving":{"replicas":1}}}']);
  await ready(kubectl, 'agent', 'bookkeeper');
  const forward = await kubectl.portForward('service/bookkeeper', 80);
  try {
    const response = await fetch(`${forward.url}/generate`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ prompt: QUESTION }),
    });
    expect(await response.json()).toMatchObject({ output: 'It comes to 2588.45.' });
  } finally {
    forward.stop();
  }
}, 300_000);
