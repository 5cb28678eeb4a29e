// People decide: examples/approval on a real cluster, with the admission policies in force and the control plane killed
// at a bad moment.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { killControlPlane } from '../support/control-plane-pod.ts';
import { eventually, type KubeObject, type Kubectl } from '../support/kubectl.ts';
import {
  createRun,
  example,
  finished,
  kubeconfig,
  makeNamespace,
  ready,
  removeNamespace,
} from '../support/namespace.ts';

let kubectl: Kubectl;
let me: string;
beforeAll(async () => {
  kubectl = await makeNamespace('kadre-e2e-approvals');
  for (const manifest of ['models/simulated', 'agents/content-writer', 'approval/people', 'approval/workflow']) {
    await kubectl.apply(await example(manifest));
  }
  await ready(kubectl, 'agent', 'content-writer');
  await ready(kubectl, 'workflow', 'announcement');
  me = (await kubectl.run(['auth', 'whoami', '-o', 'jsonpath={.status.userInfo.username}'])).trim();
}, 600_000);
afterAll(() => removeNamespace(kubectl));

const announce = (more: object = {}) =>
  createRun(kubectl, 'announcement-', {
    workflow: { name: 'announcement' },
    requestedBy: me,
    input: { subject: 'The office is closed on Friday' },
    ...more,
  });

const phase = (run: string, wanted: string): Promise<KubeObject> =>
  eventually(`run ${run} ${wanted}`, async () => {
    const object = await kubectl.get('run', run);
    if (object?.['status']?.phase === wanted) return object;
    throw new Error(JSON.stringify(object?.['status'] ?? 'no status'));
  });

/** The Approval that the run waits for, found as people find it. */
const asked = (run: string): Promise<KubeObject> =>
  eventually(`an Approval of ${run}`, async () => {
    const [approval] = await kubectl.list('approvals', '-l', `kadre.dev/run-name=${run}`);
    return approval?.['status']?.phase === 'Pending' ? approval : undefined;
  });

/** As a user of a group. Rejects with what kubectl complains about. */
const decide = ({ metadata }: KubeObject, user: string, group: string, spec: object): Promise<string> => {
  const patch = ['patch', 'approval', metadata.name, '--type=merge', '-p', JSON.stringify({ spec })];
  return kubectl.run([...patch, `--as=${user}`, `--as-group=${group}`]);
};

const became = ({ metadata }: KubeObject, wanted: string): Promise<KubeObject> =>
  eventually(`Approval ${metadata.name} ${wanted}`, async () => {
    const object = await kubectl.get('approval', metadata.name);
    return object?.['status']?.phase === wanted ? object : undefined;
  });

const yes = { decision: 'approved', decidedBy: 'ann', answer: { channel: 'blog' } };

describe('a step that asks people', () => {
  test('waits for the right person with the right answer, through the death of the control plane', async () => {
    const run = await announce();
    const waiting = await phase(run, 'Waiting');
    const approval = await asked(run);
    expect(waiting['status'].waitingFor).toMatchObject([{ step: 'sign-off', approval: approval.metadata.name }]);
    expect(approval['spec']).toMatchObject({
      groups: ['editors'],
      requestedBy: me,
      message: expect.stringMatching(/^Shall/),
    });

    await expect(decide(approval, 'eve', 'readers', { ...yes, decidedBy: 'eve' })).rejects.toThrow(/forbidden/i);
    await expect(decide(approval, me, 'editors', { ...yes, decidedBy: me })).rejects.toThrow(
      'somebody else must decide',
    );
    await expect(decide(approval, 'eve', 'editors', yes)).rejects.toThrow('sign with your own name, which is eve');

    await decide(approval, 'ann', 'editors', { ...yes, answer: { channel: 'fax' } });
    await eventually('the answer refused', async () => {
      const conditions = (await kubectl.get('approval', approval.metadata.name))?.['status'].conditions as {
        type: string;
        reason: string;
      }[];
      return conditions.some(({ type, reason }) => type === 'Accepted' && reason === 'InvalidAnswer');
    });

    await killControlPlane(kubeconfig());
    await decide(approval, 'ann', 'editors', yes);
    const { status } = (await finished(kubectl, run)) as KubeObject & { status: { phase: string; output: object } };
    expect(status.phase).toBe('Succeeded');
    expect(status.output).toMatchObject({ channel: 'blog', approvedBy: 'ann' });
    expect((await became(approval, 'Approved'))['status']).toMatchObject({ decidedBy: 'ann' });
    await expect(decide(approval, 'bob', 'editors', { ...yes, decidedBy: 'bob' })).rejects.toThrow('nobody waits');
  }, 600_000);

  test('fails when somebody says no, and a fork asks again without drafting again', async () => {
    const run = await announce();
    await decide(await asked(run), 'ann', 'editors', { decision: 'rejected', decidedBy: 'ann' });
    const failed = await finished(kubectl, run);
    expect(failed['status'].phase).toBe('Failed');
    expect(failed['status'].conditions).toContainEqual(
      expect.objectContaining({ type: 'Stalled', status: 'True', reason: 'ApprovalRejected' }),
    );

    const again = await createRun(kubectl, 'again-', { fork: { run }, requestedBy: me });
    const approval = await asked(again);
    await decide(approval, 'bob', 'editors', { ...yes, decidedBy: 'bob' });
    const { status } = (await finished(kubectl, again)) as KubeObject & { status: Record<string, unknown> };
    expect(status).toMatchObject({ phase: 'Succeeded', output: { approvedBy: 'bob' } });
    expect(status['usage']).toMatchObject({ inputTokens: 0, outputTokens: 0 });
  }, 600_000);

  test('is over when its time is, or when the run is cancelled', async () => {
    const step = (timeout: string) => ({ name: 'ask', approval: { message: 'Quick?', timeout } });
    const late = await createRun(kubectl, 'late-', { inline: { steps: [step('1s')] } });
    const expired = await finished(kubectl, late);
    expect(expired['status'].conditions).toContainEqual(expect.objectContaining({ reason: 'ApprovalRejected' }));

    const run = await createRun(kubectl, 'stopped-', { inline: { steps: [step('1h')] } });
    const approval = await asked(run);
    await kubectl.run(['patch', 'run', run, '--type=merge', '-p', '{"spec":{"cancel":true}}']);
    expect((await finished(kubectl, run))['status'].phase).toBe('Cancelled');
    await became(approval, 'Withdrawn');
  }, 600_000);
});

test('a run that is created suspended begins when it is let go', async () => {
  const run = await announce({ suspend: true });
  await phase(run, 'Paused');
  await kubectl.run(['patch', 'run', run, '--type=merge', '-p', '{"spec":{"suspend":false}}']);
  await asked(run);
  await kubectl.run(['delete', 'run', run]);
  await eventually('its Approval gone', async () => {
    return (await kubectl.list('approvals', '-l', `kadre.dev/run-name=${run}`)).length === 0;
  });
}, 600_000);

test('an agent asks people what it wants to know and may do, and the control plane may die meanwhile', async () => {
  await kubectl.apply(await example('tools/approval'));
  await kubectl.run(['create', 'rolebinding', 'shop', '--clusterrole=kadre-approver', '--group=shop']);
  await ready(kubectl, 'agent', 'florist');
  const run = await createRun(kubectl, 'tulips-', { agent: { name: 'florist', prompt: 'A dozen tulips, please.' } });
  const question = await asked(run);
  expect(question['spec']).toMatchObject({
    step: 'florist',
    message: expect.stringContaining('Red or yellow tulips?'),
  });
  expect((await phase(run, 'Waiting'))['status'].waitingFor).toMatchObject([{ approval: question.metadata.name }]);
  await killControlPlane(kubeconfig());
  const signed = { decision: 'approved', decidedBy: 'bob' };
  await expect(decide(question, 'bob', 'editors', signed)).rejects.toThrow('ask group shop');
  await decide(question, 'bob', 'shop', { ...signed, answer: 'Yellow.' });
  await became(question, 'Approved');
  const call = await eventually('the call that is to be approved', async () => {
    const all = await kubectl.list('approvals', '-l', `kadre.dev/run-name=${run}`);
    return all.find((one) => one['status']?.phase === 'Pending');
  });
  expect(call['spec'].message).toContain('"expression": "12 * 1.20"');
  await decide(call, 'bob', 'shop', signed);
  expect((await finished(kubectl, run))['status']).toMatchObject({ phase: 'Succeeded', output: 'That is 14.4.' });
  expect(await kubectl.list('approvals', '-l', `kadre.dev/run-name=${run}`)).toHaveLength(2);
}, 600_000);
