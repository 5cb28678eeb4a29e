// What a Run may ask for besides to be run: other workflows, steps of its own, a pause, what another run has recorded.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { RunSubmission } from '@kadre/store';
import { conditionOf, field, KADRE, startBed, startMs, type Bed, type Ref } from './bed.ts';
import { eventually } from './bed.ts';
import { container, runTools } from './run-tools.ts';

let bed: Bed;
let namespace: string;
let count = 0;

beforeAll(async () => {
  bed = await startBed();
  await bed.startOperator();
}, startMs);
afterAll(() => bed.stop());

beforeEach(async () => {
  namespace = await bed.namespace(`features-${++count}`);
});

const { runRef, applyWorkflow, applyRun, submitted, startRun, say, phase } = runTools(() => ({ bed, namespace }));
const workflowRef = (name: string): Ref => ({ apiVersion: KADRE, kind: 'Workflow', namespace, name });

const call = (name: string) => ({ name: `call-${name}`, workflow: { name } });
const one = (name: string) => ({ name, container });
const agent = (name: string) =>
  bed.apply({
    apiVersion: KADRE,
    kind: 'Agent',
    metadata: { name, namespace },
    spec: { instructions: 'x', model: 'm' },
  });

async function submission(name = 'first'): Promise<RunSubmission> {
  const uid = (await bed.get(runRef(name)))?.metadata.uid ?? '';
  return eventually(`${name} submitted`, () => bed.store.submission(uid));
}

describe('the workflows that a workflow calls', () => {
  test('are pinned with it, however deep they are called, and even if they call each other', async () => {
    await applyWorkflow([one('a'), { name: 'group', steps: [{ name: 'race', race: [call('outer')] }] }]);
    await applyWorkflow([{ ...one('b'), onError: { fallback: [call('inner')] } }], 'outer');
    await applyWorkflow([one('c'), call('outer')], 'inner');
    await submitted(await applyRun());
    const { workflows = {} } = await submission();
    expect(Object.keys(workflows).sort()).toEqual(['inner', 'outer']);

    await applyWorkflow([one('changed')], 'inner');
    expect((await submission()).workflows).toMatchObject({ inner: { steps: [{ name: 'c' }, { name: 'call-outer' }] } });
  }, 60_000);

  test('and their agents and tools, at any level, are waited for one after the other', async () => {
    await applyWorkflow([one('a'), call('outer')]);
    const run = await applyRun();
    const waits = (reason: string, message: RegExp) =>
      eventually(`${reason} ${String(message)}`, async () => {
        const found = conditionOf(await bed.get(runRef()), 'Reconciling');
        if (found?.reason === reason && message.test(found.message)) return found;
        throw new Error(JSON.stringify(found));
      });
    await waits('WorkflowNotFound', /Workflow outer/);
    await bed.condition(workflowRef('article'), 'Stalled', 'True', 'WorkflowNotFound');
    await applyWorkflow([{ name: 'g', steps: [{ name: 'deep', race: [call('inner')] }] }], 'outer');
    await waits('WorkflowNotFound', /Workflow inner/);
    const ask = { name: 'ask', agent: { name: 'critic', prompt: 'Go' } };
    const look = { name: 'look', tool: { name: 'search' } };
    await applyWorkflow([{ ...one('c'), onError: { fallback: [ask, look] } }], 'inner');
    await waits('AgentNotFound', /Agent critic/);
    await agent('critic');
    await waits('ToolNotFound', /Tool search/);
    await bed.condition(workflowRef('inner'), 'Stalled', 'True', 'ToolNotFound');
    const spec = { builtin: { calculator: {} } };
    await bed.apply({ apiVersion: KADRE, kind: 'Tool', metadata: { name: 'search', namespace }, spec });
    await submitted(run);
    await bed.condition(workflowRef('article'), 'Ready', 'True');
  }, 60_000);

  test('are counted at all levels in their own status, and judged there', async () => {
    await applyWorkflow([{ name: 'group', steps: [one('a'), { name: 'race', race: [one('b'), one('c')] }] }]);
    expect(field(await bed.condition(workflowRef('article'), 'Ready', 'True'), 'status.steps')).toBe(5);
    await applyWorkflow([{ name: 'group', steps: [{ ...one('a'), when: '$(unknown)' }] }], 'broken');
    const stalled = await bed.condition(workflowRef('broken'), 'Stalled', 'True', 'InvalidExpression');
    expect(conditionOf(stalled, 'Ready')?.message).toMatch(/^spec\.steps\[0\]\.steps\[0\]\.when: .*unknown/);
    await applyWorkflow([call('broken')]);
    await applyRun();
    expect(conditionOf(await phase('first', 'Failed'), 'Stalled')?.message).toMatch(
      /^Workflow broken: spec\.steps\[0\]\.steps\[0\]\.when/,
    );
  }, 60_000);
});

describe('steps of its own', () => {
  test('are pinned as they are, under a name that no Workflow can have', async () => {
    const inline = { steps: [{ name: 'group', steps: [{ name: 'a', value: '$(input.n)' }] }], output: '$(1)' };
    await applyRun({ inline, input: { n: 1 } });
    expect(await submission()).toMatchObject({ subject: 'inline:first', workflow: inline, input: { n: 1 } });
  }, 60_000);

  test('that are wrong fail the run, which says where', async () => {
    await applyRun({ inline: { steps: [{ name: 'a', value: '$(unknown)' }] } });
    const failed = conditionOf(await phase('first', 'Failed'), 'Stalled');
    expect(failed).toMatchObject({
      reason: 'InvalidExpression',
      message: expect.stringMatching(/^spec\.inline\.steps/),
    });
  }, 60_000);

  test.each<[string, object]>([
    ['none', {}],
    ['no list', { steps: 5 }],
    ['rubbish', { steps: [null, 7, { name: {} }] }],
  ])('that are %s fail the run and nothing else', async (_, inline) => {
    await applyRun({ inline });
    expect(conditionOf(await phase('first', 'Failed'), 'Stalled')?.message).toContain('spec.inline');
  });
});

describe('a pause', () => {
  test('before the run begins keeps it from beginning', async () => {
    await applyWorkflow();
    const run = await applyRun({ workflow: { name: 'article' }, suspend: true });
    const paused = await phase('first', 'Paused');
    expect(conditionOf(paused, 'Reconciling')).toMatchObject({ status: 'True', reason: 'Paused' });
    expect(await bed.store.submission(run.metadata.uid ?? '')).toBeUndefined();
    await bed.client.patch(runRef(), { spec: { suspend: false } });
    await submitted(run);
  }, 60_000);

  test.each([{ suspend: false }, { suspend: null }])(
    'of a run at work ends with %j',
    async (resume) => {
      const uid = await startRun();
      const suspended = (wanted: boolean) =>
        eventually(`suspended: ${String(wanted)}`, async () => (await bed.store.controls(uid)).suspended === wanted);
      await bed.client.patch(runRef(), { spec: { suspend: true } });
      await suspended(true);
      await say(uid, { phase: 'Paused' });
      await phase('first', 'Paused');
      await bed.client.patch(runRef(), { spec: resume });
      await suspended(false);
      await say(uid, { phase: 'Running' });
      await phase('first', 'Running');
    },
    60_000,
  );

  test('that somebody asked for while the operator was down holds when it is back', async () => {
    const uid = await startRun();
    const operator = await bed.startOperator();
    await bed.stopOperator(operator);
    await bed.client.patch(runRef(), { spec: { suspend: true } });
    await eventually('suspended', async () => (await bed.store.controls(uid)).suspended);
  }, 60_000);
});

describe('a run that waits', () => {
  test.each(['Queued', 'Waiting'] as const)('%s is on its way, not stuck, and says what for', async (name) => {
    const uid = await startRun();
    const waitingFor = [{ step: 'sign-off', approval: 'first-sign-off' }];
    await say(uid, { phase: name, waitingFor });
    const live = await phase('first', name);
    expect(conditionOf(live, 'Stalled')?.status).toBe('False');
    expect(conditionOf(live, 'Reconciling')).toMatchObject({ status: 'True', reason: name });
    expect(field(live, 'status.waitingFor')).toEqual(waitingFor);
  });
});

describe('a fork', () => {
  test('takes over what the other run executes, even after the Workflow and the other Run are gone', async () => {
    await applyWorkflow([one('draft'), call('review')]);
    await applyWorkflow([one('read')], 'review');
    const spec = { workflow: { name: 'article' }, input: { n: 1 }, limits: { steps: 9 } };
    const uid = await submitted(await applyRun(spec));
    await say(uid, { phase: 'Failed' }, { closed: true });
    await phase('first', 'Failed');
    await bed.client.delete(runRef());
    await bed.client.delete(workflowRef('article'));
    await eventually('gone', async () => (await bed.get(workflowRef('article'))) === undefined);

    await applyRun({ fork: { run: 'first', from: 'draft', prompt: 'Shorter.' }, requestedBy: 'ann' }, 'second');
    const forked = await submission('second');
    expect(forked).toMatchObject({
      subject: 'article',
      workflow: { steps: [{ name: 'draft' }, { name: 'call-review' }] },
      workflows: { review: { steps: [{ name: 'read' }] } },
      input: { n: 1 },
      fork: { run: uid, from: 'draft', prompt: 'Shorter.' },
      requestedBy: 'ann',
    });
    expect(forked.limits).toBeUndefined();
  }, 60_000);

  test('with a workflow and an input of its own takes only what was recorded', async () => {
    const uid = await startRun();
    await applyWorkflow([one('draft'), one('more')]);
    await applyRun({ fork: { run: 'first' }, workflow: { name: 'article' }, input: { n: 2 } }, 'second');
    expect(await submission('second')).toMatchObject({
      workflow: { steps: [{ name: 'draft' }, { name: 'more' }] },
      input: { n: 2 },
      fork: { run: uid },
    });
  }, 60_000);

  test('of a question to an agent asks the same agent', async () => {
    await agent('writer');
    const uid = await submitted(await applyRun({ agent: { name: 'writer', prompt: 'Why $(x)?' } }));
    await applyRun({ fork: { run: 'first' } }, 'second');
    const [source, fork] = [await bed.store.submission(uid), await submission('second')];
    expect(fork).toMatchObject({ subject: 'writer', fork: { run: uid } });
    expect(fork.workflow).toEqual(source?.workflow);
  }, 60_000);

  test('of a run that has not begun waits for it', async () => {
    const first = await applyRun();
    const second = await applyRun({ fork: { run: 'first' } }, 'second');
    await bed.condition(runRef('second'), 'Reconciling', 'True', 'ForkPending');
    await applyWorkflow();
    await submitted(first);
    await submitted(second);
  }, 60_000);

  test.each<[string, () => Promise<unknown>]>([
    ['nobody ever made', () => Promise.resolve()],
    [
      'never began',
      async () => {
        await applyRun({ workflow: { name: 'article' }, cancel: true });
        await phase('first', 'Cancelled');
      },
    ],
  ])('of a run that %s fails', async (_, prepare) => {
    await prepare();
    await applyRun({ fork: { run: 'first' } }, 'second');
    expect(conditionOf(await phase('second', 'Failed'), 'Stalled')).toMatchObject({
      reason: 'RunNotFound',
      message: expect.stringContaining('Run first'),
    });
  });
});
