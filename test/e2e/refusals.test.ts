// The mistakes that people make. The API server refuses what it can see to be wrong; the rest becomes a condition that
// says what is wrong and how to mend it, and goes away by itself once it is mended.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { eventually, type KubeObject, type Kubectl } from '../support/kubectl.ts';
import {
  conditionOf,
  createRun,
  example,
  finished,
  makeNamespace,
  ready,
  removeNamespace,
} from '../support/namespace.ts';

const API = { apiVersion: 'kadre.dev/v1alpha1' };
let kubectl: Kubectl;
beforeAll(async () => {
  kubectl = await makeNamespace('kadre-e2e-refusals');
  await kubectl.apply(await example('models/simulated'));
}, 300_000);
afterAll(() => removeNamespace(kubectl));

const apply = (kind: string, name: string, spec: object) =>
  kubectl.apply(JSON.stringify({ ...API, kind, metadata: { name }, spec }));
const workflow = (name: string, ...steps: object[]) => apply('Workflow', name, { steps });

const stalled = (kind: string, name: string, reason: string): Promise<KubeObject> =>
  eventually(`${kind} ${name} to be refused for ${reason}`, async () => {
    const object = await kubectl.get(kind, name);
    const condition = conditionOf(object, 'Ready');
    if (object && condition?.status === 'False' && condition.reason === reason) return object;
    throw new Error(JSON.stringify(object?.['status'] ?? null));
  });

describe('refused by the API server', () => {
  const agent = { name: 'a', prompt: 'x' };
  const container = { image: 'busybox' };
  test.each<[string, () => Promise<unknown>, RegExp]>([
    ['both of an exactly-one-of', () => workflow('both', { name: 's', agent, container }), /exactly one of/i],
    ['neither of an exactly-one-of', () => apply('Run', 'neither', {}), /exactly one of/i],
    [
      'a fraction of a GPU',
      () => workflow('half', { name: 's', container: { ...container, gpu: { pool: 'p', count: 0.5 } } }),
      /integer/i,
    ],
    [
      'a fraction of a GPU as a plain resource',
      () =>
        workflow('half', {
          name: 's',
          container: { ...container, resources: { limits: { 'nvidia.com/gpu': '0.5' } } },
        }),
      /whole/i,
    ],
    ['a field that does not exist', () => workflow('typo', { name: 's', agent, retries: 3 }), /retries/],
    ['a step that needs an unknown one', () => workflow('needs', { name: 's', agent, needs: ['t'] }), /needs/],
  ])('%s', async (_what, attempt, message) => {
    await expect(attempt()).rejects.toThrow(message);
  });
});

describe('told by a condition', () => {
  test('an agent whose model is not there says so, and is Ready once it is', async () => {
    await apply('Agent', 'early', { model: 'later', instructions: 'Wait.', serving: {} });
    const agent = await stalled('agent', 'early', 'ModelNotFound');
    expect(conditionOf(agent, 'Ready')?.message).toContain('later');
    await apply('Model', 'later', { provider: 'simulated' });
    await ready(kubectl, 'agent', 'early');
  });

  test('a model whose Secret is not there says which to make, and is Ready once it is', async () => {
    await apply('Model', 'keyed', {
      provider: 'openai',
      model: 'gpt-5-mini',
      auth: { secretRef: { name: 'llm', key: 'openai' } },
    });
    const model = await stalled('model', 'keyed', 'SecretNotFound');
    expect(conditionOf(model, 'Ready')?.message).toMatch(/llm/);
    await kubectl.run(['create', 'secret', 'generic', 'llm', '--from-literal=openai=sk-test']);
    await ready(kubectl, 'model', 'keyed');
  });

  test('a workflow with a bad expression says where', async () => {
    await apply('Agent', 'plain', { model: 'assistant', instructions: 'Answer.' });
    await workflow('bad-expression', { name: 's', agent: { name: 'plain', prompt: 'Say $(input.x +' } });
    const bad = await stalled('workflow', 'bad-expression', 'InvalidExpression');
    expect(conditionOf(bad, 'Ready')?.message).toContain('spec.steps[0].agent.prompt');
    expect(conditionOf(bad, 'Stalled')?.status).toBe('True');
  });

  test('a workflow whose steps wait for one another in a circle says so', async () => {
    const step = (name: string, need: string) => ({ name, needs: [need], agent: { name: 'plain', prompt: 'x' } });
    await workflow('circle', step('a', 'b'), step('b', 'a'));
    const object = await eventually('the circle seen', async () => {
      const object = await kubectl.get('workflow', 'circle');
      return conditionOf(object, 'Ready')?.status === 'False' ? object : undefined;
    });
    expect(conditionOf(object, 'Ready')?.message).toMatch(/cycle|circle/);
  });

  test('a run whose input does not match the schema fails with the field', async () => {
    await apply('Workflow', 'typed', {
      input: { schema: { type: 'object', required: ['topic'], properties: { topic: { type: 'string' } } } },
      steps: [{ name: 's', agent: { name: 'plain', prompt: '$(input.topic)' } }],
    });
    await ready(kubectl, 'workflow', 'typed');
    const run = await finished(
      kubectl,
      await createRun(kubectl, 'typed-', { workflow: { name: 'typed' }, input: { topic: 5 } }),
    );
    expect(conditionOf(run, 'Stalled')).toMatchObject({ status: 'True', reason: 'InvalidInput' });
    expect(conditionOf(run, 'Stalled')?.message).toContain('topic');
  });

  test('a run of a workflow that is not there waits, and starts once it is', async () => {
    const name = await createRun(kubectl, 'early-', { workflow: { name: 'to-come' }, input: {} });
    await eventually('the run waiting', async () => {
      const run = await kubectl.get('run', name);
      return conditionOf(run, 'Ready')?.reason === 'WorkflowNotFound';
    });
    await workflow('to-come', { name: 's', agent: { name: 'plain', prompt: 'Hello' } });
    expect((await finished(kubectl, name))['status'].phase).toBe('Succeeded');
  });
});
