import { describe, expect, test } from '@jest/globals';
import { annotations, type Agent, type Run, type RunStatus } from '@kadre/crds';
import type { RunProjection, RunSubmission } from '@kadre/store';
import { agent, judged, run, serving, workflow } from '../build/samples.ts';
import { decideRun } from './decide.ts';
import type { Pod } from '../build/wire.ts';
import type { RunSnapshot, Subject } from './observe.ts';

const now = new Date('2026-01-01T12:00:00.000Z');
const named = { workflow: { name: 'article' } };
const article = workflow([{ name: 'ask', agent: { name: 'writer', prompt: 'Go' } }]);
const idle: Agent = { ...agent(), status: judged(true) };
const complete: Subject = {
  name: 'article',
  spec: article.spec,
  calls: {},
  issues: [],
  agents: { writer: idle },
  missingTools: [],
  missingPools: [],
};

const fresh = (more: Partial<RunSnapshot> = {}): RunSnapshot => ({
  run: run(),
  submitted: false,
  cancelled: false,
  suspended: false,
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
  suspended: false,
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

  test('with all that it may be asked for later: the workflows that it calls, its own limits, who wants it, how urgent it is', () => {
    const calls = { review: workflow([{ name: 'b', container: { image: 'i' } }]).spec };
    const asked = run({ workflow: { name: 'article' }, limits: { costUsd: '5' }, requestedBy: 'ann', priority: 3 });
    expect(decideRun(fresh({ run: asked, subject: { ...complete, calls } }), now).submit).toMatchObject({
      workflows: calls,
      limits: { costUsd: '5' },
      requestedBy: 'ann',
      priority: 3,
    });
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
    [
      'a workflow that is not there yet',
      { name: 'article', calls: {}, issues: [], agents: {}, missingTools: [], missingPools: [] },
      'WorkflowNotFound',
    ],
    ['a workflow that another one calls', { ...complete, calls: { review: undefined } }, 'WorkflowNotFound'],
    ['a run to fork that has not begun', { ...complete, source: 'pending' }, 'ForkPending'],
    ['an agent that is not there yet', { ...complete, agents: { writer: undefined } }, 'AgentNotFound'],
    ['a tool that is not there yet', { ...complete, missingTools: ['search'] }, 'ToolNotFound'],
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
    const issue = { path: 'Workflow article: spec.steps[0].when', message: 'unknown variable x' };
    const broken = { ...complete, issues: [issue] };
    const status = statusOf(fresh({ subject: broken }));
    expect(status).toMatchObject({ phase: 'Failed' });
    expect(status?.conditions).toContainEqual(
      expect.objectContaining({ type: 'Stalled', status: 'True', reason: 'InvalidExpression' }),
    );
    expect(status?.conditions?.[0]?.message).toBe('Workflow article: spec.steps[0].when: unknown variable x');
  });
});

test('a run whose approvals must come from somebody else than nobody in particular fails at once', () => {
  const subject = { ...complete, needsRequester: true };
  const status = statusOf(fresh({ subject }));
  expect(status).toMatchObject({ phase: 'Failed' });
  expect(status?.conditions?.[0]).toMatchObject({ reason: 'RequesterMissing' });
  expect(decideRun(fresh({ subject, run: run({ ...named, requestedBy: 'ann' }) }), now).submit).toBeDefined();
});

describe('a fork', () => {
  const source: RunSubmission = {
    ...{ uid: 'uid-old', namespace: 'team', name: 'old', subject: 'article', workflow: article.spec },
    input: { n: 1 },
    limits: { costUsd: '1' },
    requestedBy: 'bob',
  };
  const forked = (spec: object, more: Partial<Subject> = {}) =>
    decideRun(fresh({ run: run({ fork: { run: 'old' }, ...spec }), subject: { ...complete, source, ...more } }), now);

  test('takes over workflow and input, by the UID of the other run', () => {
    const fork = { run: 'old', from: 'draft', prompt: 'Shorter.' };
    const { submit } = forked({ fork });
    expect(submit).toMatchObject({ subject: 'article', workflow: article.spec, input: { n: 1 } });
    expect(submit?.fork).toEqual({ run: 'uid-old', from: 'draft', prompt: 'Shorter.' });
  });

  test('takes over neither limits nor who asked', () => {
    const { submit } = forked({});
    expect(submit).not.toHaveProperty('limits');
    expect(submit).not.toHaveProperty('requestedBy');
  });

  test('has an input of its own if it says so, even if that is nothing', () => {
    expect(forked({ input: { n: 2 } }).submit?.input).toEqual({ n: 2 });
    expect(forked({ input: null }).submit?.input).toBeNull();
  });

  test('of a run that nobody knows fails, and says what can be done', () => {
    const { plan, submit } = forked({}, { source: 'unknown' });
    expect(submit).toBeUndefined();
    const status = plan.status as RunStatus;
    expect(status).toMatchObject({ phase: 'Failed' });
    expect(status.conditions?.[0]).toMatchObject({
      reason: 'RunNotFound',
      message: expect.stringContaining('Run old'),
    });
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
      'waiting for people, which is nobody’s fault',
      projected({ phase: 'Waiting', waitingFor: [{ step: 'sign-off', approval: 'article-1-sign-off' }] }),
      { Ready: 'False', Reconciling: 'True', Stalled: 'False' },
      'Waiting',
    ],
    ['in a queue', projected({ phase: 'Queued' }), { Ready: 'False', Reconciling: 'True', Stalled: 'False' }, 'Queued'],
    [
      'paused',
      projected({ phase: 'Paused' }, undefined, { suspended: true, run: run({ ...named, suspend: true }) }),
      { Ready: 'False', Reconciling: 'True', Stalled: 'False' },
      'Paused',
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

  test.each<[string, RunStatus['waitingFor'], string]>([
    [
      'whom it waits for',
      [
        { step: 'sign-off', approval: 'a-1', until: '2026-01-02T00:00:00Z' },
        { step: 'paid', event: 'orders/paid' },
        { step: 'pause', until: '2026-01-03T00:00:00Z' },
      ],
      'Step sign-off waits for Approval a-1 until 2026-01-02T00:00:00Z; step paid waits for event orders/paid; step pause waits for a time until 2026-01-03T00:00:00Z.',
    ],
    [
      'that there are more than it tells',
      [1, 2, 3, 4, 5].map((n) => ({ step: `s${n}`, event: 'e' })),
      'Step s1 waits for event e; step s2 waits for event e; step s3 waits for event e; 2 more wait.',
    ],
    ['that it waits for itself', undefined, 'The run waits for a time, or for its next attempt at a step.'],
  ])('says %s', (_, waitingFor, message) => {
    const status = statusOf(projected({ phase: 'Waiting', ...(waitingFor && { waitingFor }) }));
    expect(status?.conditions?.[0]?.message).toBe(message);
    expect(status?.waitingFor).toEqual(waitingFor);
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

describe('a run is paused', () => {
  const pausing = run({ ...named, suspend: true });

  test('before it begins: nothing is pinned, and it begins when the pause ends', () => {
    const held = fresh({ run: pausing });
    expect(decideRun(held, now).submit).toBeUndefined();
    expect(statusOf(held)).toMatchObject({ phase: 'Paused' });
    expect(statusOf(held)?.conditions?.[0]?.message).toMatch(/set spec.suspend to false to begin/);
    expect(decideRun(fresh({ run: run({ ...named, suspend: false }) }), now).submit).toBeDefined();
  });

  test.each<[string, Run, boolean, boolean | undefined]>([
    ['told once', pausing, false, true],
    ['not told again', pausing, true, undefined],
    ['told to go on', run({ ...named, suspend: false }), true, false],
    ['told to go on when the field is removed', run(), true, false],
    ['told nothing if nobody ever paused it', run(), false, undefined],
  ])('while it is at work, the engine is %s', (_, subject, suspended, told) => {
    expect(decideRun(projected({ phase: 'Running' }, undefined, { run: subject, suspended }), now).suspend).toBe(told);
  });

  test('not any more when it is over', () => {
    expect(decideRun(projected({ phase: 'Succeeded' }, undefined, { run: pausing }), now).suspend).toBeUndefined();
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
