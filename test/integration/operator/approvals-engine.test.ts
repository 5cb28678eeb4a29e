// The operator and the engine together: what a step asks people becomes an Approval, and what they decide moves the run on.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { startEngine } from '@kadre/engine';
import { pino } from 'pino';
import { approvalTools, startApprovalsBed, type ApprovalsBed } from './approvals-bed.ts';
import { conditionOf, eventually, field, KADRE, startMs, type Seen } from './bed.ts';

let bed: ApprovalsBed;
let namespace: string;
let count = 0;
const ending = new AbortController();
let engine: Awaited<ReturnType<typeof startEngine>>;

beforeAll(async () => {
  bed = await startApprovalsBed();
  await bed.startOperator();
  engine = await startEngine({
    store: bed.store,
    agents: { resolve: () => ({ found: false, serving: false, url: '' }) },
    logger: pino({ level: 'silent' }),
    signal: ending.signal,
  });
}, startMs);
afterAll(async () => {
  ending.abort();
  await engine.stopped;
  await bed.stop();
});

beforeEach(async () => {
  namespace = await bed.namespace(`engine-${++count}`);
  const everybody = ['--clusterrole=kadre-approver', '--group=system:authenticated'];
  await bed.kubectl(['-n', namespace, 'create', 'rolebinding', 'approvers', ...everybody]);
});

const { applyRun, phase, kubectl, runRef } = approvalTools(() => ({ bed, namespace }));

/** The only Approval that is open in the namespace. */
const open = (not?: string): Promise<Seen> =>
  eventually('an open Approval', async () => {
    const all = await bed.list(KADRE, 'Approval', namespace);
    return all.find((one) => field(one, 'status.phase') === 'Pending' && one.metadata.uid !== not);
  });
const decide = ({ metadata }: Seen, spec: object, user = 'ann', group = 'editors') =>
  kubectl(
    ['patch', 'approval', metadata.name, '--type=merge', '-p', JSON.stringify({ spec }), '--as', user].concat([
      '--as-group',
      group,
    ]),
  );
const became = ({ metadata }: Seen, wanted: string) =>
  eventually(`${metadata.name} ${wanted}`, async () => {
    const live = await bed.get({ apiVersion: KADRE, kind: 'Approval', namespace, name: metadata.name });
    return field(live, 'status.phase') === wanted;
  });

const form = { schema: { type: 'object', required: ['copies'], properties: { copies: { type: 'integer' } } } };
const ask = (more: object = {}) => ({ name: 'ask', approval: { message: 'Print $(input.title)?', ...more } });
const inline = (step: object, more: object = {}) => ({
  inline: { steps: [step], output: '$(steps.ask.output)', ...more },
  input: { title: 'Poems' },
});
const yes = (copies: unknown) => ({ decision: 'approved', decidedBy: 'ann', answer: { copies } });

describe('a step that asks', () => {
  test('waits, says for whom, and goes on with the answer, and who gave it', async () => {
    await applyRun(inline(ask({ groups: ['editors'], form })));
    const waiting = await phase('first', 'Waiting');
    const approval = await open();
    expect(field(approval, 'spec.message')).toBe('Print Poems?');
    expect(field(waiting, 'status.waitingFor')).toMatchObject([{ step: 'ask', approval: approval.metadata.name }]);
    expect(conditionOf(waiting, 'Reconciling')?.message).toContain(`Approval ${approval.metadata.name}`);
    await decide(approval, yes('many'));
    await decideAgain(approval, yes(3));
    const done = await phase('first', 'Succeeded');
    expect(field(done, 'status.output')).toMatchObject({ approved: true, answer: { copies: 3 }, by: 'ann' });
    await became(approval, 'Approved');
  }, 60_000);

  /** Once the first decision has been refused. */
  async function decideAgain(approval: Seen, spec: object): Promise<void> {
    const ref = { apiVersion: KADRE, kind: 'Approval', namespace, name: approval.metadata.name };
    await bed.condition(ref, 'Accepted', 'False', 'InvalidAnswer');
    await decide(approval, spec);
  }

  test('fails when somebody says no; a fork asks anew', async () => {
    await applyRun(inline(ask()));
    const approval = await open();
    await decide(approval, { decision: 'rejected', decidedBy: 'ann' });
    const failed = await phase('first', 'Failed');
    expect(conditionOf(failed, 'Stalled')).toMatchObject({ reason: 'ApprovalRejected' });
    await became(approval, 'Rejected');

    await applyRun({ fork: { run: 'first' } }, 'second');
    await decide(await open(approval.metadata.uid), { decision: 'approved', decidedBy: 'ann' });
    expect(field(await phase('second', 'Succeeded'), 'status.output')).toMatchObject({ approved: true, by: 'ann' });
  }, 60_000);

  test.each([
    ['reject', 'Failed'],
    ['approve', 'Succeeded'],
  ])('when nobody decides in time, onTimeout: %s', async (onTimeout, end) => {
    await applyRun(inline(ask({ timeout: '1s', onTimeout })));
    await phase('first', end);
    await eventually('the Approval Expired', async () => {
      const all = await bed.list(KADRE, 'Approval', namespace);
      // The operator may have been too slow to ask in that second.
      return all.every((one) => field(one, 'status.phase') === 'Expired');
    });
  });

  test('is not waited for when the run is cancelled', async () => {
    await applyRun(inline(ask()));
    const approval = await open();
    await bed.client.patch(runRef(), { spec: { cancel: true } });
    await phase('first', 'Cancelled');
    await became(approval, 'Withdrawn');
  }, 60_000);

  test('of everybody in a list has an Approval for each', async () => {
    const each = { ...ask(), forEach: { items: ['a', 'b', 'c'] } };
    await applyRun(inline(each));
    for (let decided = 0; decided < 3; decided++) {
      const approval = await open();
      await decide(approval, { decision: 'approved', decidedBy: 'ann', answer: field(approval, 'spec.step') });
      await became(approval, 'Approved');
    }
    const done = await phase('first', 'Succeeded');
    const answers = (field(done, 'status.output') as { answer: string }[]).map(({ answer }) => answer);
    expect(answers).toEqual(['ask[0]', 'ask[1]', 'ask[2]']);
  }, 60_000);

  test('somebody else than who asked needs to know who asked', async () => {
    await applyRun(
      inline({ name: 'ask', steps: [ask({ otherThanRequester: true })].map((one) => ({ ...one, name: 'inner' })) }),
    );
    expect(conditionOf(await phase('first', 'Failed'), 'Stalled')?.reason).toBe('RequesterMissing');
  }, 60_000);
});

test('a run that is suspended while it waits goes on where it was', async () => {
  await applyRun(inline(ask()));
  const approval = await open();
  await bed.client.patch(runRef(), { spec: { suspend: true } });
  await phase('first', 'Paused');
  await decide(approval, { decision: 'approved', decidedBy: 'ann' });
  await became(approval, 'Approved');
  await bed.client.patch(runRef(), { spec: { suspend: false } });
  await phase('first', 'Succeeded');
}, 60_000);
