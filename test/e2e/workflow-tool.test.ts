// An agent whose tool is a Workflow: each call is a Run of its own, made by the operator, and ends with the run that asks.
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { eventually, type KubeObject, type Kubectl } from '../support/kubectl.ts';
import { createRun, finished, makeNamespace, ready, removeNamespace } from '../support/namespace.ts';

const apiVersion = 'kadre.dev/v1alpha1';

let kubectl: Kubectl;
beforeAll(async () => {
  kubectl = await makeNamespace('kadre-e2e-workflow-tool');
  for (const object of objects) await kubectl.apply(JSON.stringify({ apiVersion, ...object }));
  await ready(kubectl, 'tool', 'check-credit');
  await ready(kubectl, 'agent', 'seller');
}, 600_000);
afterAll(() => removeNamespace(kubectl));

const script = [
  { matchToolResult: '.', reply: 'I am told: $(toolResult)' },
  {
    match: 'Bob',
    reply: '',
    toolCalls: [{ name: 'check-credit', arguments: '{"customer": "Bob"}' }],
  },
  { reply: '', toolCalls: [{ name: 'check-credit', arguments: '{"customer": "Ann"}' }] },
];
const input = { schema: { type: 'object', properties: { customer: { type: 'string' } }, required: ['customer'] } };
// About Bob nobody ever hears anything.
const steps = [
  { name: 'doubt', when: "$(input.customer == 'Bob')", wait: { for: '1h' } },
  { name: 'verdict', value: { customer: '$(input.customer)', pays: true } },
];
const objects = [
  { kind: 'Workflow', metadata: { name: 'credit-check' }, spec: { input, steps } },
  {
    kind: 'Tool',
    metadata: { name: 'check-credit' },
    spec: { workflow: { name: 'credit-check' }, timeout: '30m', trust: 'trusted' },
  },
  { kind: 'Model', metadata: { name: 'cautious' }, spec: { provider: 'simulated', simulated: { script } } },
  {
    kind: 'Agent',
    metadata: { name: 'seller' },
    spec: { instructions: 'Check, then sell.', model: 'cautious', tools: [{ name: 'check-credit' }] },
  },
];

const sell = (customer: string) =>
  createRun(kubectl, 'sale-', { agent: { name: 'seller', prompt: `Sell to ${customer}.` } });

/** The Run that the agent's call has become. */
const childOf = (run: string): Promise<KubeObject> =>
  eventually(`a Run that ${run} has asked for`, async () => {
    const [child] = await kubectl.list('runs', '-l', `kadre.dev/run-name=${run}`);
    return child;
  });

test("an agent's call is a Run that belongs to the agent's, and its output is the answer", async () => {
  const run = await sell('Ann');
  const parent = await finished(kubectl, run);
  expect(parent['status']).toMatchObject({
    phase: 'Succeeded',
    output: 'I am told: {"customer":"Ann","pays":true}',
  });
  const child = await childOf(run);
  expect(child['status']).toMatchObject({ phase: 'Succeeded', output: { customer: 'Ann', pays: true } });
  expect(child.metadata).toMatchObject({
    ownerReferences: [{ kind: 'Run', name: run, uid: parent.metadata.uid, controller: true }],
  });
}, 300_000);

test('a run that is cancelled takes along what its agent has asked for', async () => {
  const run = await sell('Bob');
  const child = await childOf(run);
  await eventually('the child at work', async () => {
    const { phase } = (await kubectl.get('run', child.metadata.name))?.['status'] as { phase?: string };
    return phase === 'Waiting';
  });
  await kubectl.run(['patch', 'run', run, '--type=merge', '-p', '{"spec":{"cancel":true}}']);
  expect((await finished(kubectl, run))['status']).toMatchObject({ phase: 'Cancelled' });
  expect((await finished(kubectl, child.metadata.name))['status']).toMatchObject({ phase: 'Cancelled' });
}, 300_000);
