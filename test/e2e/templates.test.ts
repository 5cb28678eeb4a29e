// The six agents of examples/agents, applied as they stand and asked through each endpoint that they declare.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Kubectl } from '../support/kubectl.ts';
import { example, makeNamespace, ready, removeNamespace } from '../support/namespace.ts';

const rows = [
  { month: 'May', sales: 3 },
  { month: 'June', sales: 5 },
];

/** For each agent: endpoint → a good request, what its answer holds, and a request that it must refuse. */
const templates: Record<string, { path: string; good: object; answer: RegExp; bad: object }[]> = {
  'code-assistant': [
    { path: '/code', good: { task: 'a function that adds' }, answer: /def add/, bad: { language: 'Go' } },
    { path: '/debug', good: { code: 'x = 1/0', error: 'in my script' }, answer: /def add/, bad: { code: 'x' } },
  ],
  'data-analyst': [
    {
      path: '/analyze',
      good: { question: 'Which month was best?', data: rows },
      answer: /2 rows.*June/s,
      bad: { question: 'x', data: [] },
    },
    { path: '/visualize', good: { data: rows }, answer: /June/, bad: { data: 'no' } },
  ],
  'customer-support': [
    { path: '/reply', good: { message: 'Where is my refund?', customer: 'Ada' }, answer: /sorry/, bad: {} },
  ],
  'content-writer': [
    { path: '/write', good: { topic: 'tides', words: 100 }, answer: /facts say/, bad: { topic: 'x', words: 1 } },
  ],
  'research-assistant': [
    { path: '/research', good: { topic: 'tides' }, answer: /Facts for/, bad: { topic: '' } },
    { path: '/ask', good: { question: 'Why?' }, answer: /Why\?/, bad: {} },
  ],
  'general-assistant': [{ path: '/generate', good: { prompt: 'Good day' }, answer: /Good day/, bad: { text: 'x' } }],
};

let kubectl: Kubectl;
beforeAll(async () => {
  kubectl = await makeNamespace('kadre-e2e-templates');
  await kubectl.apply(await example('models/simulated'));
  for (const name of Object.keys(templates)) await kubectl.apply(await example(`agents/${name}`));
}, 300_000);
afterAll(() => removeNamespace(kubectl));

describe.each(Object.entries(templates))('%s', (name, endpoints) => {
  let forward: Awaited<ReturnType<Kubectl['portForward']>>;
  beforeAll(async () => {
    await ready(kubectl, 'agent', name);
    forward = await kubectl.portForward(`service/${name}`, 80);
  }, 300_000);
  afterAll(() => forward.stop());

  const ask = (path: string, body: object) =>
    fetch(forward.url + path, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });

  test.each(endpoints)('$path answers a good request and refuses a bad one', async ({ path, good, answer, bad }) => {
    const response = await ask(path, good);
    expect(response.status).toBe(200);
    expect(((await response.json()) as { output: string }).output).toMatch(answer);
    expect((await ask(path, bad)).status).toBe(400);
  });
});
