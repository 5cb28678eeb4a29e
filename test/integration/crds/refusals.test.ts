import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { kinds, objectSchema, type StructuralSchema } from '@kadre/crds';
import { KindCluster } from './cluster.ts';
import { agentRefusals } from './refused-agents.ts';
import { gpuPoolRefusals, modelRefusals, runRefusals, workflowRefusals } from './refused-manifests.ts';

const COLD_MACHINE = 20 * 60_000;
const refusals = [...agentRefusals, ...modelRefusals, ...workflowRefusals, ...runRefusals, ...gpuPoolRefusals];

let cluster: KindCluster;
beforeAll(async () => {
  cluster = await KindCluster.start();
}, COLD_MACHINE);
afterAll(() => cluster.stop());

describe('the API server refuses, and says how to mend it,', () => {
  test.each(refusals)('$kind: $mistake', async ({ kind, wrong, where = '', message, right }) => {
    const refused = await cluster.judge(kind, wrong);
    expect(refused).toMatchObject({ status: 422, message: expect.stringContaining(message) });
    expect(refused.message).toContain(where);
    expect(await cluster.judge(kind, right)).toMatchObject({ status: 201, message: '' });
  });
});

describe('a Run, once created,', () => {
  const workflowRun = { spec: { workflow: { name: 'article' }, input: { topics: ['gpu'], draft: 1.5 } } };
  const FIXED = 'a run is fixed once it is created, only cancel may be set: create another Run instead';
  const CANCELLED = 'a run that was cancelled stays cancelled: create another Run instead';

  async function update(before: object, spec: object) {
    const { body } = await cluster.create('Run', before);
    return cluster.merge('Run', body.metadata.name, { spec });
  }

  const refused: [string, object, object, string][] = [
    ['another workflow', workflowRun, { workflow: { name: 'other' } }, FIXED],
    ['another input', workflowRun, { input: { topics: ['k8s'] } }, FIXED],
    ['an input that it did not have', { spec: { workflow: { name: 'w' } } }, { input: 0 }, FIXED],
    ['no input any more', workflowRun, { input: null }, FIXED],
    ['another input in the moment of its cancellation', workflowRun, { cancel: true, input: { draft: 2 } }, FIXED],
    ['an agent in place of its workflow', workflowRun, { workflow: null, agent: { name: 'a', prompt: 'Hi.' } }, FIXED],
    ['another prompt', { spec: { agent: { name: 'a', prompt: 'Hi.' } } }, { agent: { prompt: 'Bye.' } }, FIXED],
    ['to go on after it was cancelled', { spec: { ...workflowRun.spec, cancel: true } }, { cancel: false }, CANCELLED],
    ['to forget that it was cancelled', { spec: { ...workflowRun.spec, cancel: true } }, { cancel: null }, CANCELLED],
  ];
  test.each(refused)('does not take %s', async (_, before, spec, message) => {
    expect(await update(before, spec)).toMatchObject({
      status: 422,
      message: expect.stringContaining(message),
    });
  });

  const accepted: [string, object, object][] = [
    ['cancelled', workflowRun, { cancel: true }],
    ['cancelled after cancel was false', { spec: { ...workflowRun.spec, cancel: false } }, { cancel: true }],
    ['told again what it is told already', workflowRun, workflowRun.spec],
  ];
  test.each(accepted)('can be %s', async (_, before, spec) => {
    expect(await update(before, spec)).toMatchObject({ status: 200, message: '' });
  });
});

test('a large workflow is checked whole, and one too large for that is taken for the operator to check', async () => {
  const name = (index: number) => `step-${String(index).padStart(58, '0')}`;
  const workflow = (size: number, fanIn: number, stranger: string) => ({
    spec: {
      steps: Array.from({ length: size }, (_, index) => ({
        name: name(index),
        container: { image: 'busybox:1' },
        needs: Array.from({ length: Math.min(index, fanIn) }, (_, back) => name(index - back - 1)).concat(
          index === size - 1 ? [stranger] : [],
        ),
      })),
    },
  });
  expect(await cluster.judge('Workflow', workflow(200, 9, name(0)))).toMatchObject({ status: 201 });
  expect(await cluster.judge('Workflow', workflow(200, 9, 'nobody'))).toMatchObject({
    status: 422,
    message: expect.stringContaining(`step ${name(199)} needs a step that is not in this workflow`),
  });
  expect(await cluster.judge('Workflow', workflow(200, 30, 'nobody'))).toMatchObject({ status: 201 });
});

describe('a field that does not exist', () => {
  const misspelled = {
    metadata: { name: 'misspelled' },
    spec: { instructions: 'x', model: 'm', serving: { replica: 1 } },
  };

  test('is refused under strict validation, by its path', async () => {
    expect(await cluster.judge('Agent', misspelled)).toMatchObject({
      status: 400,
      message: expect.stringContaining('unknown field "spec.serving.replica"'),
    });
  });

  test('is refused in server-side apply', async () => {
    const { status, message } = await cluster.apply('Agent', 'misspelled', { spec: misspelled.spec }, 'tester');
    expect(status).toBeGreaterThanOrEqual(400);
    expect(message).toContain('.spec.serving.replica: field not declared in schema');
  });

  test('is refused by kubectl', async () => {
    const text = JSON.stringify({ apiVersion: 'kadre.dev/v1alpha1', kind: 'Agent', ...misspelled });
    await expect(cluster.kubectl(['apply', '-f', '-'], text)).rejects.toThrow('unknown field "spec.serving.replica"');
  });
});

test('each rule of each kind has a manifest here that it refuses', () => {
  const messages = Object.values(kinds).flatMap((kind) => rulesOf(objectSchema(kind)));
  const shown = refusals.map(({ message }) => message);
  // Shown above: these two speak of updates, the third answers by the name of the step.
  const elsewhere = ['a run is fixed', 'a run that was cancelled', 'needs must name steps'];
  const unproven = messages.filter(
    (message) =>
      !shown.some((part) => message.includes(part)) && !elsewhere.some((beginning) => message.startsWith(beginning)),
  );
  expect(unproven).toEqual([]);
});

function rulesOf(schema: StructuralSchema): string[] {
  const own = (schema['x-kubernetes-validations'] ?? []).map(({ message }) => message);
  const children = [...Object.values(schema.properties ?? {}), schema.items, schema.additionalProperties];
  return [...own, ...children.flatMap((child) => (child ? rulesOf(child) : []))];
}
