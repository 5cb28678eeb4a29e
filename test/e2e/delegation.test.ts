// Agents on real pods ask each other: each pod reaches the gateway alone, and the gateway reaches all of them.
import { afterAll, beforeAll, expect, test } from '@jest/globals';
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

let kubectl: Kubectl;
beforeAll(async () => {
  kubectl = await makeNamespace('kadre-e2e-delegation');
  await kubectl.apply(await example('delegation/newsroom'));
  for (const agent of ['fact-finder', 'reporter', 'newsdesk']) await ready(kubectl, 'agent', agent);
}, 600_000);
afterAll(() => removeNamespace(kubectl));

test('an agent asks another one, and hands over to a third', async () => {
  const run = await createRun(kubectl, 'news-', { agent: { name: 'newsdesk', prompt: 'Otters' } });
  const { phase, output, steps } = (await finished(kubectl, run))['status'] as {
    phase: string;
    output?: string;
    steps: { name: string; agent?: string; phase: string }[];
  };
  expect({ phase, output }).toEqual({ phase: 'Succeeded', output: 'Asleep, otters hold on to each other.' });
  const parts = steps.filter(({ name }) => name.includes('/'));
  expect(parts.map(({ agent, phase: of }) => [agent, of])).toEqual([
    ['fact-finder', 'Succeeded'],
    ['reporter', 'Succeeded'],
  ]);
}, 300_000);

test('one that is gone is missed by name', async () => {
  await kubectl.run(['delete', 'agent', 'reporter']);
  await eventually('the agent that misses it', async () => {
    const agent = await kubectl.get('agent', 'newsdesk');
    return conditionOf(agent, 'AgentsReady')?.reason === 'AgentNotFound';
  });
}, 300_000);
