import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { kinds, objectSchema, type StructuralSchema } from '@kadre/crds';
import { KindCluster } from './cluster.ts';
import { agentRefusals } from './refused-agents.ts';
import { budgetRefusals } from './refused-budgets.ts';
import { knowledgeRefusals } from './refused-knowledges.ts';
import { approvalRefusals, gpuPoolRefusals, modelRefusals, runRefusals } from './refused-manifests.ts';
import { routeRefusals } from './refused-routes.ts';
import { toolRefusals } from './refused-tools.ts';
import { triggerRefusals } from './refused-triggers.ts';
import { workflowRefusals } from './refused-workflows.ts';

const COLD_MACHINE = 20 * 60_000;
const refusals = [
  ...agentRefusals,
  ...modelRefusals,
  ...routeRefusals,
  ...toolRefusals,
  ...workflowRefusals,
  ...runRefusals,
  ...approvalRefusals,
  ...triggerRefusals,
  ...budgetRefusals,
  ...knowledgeRefusals,
  ...gpuPoolRefusals,
];

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
  const FIXED = 'a run is fixed once it is created, only suspend and cancel may be set: create another Run instead';
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
    ['limits that it did not have', workflowRun, { limits: { steps: 5 } }, FIXED],
    ['another place to fork from', { spec: { fork: { run: 'r', from: 'a' } } }, { fork: { from: 'b' } }, FIXED],
    ['other steps', { spec: { inline: { steps: [] } } }, { inline: { steps: [{ name: 'one' }] } }, FIXED],
    ['another requester', { spec: { ...workflowRun.spec, requestedBy: 'ann' } }, { requestedBy: 'bob' }, FIXED],
    ['another priority', workflowRun, { priority: 5 }, FIXED],
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
    ['suspended', workflowRun, { suspend: true }],
    ['resumed', { spec: { ...workflowRun.spec, suspend: true } }, { suspend: false }],
    ['cancelled after cancel was false', { spec: { ...workflowRun.spec, cancel: false } }, { cancel: true }],
    ['told again what it is told already', workflowRun, workflowRun.spec],
  ];
  test.each(accepted)('can be %s', async (_, before, spec) => {
    expect(await update(before, spec)).toMatchObject({ status: 200, message: '' });
  });
});

describe('an Approval', () => {
  const question = { run: 'article-1', step: 'sign-off', attempt: 1, message: 'Publish?', groups: ['editors'] };
  const yes = { decision: 'approved', decidedBy: 'ann', answer: { tone: 'dry' } };
  const ASKED = 'what is asked stays as it is: set decision, decidedBy and answer, and nothing else';
  const STANDS = 'a decision stands once it is made; it can be mended only if the condition Accepted is False';
  const OVER = 'nobody waits for this decision any more: status.phase says what became of it';
  const refused = {
    phase: 'Pending',
    conditions: [
      {
        ...{ type: 'Accepted', status: 'False', reason: 'InvalidAnswer', message: 'answer.tone must be a string' },
        lastTransitionTime: '2026-01-02T03:04:05Z',
      },
    ],
  };

  async function update(before: object, status: object | undefined, spec: object) {
    const { body } = await cluster.create('Approval', { spec: before });
    if (status) await cluster.merge('Approval', `${body.metadata.name}/status`, { status });
    return cluster.merge('Approval', body.metadata.name, { spec });
  }

  const wrong: [string, object, object | undefined, object, string][] = [
    ['another question', question, undefined, { message: 'Delete?' }, ASKED],
    ['another question with a decision', question, undefined, { message: 'Delete?', ...yes }, ASKED],
    ['other groups', question, undefined, { groups: ['everybody'] }, ASKED],
    ['a group more', question, undefined, { groups: ['editors', 'everybody'] }, ASKED],
    ['everybody in place of groups', question, undefined, { groups: null }, ASKED],
    ['users whom nobody named', question, undefined, { users: ['ann'] }, ASKED],
    ['more time', question, undefined, { expiresAt: '2099-01-01T00:00:00Z' }, ASKED],
    ['a form that nobody asked for', question, undefined, { form: { schema: {} } }, ASKED],
    ['a second decision', { ...question, ...yes }, { phase: 'Pending' }, { decision: 'rejected' }, STANDS],
    ['another answer', { ...question, ...yes }, undefined, { answer: { tone: 'warm' } }, STANDS],
    ['somebody else as the decider', { ...question, ...yes }, undefined, { decidedBy: 'bob' }, STANDS],
    [
      'its decision back',
      { ...question, ...yes },
      undefined,
      { decision: null, decidedBy: null, answer: null },
      STANDS,
    ],
    ['a decision after it was taken', { ...question, ...yes }, { phase: 'Approved' }, { decision: 'rejected' }, OVER],
    ['a decision too late', question, { phase: 'Expired' }, yes, OVER],
    ['a decision for nobody', question, { phase: 'Withdrawn' }, yes, OVER],
    ['a mended decision too late', { ...question, ...yes }, { ...refused, phase: 'Expired' }, { answer: 1 }, OVER],
  ];
  test.each(wrong)('does not take %s', async (_, before, status, spec, message) => {
    expect(await update(before, status, spec)).toMatchObject({
      status: 422,
      message: expect.stringContaining(message),
    });
  });

  const right: [string, object, object | undefined, object][] = [
    ['a decision', question, undefined, yes],
    ['a decision once Kadre has seen it', question, { phase: 'Pending' }, yes],
    ['the same decision again', { ...question, ...yes }, { phase: 'Approved' }, yes],
    ['a mended answer after it was refused', { ...question, ...yes }, refused, { answer: { tone: 'warm' } }],
    ['another decision after the first was refused', { ...question, ...yes }, refused, { decision: 'rejected' }],
  ];
  test.each(right)('takes %s', async (_, before, status, spec) => {
    expect(await update(before, status, spec)).toMatchObject({ status: 200, message: '' });
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
    message: expect.stringContaining(`step ${name(199)} needs a step that is not in the same list`),
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
  // Shown above: these speak of updates, and the last one answers by the name of the step.
  const elsewhere = [
    'a run is fixed',
    'a run that was cancelled',
    'what is asked stays as it is',
    'a decision stands once it is made',
    'nobody waits for this decision',
    'needs must name steps',
  ];
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
