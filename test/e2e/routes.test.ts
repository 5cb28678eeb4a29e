// A route and a Budget on real pods: an agent asks a name, and which Model answers is nobody's business but the gateway's.
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { eventually, type Kubectl } from '../support/kubectl.ts';
import { conditionOf, createRun, finished, makeNamespace, ready, removeNamespace } from '../support/namespace.ts';

const kadre = (kind: string, name: string, spec: object) => ({
  apiVersion: 'kadre.dev/v1alpha1',
  kind,
  metadata: { name },
  spec,
});
const model = (name: string, entry: object) =>
  kadre('Model', name, {
    provider: 'simulated',
    price: { inputPerMillion: '0', outputPerMillion: '1000000' },
    parameters: { maxTokens: 10 },
    simulated: { script: [entry] },
  });

let kubectl: Kubectl;
const apply = async (...objects: object[]): Promise<void> => {
  for (const object of objects) await kubectl.apply(JSON.stringify(object));
};
const route = (strategy: string) =>
  kadre('Model', 'smart', { route: { strategy, candidates: [{ model: 'broken' }, { model: 'sound' }] } });

beforeAll(async () => {
  kubectl = await makeNamespace('kadre-e2e-routes');
  const sound = model('sound', { reply: 'Here I am.', usage: { inputTokens: 1, outputTokens: 10 } });
  await apply(model('broken', { error: { status: 503 } }), sound, route('priority'));
  await apply(kadre('Agent', 'caller', { instructions: 'Answer.', model: 'smart', serving: {} }));
  await ready(kubectl, 'agent', 'caller');
}, 600_000);
afterAll(() => removeNamespace(kubectl));

const ask = async () => {
  const run = await createRun(kubectl, 'ask-', { agent: { name: 'caller', prompt: 'Who is there?' } });
  const { phase, output, usage, conditions } = (await finished(kubectl, run))['status'] as {
    phase: string;
    output?: string;
    usage?: { costUsd: string };
    conditions: { reason: string }[];
  };
  return { phase, output, costUsd: usage?.costUsd, reasons: conditions.map(({ reason }) => reason) };
};

test('a route passes over a Model that fails, and the run pays for the one that answered', async () => {
  await ready(kubectl, 'model', 'smart');
  expect(await ask()).toMatchObject({ phase: 'Succeeded', output: 'Here I am.', costUsd: '10' });
}, 300_000);

test('its status follows its Models', async () => {
  await kubectl.run(['delete', 'model', 'broken']);
  await eventually('the gap', async () => {
    const smart = await kubectl.get('model', 'smart');
    return conditionOf(smart, 'Complete')?.status === 'False' && conditionOf(smart, 'Ready')?.status === 'True';
  });
  expect(await ask()).toMatchObject({ phase: 'Succeeded', output: 'Here I am.' });
}, 300_000);

test('a Budget holds on the way through it, and says so', async () => {
  await apply(kadre('Budget', 'pocket', { period: 'total', limits: { costUsd: '12' } }));
  await ready(kubectl, 'budget', 'pocket');
  expect(await ask()).toMatchObject({ phase: 'Succeeded' });
  const { phase, reasons } = await ask();
  expect(phase).toBe('Failed');
  expect(reasons).toContain('BudgetExceeded');
  await eventually('the Budget that tells', async () => {
    const { spent, refusals } = ((await kubectl.get('budget', 'pocket'))?.['status'] ?? {}) as {
      spent?: { costUsd: string };
      refusals?: number;
    };
    return spent?.costUsd === '10' && (refusals ?? 0) > 0;
  });
}, 300_000);

test('the places of a Budget hold Runs back, by name, until one ends', async () => {
  await kubectl.run(['delete', 'budget', 'pocket']);
  await apply(kadre('Budget', 'places', { period: 'total', limits: { concurrentRuns: 1 } }));
  await ready(kubectl, 'budget', 'places');
  const steps = [{ name: 'nap', wait: { event: { name: 'go' } } }];
  await apply(kadre('Workflow', 'nap', { steps }));
  const first = await createRun(kubectl, 'nap-', { workflow: { name: 'nap' } });
  await eventually('the first at work', async () => (await kubectl.get('run', first))?.['status']?.phase === 'Waiting');
  const second = await createRun(kubectl, 'nap-', { workflow: { name: 'nap' } });
  await eventually('the second in the queue', async () => {
    const run = await kubectl.get('run', second);
    return (
      run?.['status']?.phase === 'Queued' &&
      conditionOf(run, 'Ready')?.message.includes('Budget kadre-e2e-routes/places')
    );
  });
  await kubectl.run(['patch', 'run', first, '--type=merge', '-p', '{"spec":{"cancel":true}}']);
  await eventually(
    'the second at work',
    async () => (await kubectl.get('run', second))?.['status']?.phase === 'Waiting',
  );
}, 300_000);
