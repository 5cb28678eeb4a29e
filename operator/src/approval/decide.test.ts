import { describe, expect, test } from '@jest/globals';
import type { Approval, ApprovalStatus, Run } from '@kadre/crds';
import type { ApprovalRecord } from '@kadre/store';
import { run } from '../build/samples.ts';
import { decideApproval } from './decide.ts';
import { desiredApproval } from './desired/approval.ts';

const now = new Date('2026-01-01T12:00:00.000Z');
const article: Run = run();
const form = { schema: { type: 'object', required: ['tone'], properties: { tone: { type: 'string' } } } };

function record(more: Partial<ApprovalRecord> = {}): ApprovalRecord {
  return {
    key: 'uid-article-1/sign-off/1',
    run: { uid: 'uid-article-1', namespace: 'team', name: 'article-1' },
    step: 'sign-off',
    attempt: 1,
    name: 'article-1-sign-off-1a2b',
    message: 'Publish?',
    policy: { groups: ['editors'] },
    state: 'open',
    ...more,
  };
}

/** The Approval as Kadre made it of the record, and as people filled it in. */
function approval(asked: ApprovalRecord, more: Partial<Approval['spec']> = {}, status?: ApprovalStatus): Approval {
  const { metadata, spec, apiVersion, kind } = desiredApproval(asked, article);
  return {
    apiVersion,
    kind,
    metadata: { ...metadata, uid: 'uid-a', resourceVersion: '1', generation: 1, creationTimestamp: '' },
    spec: { ...(spec as Approval['spec']), ...more },
    ...(status && { status }),
  };
}

const yes = { decision: 'approved', decidedBy: 'ann' } as const;

/** What becomes of an Approval that people filled in so. */
function decided(asked: ApprovalRecord, more: Partial<Approval['spec']>, status?: ApprovalStatus) {
  return decideApproval({ record: asked, run: article, approval: approval(asked, more, status) }, now);
}

function statusOf(act: ReturnType<typeof decideApproval>): ApprovalStatus {
  if (act.do !== 'report') throw new Error(`reports nothing, but: ${act.do}`);
  return act.plan.status as ApprovalStatus;
}

const conditions = ({ conditions: all = [] }: ApprovalStatus) =>
  Object.fromEntries(all.map(({ type, status }) => [type, status]));

describe('people are asked', () => {
  test.each<[string, Partial<ApprovalRecord>, object]>([
    ['a call of a tool', { call: { number: 3, hash: 'h' } }, { call: 3 }],
    ['a question of an agent', { question: 2 }, { question: 2 }],
  ])('about %s, by an Approval that says which', (_, more, shown) => {
    const asked = record(more);
    expect(approval(asked).spec).toMatchObject(shown);
    expect(decided(asked, yes).do).toBe('take');
    const other = decideApproval({ record: record(), run: article, approval: approval(asked) }, now);
    expect(other.do).toBe('remove');
  });

  test('by an Approval that belongs to the Run and says all that there is to know', () => {
    const asked = record({
      policy: { groups: ['editors'], users: ['ann'], otherThanRequester: true, form },
      requestedBy: 'bob',
      expiresAt: now.getTime() + 60_000,
    });
    const act = decideApproval({ record: asked, run: article }, now);
    expect(act).toEqual({
      do: 'ask',
      approval: {
        apiVersion: 'kadre.dev/v1alpha1',
        kind: 'Approval',
        metadata: {
          name: 'article-1-sign-off-1a2b',
          namespace: 'team',
          labels: expect.objectContaining({ 'kadre.dev/run-name': 'article-1', 'kadre.dev/step': 'sign-off' }),
          ownerReferences: [expect.objectContaining({ kind: 'Run', uid: 'uid-article-1', controller: true })],
        },
        spec: {
          run: 'article-1',
          step: 'sign-off',
          attempt: 1,
          message: 'Publish?',
          groups: ['editors'],
          users: ['ann'],
          otherThanRequester: true,
          requestedBy: 'bob',
          form,
          expiresAt: '2026-01-01T12:01:00.000Z',
        },
      },
    });
  });

  test('in as many words as an Approval takes', () => {
    const act = decideApproval({ record: record({ message: 'x'.repeat(50_000) }), run: article }, now);
    expect(act.do === 'ask' && (act.approval.spec as { message: string }).message).toHaveLength(32_768);
  });

  test.each<[string, Run | undefined]>([
    ['is not there', undefined],
    ['is on its way out', run(undefined, { deletionTimestamp: '2026-01-01T11:59:59Z' })],
  ])('not while the Run %s', (_, owner) => {
    expect(decideApproval({ record: record(), ...(owner && { run: owner }) }, now)).toMatchObject({ do: 'wait' });
  });

  test('and told whom the run waits for, which is no fault of it', () => {
    const status = statusOf(decided(record({ expiresAt: now.getTime() + 1000 }), {}));
    expect(status).toMatchObject({ phase: 'Pending', observedGeneration: 1 });
    expect(conditions(status)).toEqual({ Ready: 'False', Reconciling: 'True', Stalled: 'False' });
    expect(status.conditions?.[0]?.message).toBe(
      'Waits for a decision by group editors until 2026-01-01T12:00:01.000Z.',
    );
  });

  test('not by an object of somebody else, which stays as it is', () => {
    const stranger = { ...approval(record()), metadata: { ...approval(record()).metadata, ownerReferences: [] } };
    expect(decideApproval({ record: record(), run: article, approval: stranger }, now)).toMatchObject({
      do: 'complain',
      note: expect.stringContaining("which is not Kadre's: delete it"),
    });
  });

  test.each<[string, Partial<Approval['spec']>]>([
    ['another question', { message: 'Delete?' }],
    ['other groups', { groups: ['everybody'] }],
    ['other users', { users: ['eve'] }],
    ['another requester', { requestedBy: 'eve' }],
    ['another step', { step: 'other' }],
  ])('anew if the object asks %s', (_, forged) => {
    expect(decided(record(), { ...forged, ...yes })).toMatchObject({ do: 'remove', ref: { uid: 'uid-a' } });
  });

  test('anew if the object is over, but the engine, having lost its history, asks again', () => {
    expect(decided(record(), {}, { phase: 'Withdrawn' })).toMatchObject({ do: 'remove' });
  });
});

describe('a decision is taken', () => {
  test.each<[string, Partial<Approval['spec']>, object]>([
    ['approved', yes, { approved: true, by: 'ann', at: now.getTime() }],
    ['rejected', { decision: 'rejected', decidedBy: 'bob' }, { approved: false, by: 'bob', at: now.getTime() }],
    ['with an answer', { ...yes, answer: 0 }, { approved: true, by: 'ann', at: now.getTime(), answer: 0 }],
  ])('%s', (_, given, decision) => {
    expect(decided(record(), given)).toEqual({ do: 'take', decision });
  });

  test('that was made already, when the engine has lost its history', () => {
    expect(decided(record(), yes, { phase: 'Approved', decidedBy: 'ann' })).toMatchObject({ do: 'take' });
  });

  const asking = record({ policy: { form } });
  test.each<[string, ApprovalRecord, Partial<Approval['spec']>, string, RegExp]>([
    ['the form is empty', asking, yes, 'InvalidAnswer', /answer must be object: mend spec.answer/],
    ['the form lacks a field', asking, { ...yes, answer: {} }, 'InvalidAnswer', /must have required property 'tone'/],
    ['a field is wrong', asking, { ...yes, answer: { tone: 5 } }, 'InvalidAnswer', /answer\.tone must be string/],
    [
      'the form is none',
      record({ policy: { form: { schema: { type: 'nonsense' } } } }),
      { ...yes, answer: 1 },
      'InvalidAnswer',
      /no JSON Schema/,
    ],
    [
      'the requester decides',
      record({ policy: { otherThanRequester: true }, requestedBy: 'ann' }),
      yes,
      'NotAllowed',
      /ann asked for the run: somebody else must decide/,
    ],
    [
      'nobody knows who the requester is',
      record({ policy: { otherThanRequester: true } }),
      yes,
      'NotAllowed',
      /names no requester/,
    ],
    ['somebody else is asked', record({ policy: { users: ['bob', 'eve'] } }), yes, 'NotAllowed', /ask bob or eve/],
    ['it comes too late', record({ expiresAt: now.getTime() }), yes, 'TooLate', /ended at 2026-01-01T12:00:00.000Z/],
  ])('not if %s: the decider is told, and can mend it', (_, asked, given, reason, message) => {
    const act = decided(asked, given);
    const status = statusOf(act);
    expect(status.phase).toBe('Pending');
    expect(conditions(status)).toEqual({ Ready: 'False', Reconciling: 'True', Stalled: 'False', Accepted: 'False' });
    expect(status.conditions?.find(({ type }) => type === 'Accepted')).toMatchObject({ reason });
    expect(status.conditions?.[0]?.message).toMatch(message);
    expect(act).toMatchObject({ plan: { events: [{ type: 'Warning', reason }] } });
    // The second look at the same decision is no news.
    expect(decided(asked, given, status)).not.toHaveProperty('plan.events');
  });

  test('rejecting needs no form', () => {
    expect(decided(asking, { decision: 'rejected', decidedBy: 'ann' })).toMatchObject({ do: 'take' });
  });

  test('who is asked by group, only the API server knows: users beside groups do not narrow that', () => {
    expect(decided(record({ policy: { groups: ['editors'], users: ['bob'] } }), yes)).toMatchObject({ do: 'take' });
  });
});

describe('what became of it', () => {
  const taken = (approved: boolean) =>
    record({ state: 'decided', decision: { approved, by: 'ann', at: Date.parse('2026-01-01T11:59:00Z') } });

  test.each<[string, ApprovalRecord, Partial<ApprovalStatus>]>([
    ['approved', taken(true), { phase: 'Approved', decidedBy: 'ann', decidedAt: '2026-01-01T11:59:00.000Z' }],
    ['rejected', taken(false), { phase: 'Rejected', decidedBy: 'ann', decidedAt: '2026-01-01T11:59:00.000Z' }],
    ['withdrawn', record({ state: 'withdrawn' }), { phase: 'Withdrawn' }],
    ['withdrawn before its time', record({ state: 'withdrawn', expiresAt: now.getTime() + 1 }), { phase: 'Withdrawn' }],
    ['expired', record({ state: 'withdrawn', expiresAt: now.getTime() }), { phase: 'Expired' }],
  ])('%s', (_, asked, expected) => {
    const act = decided(asked, {});
    expect(statusOf(act)).toMatchObject(expected);
    expect(conditions(statusOf(act))).toMatchObject({ Ready: 'True', Reconciling: 'False', Stalled: 'False' });
    expect(act).toMatchObject({ plan: { events: [{ type: 'Normal', reason: expected.phase }] } });
  });

  test('is what the store has kept, whatever the object says', () => {
    const status = statusOf(decided(taken(false), { decision: 'approved', decidedBy: 'bob' }));
    expect(status).toMatchObject({ phase: 'Rejected', decidedBy: 'ann' });
  });

  test('withdrawn, if the history of the run was removed', () => {
    expect(statusOf(decideApproval({ approval: approval(record()) }, now)).phase).toBe('Withdrawn');
  });

  test('is not told on objects of others, and nothing is made for it', () => {
    const stranger = { ...approval(record()), metadata: { ...approval(record()).metadata, ownerReferences: [] } };
    expect(decideApproval({ approval: stranger }, now)).toEqual({ do: 'wait' });
    expect(decideApproval({ record: taken(true), approval: stranger }, now)).toEqual({ do: 'wait' });
    expect(decideApproval({ record: taken(true), run: article }, now)).toEqual({ do: 'wait' });
  });
});
