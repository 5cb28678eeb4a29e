import { describe, expect, test } from '@jest/globals';
import type { Condition, Run, RunPhase, Trigger, TriggerSpec, TriggerStatus } from '@kadre/crds';
import { run as sampleRun } from '../build/samples.ts';
import { decideTrigger } from './decide.ts';
import type { TriggerSnapshot } from './observe.ts';

const now = new Date('2026-01-01T12:00:00.000Z');
const HOUR = 3_600_000;

const webhook: TriggerSpec['webhook'] = {
  auth: { bearer: { secretRef: { name: 'hook', key: 'token' } } },
  idempotencyKey: '$(body.id)',
  remember: '1h',
};

function trigger(spec: Partial<TriggerSpec> = {}, status: Partial<TriggerStatus> = {}): Trigger {
  return {
    apiVersion: 'kadre.dev/v1alpha1',
    kind: 'Trigger',
    metadata: {
      name: 'issues',
      namespace: 'team',
      uid: 'u',
      resourceVersion: '1',
      generation: 1,
      creationTimestamp: '2026-01-01T00:00:00Z',
    },
    spec: { start: { workflow: { name: 'triage' } }, ...spec },
    status,
  };
}

function run(name: string, phase: RunPhase, ageMs: number): Run {
  const creationTimestamp = new Date(now.getTime() - ageMs).toISOString();
  return { ...sampleRun(undefined, { name, uid: `uid-${name}`, creationTimestamp }), status: { phase } };
}

const snapshot = (more: Partial<TriggerSnapshot>): TriggerSnapshot => ({
  trigger: trigger({ webhook }),
  issues: [],
  secret: 'unused',
  workflowMissing: false,
  runs: [],
  outcomes: [],
  remember: 0,
  ...more,
});

function decided(more: Partial<TriggerSnapshot>) {
  const plan = decideTrigger(snapshot(more), now);
  const status = plan.status as unknown as TriggerStatus;
  const condition = (type: string): Condition | undefined => status.conditions?.find((one) => one.type === type);
  return { ...plan, status, ready: condition('Ready'), stalled: condition('Stalled') };
}

describe('a Trigger says how it is, and how to mend it:', () => {
  test.each<[string, Partial<TriggerSnapshot>, string, RegExp]>([
    [
      'an expression that cannot work',
      {
        issues: [
          { path: 'spec.start.input', message: 'no' },
          { path: 'spec.schedule', message: 'never' },
        ],
      },
      'InvalidExpression',
      /^spec\.start\.input: no; spec\.schedule: never$/,
    ],
    ['a time that never comes', { issues: [{ path: 'spec.schedule', message: 'never' }] }, 'InvalidSchedule', /never/],
    ['what it may not watch', { noAccess: { reason: 'Forbidden', message: 'ask' } }, 'Forbidden', /^ask$/],
    [
      'a Secret that is not there',
      { secret: 'absent' },
      'SecretNotFound',
      /no Secret hook in namespace team.*key token/,
    ],
    ['a key that is not in it', { secret: 'keyAbsent' }, 'SecretNotFound', /nothing under the key token/],
    ['a Workflow that is not there', { workflowMissing: true }, 'WorkflowNotFound', /Workflow triage/],
  ])('%s', (_what, more, reason, message) => {
    const { ready, stalled, requeueAfter } = decided(more);
    expect(ready).toMatchObject({ status: 'False', reason, message: expect.stringMatching(message) });
    expect(stalled?.status).toBe('True');
    expect(requeueAfter).toBe(30_000);
  });

  test.each([
    ['at work', false, 'Ready'],
    ['suspended, which is no fault', true, 'Suspended'],
  ])('%s', (_what, suspend, reason) => {
    expect(decided({ trigger: trigger({ webhook, suspend }) }).ready).toMatchObject({ status: 'True', reason });
  });

  test('once, not each time', () => {
    const first = decided({});
    expect(first.events).toMatchObject([{ reason: 'Ready' }]);
    const again = decided({ trigger: trigger({ webhook }, first.status) });
    expect(again.events).toEqual([]);
    expect(again.status).toEqual(first.status);
  });
});

describe('the status of a Trigger', () => {
  test('names the latest Run and counts those at work', () => {
    const runs = [run('old', 'Running', 2 * HOUR), run('new', 'Succeeded', HOUR), run('older', 'Pending', 3 * HOUR)];
    expect(decided({ runs }).status).toMatchObject({
      cause: 'Webhook',
      active: 2,
      lastRun: { name: 'new', phase: 'Succeeded' },
    });
  });

  test('keeps the times of a schedule while its spec is broken, and drops them with the schedule', () => {
    const times = { lastScheduleTime: '2026-01-01T06:00:00.000Z', scheduledUpTo: '2026-01-01T06:00:00.000Z' };
    const schedule: TriggerSpec['schedule'] = { cron: '61 * * * *', timeZone: 'UTC', concurrencyPolicy: 'Allow' };
    const issues = [{ path: 'spec.schedule', message: 'minute' }];
    expect(decided({ trigger: trigger({ schedule }, times), issues }).status).toMatchObject(times);
    const { status } = decided({ trigger: trigger({ webhook }, times) });
    expect(status).not.toHaveProperty('scheduledUpTo');
    expect(status).not.toHaveProperty('lastScheduleTime');
  });

  test('says when the next start is due, and looks again then', () => {
    const due = { start: now.getTime(), upTo: now.getTime() };
    const schedule: TriggerSpec['schedule'] = { cron: '* * * * *', timeZone: 'UTC', concurrencyPolicy: 'Allow' };
    const { status, requeueAfter } = decided({
      trigger: trigger({ schedule }),
      schedule: { due, next: now.getTime() + 60_000 },
    });
    expect(status).toMatchObject({
      lastScheduleTime: '2026-01-01T12:00:00.000Z',
      nextScheduleTime: '2026-01-01T12:01:00.000Z',
    });
    expect(requeueAfter).toBe(60_000);
  });
});

test.each<[string, Partial<TriggerSnapshot>, object[]]>([
  ['a start', { outcomes: [{ cause: 'c', name: 'r', isNew: true }] }, [{ type: 'Normal', note: 'r for c' }]],
  ['a start that was known', { outcomes: [{ cause: 'c', name: 'r', isNew: false }] }, []],
  ['a refusal', { outcomes: [{ cause: 'c', refusal: 'no' }] }, [{ type: 'Warning', note: 'For c: no' }]],
  [
    'a time that was let go',
    { schedule: { due: { skipped: { time: 0, reason: 'StillRunning' }, upTo: 0 }, next: undefined } },
    [{ type: 'Warning', reason: 'StillRunning', note: expect.stringMatching(/concurrencyPolicy is Forbid/) }],
  ],
])('%s is told as an event', (_what, more, expected) => {
  const { events = [] } = decided(more);
  expect(events.filter(({ reason }) => reason !== 'Ready')).toMatchObject(expected);
});

describe('finished Runs beyond the limit', () => {
  const many = (phase: RunPhase, count: number, firstAge = HOUR) =>
    Array.from({ length: count }, (_, i) => run(`${phase.toLowerCase()}-${i}`, phase, firstAge + i * 1000));
  const gone = (more: Partial<TriggerSnapshot>) => (decided(more).delete ?? []).map(({ name }) => name);
  const schedule: TriggerSpec['schedule'] = { cron: '* * * * *', timeZone: 'UTC', concurrencyPolicy: 'Allow' };
  const upTo = '2026-01-01T11:00:00.000Z';

  test('go, the oldest first, and never one that is at work', () => {
    const runs = [
      ...many('Succeeded', 5),
      ...many('Failed', 4),
      ...many('Running', 9),
      ...many('Cancelled', 1, 2 * HOUR),
    ];
    expect(gone({ runs }).sort()).toEqual(['cancelled-0', 'failed-3', 'succeeded-3', 'succeeded-4']);
  });

  test('are as many as the Trigger says', () => {
    const subject = trigger({ webhook, historyLimit: { successful: 0, failed: 1 } });
    expect(gone({ trigger: subject, runs: [...many('Succeeded', 2), ...many('Failed', 2)] })).toHaveLength(3);
  });

  test('stay while a delivery may come again, and are looked at when it no longer may', () => {
    const runs = many('Succeeded', 5, HOUR / 2);
    const { delete: deletes, requeueAfter } = decided({ runs, remember: HOUR });
    expect(deletes).toBeUndefined();
    expect(requeueAfter).toBeLessThanOrEqual(300_000);
    expect(gone({ runs: many('Succeeded', 5, 2 * HOUR), remember: HOUR })).toHaveLength(2);
  });

  test('stay until it is written down that their time has been dealt with', () => {
    const runs = many('Succeeded', 5);
    const due = { upTo: Date.parse(upTo) };
    const unwritten = trigger({ schedule }, { scheduledUpTo: '2026-01-01T10:00:00.000Z' });
    expect(gone({ trigger: unwritten, runs, schedule: { due, next: undefined } })).toEqual([]);
    const written = trigger({ schedule }, { scheduledUpTo: upTo });
    expect(gone({ trigger: written, runs, schedule: { due, next: undefined } })).toHaveLength(2);
  });

  test('of a watch stay while the status does not yet speak for their objects', () => {
    const watched = { generation: 1, resourceVersion: '5', createdUpTo: '2026-01-01T10:59:57.500Z' };
    const watch: TriggerSpec['watch'] = { apiVersion: 'v1', kind: 'Pod', changes: ['Added'] };
    const subject = trigger({ watch, historyLimit: { successful: 0, failed: 0 } }, { watched });
    // Created at 11:00:00, 10:59:59, 10:59:58 and 10:59:57.
    expect(gone({ trigger: subject, runs: many('Succeeded', 4), watched })).toEqual(['succeeded-3']);
  });
});

test('of a Trigger that is on its way out nothing is said', () => {
  const { metadata, ...rest } = trigger({ webhook });
  const leaving = { ...rest, metadata: { ...metadata, deletionTimestamp: '2026-01-01T12:00:00Z' } };
  expect(decideTrigger(snapshot({ trigger: leaving }), now)).toEqual({});
});
