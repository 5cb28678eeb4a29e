// What the gateway asks people on behalf of an agent, as the run shows it, and what becomes of it when nobody needs it any more.
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { ApprovalRequest } from '@kadre/store';
import { startAgent, type AgentServer, type Behaviour } from '../testing/agent-server.ts';
import { Bench, until } from '../testing/bench.ts';

let bench: Bench;
let writer: AgentServer;
let release: () => void;
beforeEach(async () => {
  bench = await Bench.make();
  const open = new Promise<void>((resolve) => (release = resolve));
  const behave: Behaviour = ({ key }) => (key === 'draft/1' ? open.then(() => ({ text: 'ok' })) : { text: 'ok' });
  writer = await startAgent(behave);
  bench.agents['writer'] = writer.url;
});
afterEach(async () => {
  await bench.cleanUp();
  await writer.close();
});

const ask = (name: string, more: object = {}) => ({ name, agent: { name: 'writer', prompt: name }, ...more });
const request = (call: number, step = 'draft', attempt = 1): ApprovalRequest => ({
  key: `u1/${step}/${attempt}/${call}`,
  run: { uid: 'u1', namespace: 'team', name: 'run-u1' },
  step,
  attempt,
  call: { number: call, hash: 'h' },
  name: `approval-${call}`,
  message: 'Pay?',
  policy: {},
});
const yes = { approved: true, by: 'bob', at: 1 };
const begun = () => until(() => (writer.asked.length > 0 ? true : undefined));
const stateOf = async (key: string) => (await bench.store.approval(key))?.state;

test('the run waits for it, names it, and goes on with the decision', async () => {
  await bench.startEngine();
  await bench.submit({ steps: [ask('draft')] });
  await begun();
  await bench.store.askApproval({ ...request(2), expiresAt: 4_000_000_000_000 });
  await bench.store.askApproval(request(3, 'draft/7'));
  const both = await bench.projected(({ status }) => status.waitingFor?.length === 2);
  expect(both.status).toMatchObject({
    phase: 'Waiting',
    steps: [{ name: 'draft', phase: 'Waiting' }],
    waitingFor: [
      { step: 'draft', approval: 'approval-2', until: '2096-10-02T07:06:40.000Z' },
      { step: 'draft', approval: 'approval-3' },
    ],
  });
  await bench.store.decideApproval('u1/draft/1/2', yes);
  await bench.projected(({ status }) => status.waitingFor?.length === 1);
  await bench.store.withdrawApproval(request(3, 'draft/7').key);
  const { status } = await bench.projected((one) => one.status.phase === 'Running');
  expect(status.steps).toMatchObject([{ name: 'draft', phase: 'Running' }]);
  release();
  expect((await bench.over()).status.phase).toBe('Succeeded');
});

test('an engine that was away finds what was asked and what was decided', async () => {
  await bench.startEngine();
  await bench.submit({ steps: [ask('draft')] });
  await begun();
  await bench.store.askApproval(request(2));
  await bench.projected(({ status }) => status.phase === 'Waiting');
  await bench.stopEngine();
  await bench.store.decideApproval('u1/draft/1/2', yes);
  await bench.store.askApproval(request(3));
  await bench.startEngine();
  const { status } = await bench.projected((one) => one.status.waitingFor?.[0]?.approval === 'approval-3');
  expect(status.waitingFor).toHaveLength(1);
  release();
  expect((await bench.over()).status.phase).toBe('Succeeded');
  expect(await stateOf('u1/draft/1/3')).toBe('withdrawn');
});

test('what an attempt has asked ends with it', async () => {
  await bench.startEngine();
  await bench.submit({ steps: [ask('draft'), ask('hold', { needs: [] })] });
  await begun();
  await bench.store.askApproval(request(2));
  await bench.projected(({ status }) => status.waitingFor?.[0]?.approval === 'approval-2');
  release();
  expect((await bench.over()).status.phase).toBe('Succeeded');
  expect(await stateOf('u1/draft/1/2')).toBe('withdrawn');
});

test('a pod that asks for an attempt that is over is heard by nobody', async () => {
  let hold: () => void = () => undefined;
  const held = new Promise<void>((resolve) => (hold = resolve));
  const slow = await startAgent(() => held.then(() => ({ text: 'ok' })));
  bench.agents['slow'] = slow.url;
  await bench.startEngine();
  await bench.submit({ steps: [ask('draft'), { name: 'hold', agent: { name: 'slow', prompt: 'x' } }] });
  await begun();
  release();
  await bench.projected(({ status }) => status.steps?.[1]?.phase === 'Running');
  await bench.store.askApproval(request(2));
  await until(async () => ((await stateOf('u1/draft/1/2')) === 'withdrawn' ? true : undefined));
  hold();
  expect((await bench.over()).status.phase).toBe('Succeeded');
  await slow.close();
});

describe('an agent that asks for more input', () => {
  /** Asks for a colour, then for a size, and tells what it has heard. */
  const curious: Behaviour = ({ text, key }) => {
    if (key === 'draft/1') return { question: 'Which colour?' };
    return text.includes('red') ? { question: 'Which size?' } : { text: `So be it: ${text}` };
  };
  const open = () => until(async () => (await bench.store.openApprovals())[0]);

  beforeEach(async () => {
    await writer.close();
    writer = await startAgent(curious);
    bench.agents['writer'] = writer.url;
    await bench.startEngine();
  });

  test('gets the words of people, in the same task', async () => {
    await bench.submit({ steps: [ask('draft')], output: '$(steps.draft.output)' }, null, 'u1', { requestedBy: 'ann' });
    const first = await open();
    expect(first).toMatchObject({
      key: 'u1/draft/1/question-1',
      question: 1,
      message: 'Which colour?',
      requestedBy: 'ann',
      policy: { form: { schema: { type: 'string' } } },
    });
    const { status } = await bench.projected((one) => one.status.phase === 'Waiting');
    expect(status.waitingFor).toEqual([{ step: 'draft', approval: first.name }]);
    await bench.store.decideApproval(first.key, { ...yes, answer: 'red' });
    const second = await until(async () => (await bench.store.openApprovals()).find(({ key }) => key !== first.key));
    expect(second).toMatchObject({ key: 'u1/draft/1/question-2', message: 'Which size?' });
    await bench.store.decideApproval(second.key, { ...yes, answer: 'large' });
    const over = await bench.over();
    expect(over.status).toMatchObject({ phase: 'Succeeded', output: 'So be it: large' });
    expect(writer.asked.map(({ text }) => text)).toEqual(['draft', 'red', 'large']);
    expect(new Set(writer.asked.map(({ messageId }) => messageId)).size).toBe(3);
  });

  test('is cancelled, and the step fails, when people decline', async () => {
    await bench.submit({ steps: [ask('draft')] });
    await bench.store.decideApproval((await open()).key, { approved: false, by: 'bob', at: 1 });
    const { failure } = await bench.over();
    expect(failure).toMatchObject({
      reason: 'ApprovalRejected',
      message: 'step draft: bob declined to answer the agent',
    });
    expect(writer.calls).toContain('CancelTask');
  });

  test.each(['before', 'after'])('waits through the death of the engine: decided %s it is back', async (when) => {
    await bench.submit({ steps: [ask('draft')] });
    const { key } = await open();
    await bench.projected((one) => one.status.phase === 'Waiting');
    await bench.stopEngine();
    const decide = () => bench.store.decideApproval(key, { ...yes, answer: 'blue' });
    if (when === 'before') await decide();
    await bench.startEngine();
    if (when === 'after') await decide();
    expect((await bench.over()).status.phase).toBe('Succeeded');
    expect(writer.asked.map(({ text }) => text)).toEqual(['draft', 'blue']);
    expect(await bench.store.approvalsOfRun('u1')).toHaveLength(1);
  });

  test('asks nobody any more once the run is cancelled', async () => {
    await bench.submit({ steps: [ask('draft')] });
    const { key } = await open();
    await bench.store.cancelRun('u1', 'enough');
    expect((await bench.over()).status.phase).toBe('Cancelled');
    expect(await stateOf(key)).toBe('withdrawn');
  });
});
