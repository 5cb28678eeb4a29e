import { describe, expect, test } from '@jest/globals';
import { annotations, type Agent, type RunStatus } from '@kadre/crds';
import { validateWorkflow } from '@kadre/engine';
import type { RunProjection } from '@kadre/store';
import { agent, judged, run, serving, workflow } from '../build/samples.ts';
import { decideRun } from './decide.ts';
import type { Pod } from '../build/wire.ts';
import type { RunSnapshot, Subject } from './observe.ts';

const now = new Date('2026-01-01T12:00:00.000Z');
const article = workflow([{ name: 'ask', agent: { name: 'writer', prompt: 'Go' } }]);
const idle: Agent = { ...agent(), status: judged(true) };
const complete: Subject = { workflow: article, issues: [], agents: { writer: idle }, missingPools: [] };

const fresh = (more: Partial<RunSnapshot> = {}): RunSnapshot => ({
  run: run(),
  submitted: false,
  cancelled: false,
  subject: complete,
  pods: [],
  ...more,
});

const projected = (
  status: RunProjection['status'],
  failure?: RunProjection['failure'],
  more: Partial<RunSnapshot> = {},
): RunSnapshot => ({
  run: run(),
  submitted: true,
  cancelled: false,
  pods: [],
  projection: {
    uid: 'uid-article-1',
    namespace: 'team',
    name: 'article-1',
    version: 3,
    status,
    ...(failure && { failure }),
  },
  ...more,
});

const statusOf = (snapshot: RunSnapshot) => decideRun(snapshot, now).plan.status as RunStatus | undefined;

function conditions(status: RunStatus | undefined) {
  return Object.fromEntries((status?.conditions ?? []).map(({ type, status: holds }) => [type, holds]));
}

describe('a run is handed over once', () => {
  test('with the workflow as it is now, and the input', () => {
    const withInput = run({ workflow: { name: 'article' }, input: { n: 1 } });
    expect(decideRun(fresh({ run: withInput }), now).submit).toEqual({
      uid: 'uid-article-1',
      namespace: 'team',
      name: 'article-1',
      subject: 'article',
      workflow: article.spec,
      input: { n: 1 },
    });
  });

  test('a single question is a workflow of its own, in which $(…) of the question is no expression', () => {
    const question = run({ agent: { name: 'writer', prompt: 'What is $(steps.none)?' } });
    const { submit } = decideRun(fresh({ run: question, subject: { ...complete } }), now);
    expect(submit?.subject).toBe('writer');
    expect(validateWorkflow(submit?.workflow)).toEqual([]);
  });

  test.each(['Succeeded', 'Failed', 'Cancelled'] as const)('never again once its status says %s', (phase) => {
    const over = { ...run(), status: { phase } };
    expect(decideRun(fresh({ run: over }), now)).toEqual({ plan: {} });
  });

  test('not at all if it was cancelled before', () => {
    const cancelled = fresh({ run: run({ workflow: { name: 'article' }, cancel: true }) });
    expect(decideRun(cancelled, now).submit).toBeUndefined();
    expect(statusOf(cancelled)).toMatchObject({ phase: 'Cancelled', finishedAt: now.toISOString() });
  });
});

describe('what a run waits for, since manifests come in any order', () => {
  const starting: Agent = { ...agent({ serving: serving() }), status: { observedGeneration: 1, conditions: [] } };
  const stuck: Agent = { ...agent({ serving: serving() }), status: judged(false, 'ModelNotFound') };
  test.each<[string, Subject, string | undefined]>([
    ['a workflow that is not there yet', { issues: [], agents: {}, missingPools: [] }, 'WorkflowNotFound'],
    ['an agent that is not there yet', { ...complete, agents: { writer: undefined } }, 'AgentNotFound'],
    ['a pool that is not there yet', { ...complete, missingPools: ['a100'] }, 'GpuPoolNotFound'],
    ['the first pod of an agent', { ...complete, agents: { writer: starting } }, 'AgentStarting'],
    ['nothing if the agent is stuck: the step will say why', { ...complete, agents: { writer: stuck } }, undefined],
    [
      'nothing once a pod answers',
      { ...complete, agents: { writer: { ...starting, status: { readyReplicas: 1 } } } },
      undefined,
    ],
  ])('%s', (_, subject, reason) => {
    const decision = decideRun(fresh({ subject }), now);
    expect(decision.submit === undefined).toBe(reason !== undefined);
    const status = decision.plan.status as RunStatus | undefined;
    expect(status?.conditions?.[0]?.reason).toBe(reason);
    if (reason !== undefined) expect(conditions(status)).toMatchObject({ Ready: 'False', Reconciling: 'True' });
  });

  test('an invalid workflow fails the run, and says where it is wrong', () => {
    const broken = { ...complete, issues: [{ path: 'spec.steps[0].when', message: 'unknown variable x' }] };
    const status = statusOf(fresh({ subject: broken }));
    expect(status).toMatchObject({ phase: 'Failed' });
    expect(status?.conditions).toContainEqual(
      expect.objectContaining({ type: 'Stalled', status: 'True', reason: 'InvalidExpression' }),
    );
    expect(status?.conditions?.[0]?.message).toContain('spec.steps[0].when: unknown variable x');
  });
});

describe('what its status says', () => {
  test.each<[string, RunSnapshot, Record<string, string>, string]>([
    [
      'at work',
      projected({ phase: 'Running', progress: '1/3' }),
      { Ready: 'False', Reconciling: 'True', Stalled: 'False' },
      'Running',
    ],
    [
      'succeeded',
      projected({ phase: 'Succeeded' }),
      { Ready: 'True', Reconciling: 'False', Stalled: 'False' },
      'Succeeded',
    ],
    [
      'failed',
      projected({ phase: 'Failed' }, { reason: 'TimedOut', message: 'too slow' }),
      { Ready: 'False', Reconciling: 'False', Stalled: 'True' },
      'TimedOut',
    ],
    [
      'cancelled',
      projected({ phase: 'Cancelled' }),
      { Ready: 'False', Reconciling: 'False', Stalled: 'True' },
      'Cancelled',
    ],
  ])('%s', (_, snapshot, expected, reason) => {
    const status = statusOf(snapshot);
    expect(conditions(status)).toEqual(expected);
    expect(status?.conditions?.[0]?.reason).toBe(reason);
    expect(status?.observedGeneration).toBe(1);
  });

  test('is not written more than once a second while the run is at work', () => {
    const snapshot = projected({ phase: 'Running' }, undefined, { lastWrite: now.getTime() - 300 });
    expect(decideRun(snapshot, now).plan).toEqual({ requeueAfter: 700 });
  });

  test('is written at once when the run is over', () => {
    expect(statusOf(projected({ phase: 'Succeeded' }, undefined, { lastWrite: now.getTime() - 1 }))?.phase).toBe(
      'Succeeded',
    );
  });

  test('shows why the pod of a running step does not start', () => {
    const pod: Pod = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'p', annotations: { [annotations.step]: 'train', [annotations.attempt]: '1' } },
      status: {
        conditions: [{ type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message: '0/3 nodes' }],
      },
    };
    const steps = [{ name: 'train', phase: 'Running' as const, attempt: 1 }];
    const status = statusOf(projected({ phase: 'Running', steps }, undefined, { pods: [pod] }));
    expect(status?.steps?.[0]).toMatchObject({ reason: 'Unschedulable', message: 'No node takes the pod: 0/3 nodes' });
  });
});

describe('a run is stopped', () => {
  test('when spec.cancel is set, once', () => {
    const stopping = run({ workflow: { name: 'article' }, cancel: true });
    const snapshot = projected({ phase: 'Running' }, undefined, { run: stopping });
    expect(decideRun(snapshot, now).cancel).toBeDefined();
    expect(decideRun({ ...snapshot, cancelled: true }, now).cancel).toBeUndefined();
  });

  test('when it is being deleted', () => {
    const leaving = run({ workflow: { name: 'article' } }, { deletionTimestamp: '2026-01-01T11:59:59Z' });
    expect(decideRun(projected({ phase: 'Running' }, undefined, { run: leaving }), now).cancel).toMatch(/deleted/);
  });
});
