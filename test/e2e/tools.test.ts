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
