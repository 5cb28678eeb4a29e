import { describe, expect, test } from '@jest/globals';
import { API_VERSION, type Budget, type BudgetStatus } from '@kadre/crds';
import type { Balance } from '@kadre/store';
import { run } from '../build/samples.ts';
import { decideBudget } from './decide.ts';
import { observeBudget } from './observe.ts';

const now = new Date('2026-11-21T12:00:00Z');

const budget = (spec: Partial<Budget['spec']> = {}, status?: BudgetStatus): Budget => ({
  apiVersion: API_VERSION,
  kind: 'Budget',
  metadata: {
    name: 'monthly',
    namespace: 'team',
    uid: 'uid',
    resourceVersion: '1',
    generation: 3,
    creationTimestamp: '2026-01-01T00:00:00Z',
  },
  spec: { period: 'month', timeZone: 'Europe/Berlin', action: 'block', warnAt: 80, limits: { costUsd: '10' }, ...spec },
  ...(status && { status }),
});

interface Ledger {
  spent?: Partial<Balance['spent']>;
  reserved?: Partial<Balance['reserved']>;
  refusals?: number;
  unpricedCalls?: number;
}

async function decided(of: Budget, { spent, reserved, refusals = 0, unpricedCalls = 0 }: Ledger = {}, runs = [run()]) {
  const nothing = { costNanoUsd: 0, tokens: 0, requests: 0 };
  const store = {
    balances: ([asked]: readonly { account: string; period: string }[]): Promise<Balance[]> => {
      const { account = '', period = '' } = asked ?? {};
      const counts = { spent: { ...nothing, ...spent }, reserved: { ...nothing, ...reserved } };
      return Promise.resolve([{ account, period, ...counts, refusals, unpricedCalls }]);
    },
  };
  const plan = decideBudget(await observeBudget(of, store, runs, now.getTime()), now);
  const status = (plan.status ?? {}) as BudgetStatus;
  const conditions = Object.fromEntries((status.conditions ?? []).map((one) => [one.type, one]));
  return { plan, status, conditions, events: plan.events?.map(({ reason }) => reason) ?? [] };
}

describe('the status', () => {
  test('says what is spent, reserved and left, and until when', async () => {
    const counted = {
      spent: { costNanoUsd: 2_500_000_000, tokens: 70, requests: 3 },
      reserved: { costNanoUsd: 1_000_000 },
    };
    const { status, plan } = await decided(budget({ limits: { costUsd: '10', tokens: 100 } }), counted);
    expect(status).toMatchObject({
      observedGeneration: 3,
      periodStart: '2026-10-31T23:00:00Z',
      periodEnd: '2026-11-30T23:00:00Z',
      spent: { costUsd: '2.5', tokens: 70, requests: 3 },
      reserved: { costUsd: '0.001', tokens: 0, requests: 0 },
      left: { costUsd: '7.499', tokens: 30 },
      refusals: 0,
    });
    expect(status.left).not.toHaveProperty('requests');
    expect(plan.requeueAfter).toBe(10_000);
  });

  test('of a total has no period, and of what is overspent nothing is left', async () => {
    const { status } = await decided(budget({ period: 'total' }), { spent: { costNanoUsd: 11_000_000_000 } });
    expect(status).not.toHaveProperty('periodStart');
    expect(status.left).toEqual({ costUsd: '0' });
  });

  test('is looked at again in the moment in which the period ends', async () => {
    const soon = budget({ period: 'hour', timeZone: 'UTC' });
    const at = new Date('2026-11-21T12:59:58Z');
    const store = { balances: () => Promise.resolve([emptyBalance]) };
    expect(decideBudget(await observeBudget(soon, store, [], at.getTime()), at).requeueAfter).toBe(2000);
  });

  test('counts the Runs at work where they are limited', async () => {
    const phases = ['Running', 'Waiting', 'Paused', 'Queued', 'Succeeded'] as const;
    const runs = phases.map((phase) => ({ ...run(), status: { phase } }));
    const workflow = run().spec.workflow?.name ?? '';
    const limits = { concurrentRuns: 3 };
    expect((await decided(budget({ limits }), {}, runs)).status.runs).toBe(3);
    expect((await decided(budget({ limits, scope: { workflows: [workflow] } }), {}, runs)).status.runs).toBe(3);
    expect((await decided(budget({ limits, scope: { workflows: ['other'] } }), {}, runs)).status.runs).toBe(0);
    expect((await decided(budget(), {}, runs)).status).not.toHaveProperty('runs');
  });

  test('owns up to calls whose cost nobody knows', async () => {
    expect((await decided(budget(), { unpricedCalls: 2 })).status.unpricedCalls).toBe(2);
    expect((await decided(budget())).status).not.toHaveProperty('unpricedCalls');
  });
});

const emptyBalance: Balance = {
  account: '',
  period: '',
  spent: { costNanoUsd: 0, tokens: 0, requests: 0 },
  reserved: { costNanoUsd: 0, tokens: 0, requests: 0 },
  refusals: 0,
  unpricedCalls: 0,
};

describe('the conditions', () => {
  test.each<[string, Partial<Budget['spec']>, Ledger['spent'], string, string]>([
    ['nothing is spent', {}, {}, 'False', 'False'],
    ['a little is spent', {}, { costNanoUsd: 7_999_999_999 }, 'False', 'False'],
    ['much is spent', {}, { costNanoUsd: 8_000_000_000 }, 'True', 'False'],
    ['more is spent than people want to hear of', { warnAt: 50 }, { costNanoUsd: 5_000_000_000 }, 'True', 'False'],
    ['all is spent', {}, { costNanoUsd: 10_000_000_000 }, 'True', 'True'],
    ['all tokens are spent', { limits: { costUsd: '10', tokens: 5 } }, { tokens: 6 }, 'True', 'True'],
    ['all requests are made', { limits: { requests: 5 } }, { requests: 5 }, 'True', 'True'],
    ['nothing may be spent', { limits: { costUsd: '0' } }, {}, 'True', 'True'],
    ['what is spent has no limit', { limits: { requests: 5 } }, { costNanoUsd: 1e15, tokens: 1e9 }, 'False', 'False'],
    ['only places are limited', { limits: { concurrentRuns: 1 } }, { requests: 5 }, 'False', 'False'],
  ])('when %s', async (_, spec, spent, warns, exceeds) => {
    const { conditions } = await decided(budget(spec), { spent: spent ?? {} });
    expect([conditions['Warning']?.status, conditions['Exceeded']?.status]).toEqual([warns, exceeds]);
    expect(conditions['Ready']).toMatchObject({ status: 'True', reason: 'Enforced' });
  });

  test('say what becomes of calls, and until when', async () => {
    const spent = { costNanoUsd: 10_000_000_000 };
    const messageOf = async (spec: Partial<Budget['spec']>): Promise<string | undefined> =>
      (await decided(budget(spec), { spent })).conditions['Exceeded']?.message;
    expect(await messageOf({})).toBe(
      'Used up: costUsd. Calls are refused until the period begins anew at 2026-11-30T23:00:00Z.',
    );
    expect(await messageOf({ period: 'total' })).toBe('Used up: costUsd. Calls are refused until the limit is raised.');
    expect(await messageOf({ action: 'warn' })).toBe('Used up: costUsd. Calls are let through all the same.');
  });

  test('complain of a time zone that there is not, and the budget holds in UTC', async () => {
    const { conditions, status } = await decided(budget({ timeZone: 'Europe/Atlantis' }));
    expect(conditions['Stalled']).toMatchObject({ status: 'True', reason: 'InvalidTimeZone' });
    expect(status.periodStart).toBe('2026-11-01T00:00:00Z');
  });
});

describe('events', () => {
  test('tell once that a limit comes near, and that it is reached', async () => {
    const spent = { costNanoUsd: 9_000_000_000 };
    const near = await decided(budget(), { spent });
    expect(near.events).toEqual(['Enforced', 'NearLimit']);
    const again = await decided(budget({}, near.status), { spent });
    expect(again.events).toEqual([]);
    const reached = await decided(budget({}, near.status), { spent: { costNanoUsd: 10_000_000_000 } });
    expect(reached.events).toEqual(['LimitReached']);
  });

  test('tell of calls that were refused since, and count anew in a new period', async () => {
    const first = await decided(budget(), { refusals: 2 });
    expect(first.events).toContain('CallsRefused');
    expect((await decided(budget({}, first.status), { refusals: 2 })).events).toEqual([]);
    const more = await decided(budget({}, first.status), { refusals: 3 });
    expect(more.plan.events?.at(-1)?.note).toBe('1 call was refused, because it might have passed a limit.');
    const october = { ...first.status, periodStart: '2026-09-30T22:00:00Z' };
    expect((await decided(budget({}, october), { refusals: 2 })).events).toEqual(['CallsRefused']);
  });
});

test('a Budget that is deleted is left alone', async () => {
  const gone = budget();
  gone.metadata.deletionTimestamp = '2026-11-21T12:00:00Z';
  expect((await decided(gone)).plan).toEqual({});
});
