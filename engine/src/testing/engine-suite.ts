// What an engine promises beyond the steps of one run, on whatever store: people, events, queues, other runs.
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { startAgent, type AgentServer, type Behaviour } from './agent-server.ts';
import { until, type Bench } from './bench.ts';

let bench: Bench;
let servers: AgentServer[];

/** `open`: makes a bench on a store of its own. */
export function describeEngineOn(store: string, open: () => Promise<Bench>): void {
  describe(`an engine on ${store}`, () => {
    beforeEach(async () => {
      bench = await open();
      servers = [];
    });
    afterEach(async () => {
      await bench.cleanUp();
      await Promise.all(servers.map((server) => server.close()));
    });
    describe('asks people', describePeople);
    describe('records of agents', describeAgents);
    describe('waits for events', describeEvents);
    describe('shares places among runs', describeQueues);
    describe('builds on other runs', describeOtherRuns);
    describe('can be told', describeControls);
  });
}

async function serve(name: string, behave: Behaviour = () => ({ text: 'ok' })): Promise<AgentServer> {
  const server = await startAgent(behave);
  servers.push(server);
  bench.agents[name] = server.url;
  return server;
}

const ask = (name: string, more: object = {}) => ({ name, agent: { name: 'writer', prompt: name }, ...more });
const asked = (server: AgentServer): string[] => server.asked.map(({ key }) => key);
const eventTypes = async (uid = 'u1'): Promise<string[]> => (await bench.store.events(uid)).map(({ type }) => type);

function describePeople(): void {
  const sign = {
    steps: [
      {
        name: 'sign',
        approval: {
          message: 'Publish $(input.title)?',
          groups: ['editors'],
          form: { schema: { type: 'object' } },
          timeout: '1h',
        },
      },
    ],
  };

  test('with an approval that says what it is about, and takes the decision with who and when', async () => {
    await bench.startEngine();
    await bench.submit(sign, { title: 'GPUs' }, 'u1', { requestedBy: 'bob' });
    const [request] = await until(async () => {
      const open = await bench.store.openApprovals();
      return open.length > 0 ? open : undefined;
    });
    expect(request).toMatchObject({
      key: 'u1/sign/1',
      message: 'Publish GPUs?',
      policy: { groups: ['editors'], form: { schema: { type: 'object' } } },
      requestedBy: 'bob',
      state: 'open',
    });
    const { status } = await bench.projected((one) => one.status.phase === 'Waiting');
    expect(status.waitingFor).toEqual([
      { step: 'sign', approval: request?.name, until: new Date(request?.expiresAt ?? 0).toISOString() },
    ]);
    await bench.store.decideApproval('u1/sign/1', { approved: true, answer: { n: 1 }, by: 'anna', at: 1000 });
    const { status: end } = await bench.over();
    expect(end.output).toEqual({ approved: true, answer: { n: 1 }, by: 'anna', at: '1970-01-01T00:00:01.000Z' });
    const data = (await bench.store.events('u1')).find(({ type }) => type === 'StepSucceeded')?.data;
    expect(data).toMatchObject({ source: { kind: 'approval', by: 'anna' } });
  });

  test('and fails the step when they say no', async () => {
    await bench.startEngine();
    await bench.submit(sign, { title: 'x' });
    await until(async () => (await bench.store.openApprovals())[0]);
    await bench.store.decideApproval('u1/sign/1', { approved: false, by: 'anna', at: 1000 });
    expect((await bench.over()).failure).toEqual({
      reason: 'ApprovalRejected',
      message: 'step sign: anna rejected it',
    });
  });

  test('and withdraws the question when nobody needs the answer any more', async () => {
    await bench.startEngine();
    await bench.submit(sign, { title: 'x' });
    await until(async () => (await bench.store.openApprovals())[0]);
    await bench.store.cancelRun('u1', 'not needed');
    expect((await bench.over()).status.phase).toBe('Cancelled');
    expect(await bench.store.approvalsOfRun('u1')).toMatchObject([{ state: 'withdrawn' }]);
    expect(await bench.store.decideApproval('u1/sign/1', { approved: true, by: 'anna', at: 1 })).toBe(false);
  });

  test('and finds what was decided while it was away', async () => {
    await bench.startEngine();
    await bench.submit(sign, { title: 'x' });
    await until(async () => (await bench.store.openApprovals())[0]);
    await bench.stopEngine();
    await bench.store.decideApproval('u1/sign/1', { approved: true, by: 'anna', at: 1 });
    await bench.startEngine();
    expect((await bench.over()).status.phase).toBe('Succeeded');
  });
}

function describeAgents(): void {
  test('what others do for them, and shows it as parts of the step', async () => {
    let release: () => void = () => undefined;
    const open = new Promise<void>((resolve) => (release = resolve));
    await serve('writer', async (_, __, tell) => {
      tell({ id: 'facts-1', agent: 'checker', phase: 'Running' });
      tell({ id: 'facts-1', agent: 'checker', phase: 'Running' });
      tell({ id: '../etc', agent: 'nobody', phase: 'Running' });
      await open;
      tell({ id: 'facts-1', agent: 'checker', phase: 'Succeeded' });
      return { text: 'ok' };
    });
    await bench.startEngine();
    await bench.submit({ steps: [ask('draft')] });
    const part = { name: 'draft/facts-1', agent: 'checker' };
    const { status } = await bench.projected((one) => (one.status.steps?.length ?? 0) > 1);
    expect(status.steps?.[1]).toEqual({ ...part, phase: 'Running' });
    release();
    const end = (await bench.over()).status;
    expect(end.steps?.[1]).toMatchObject({ ...part, phase: 'Succeeded' });
    const recorded = (await bench.store.events('u1')).filter(({ type }) => type === 'StepDelegated');
    expect(recorded.map(({ data }) => (data as { delegation: object }).delegation)).toEqual([
      { id: 'facts-1', agent: 'checker', phase: 'Running' },
      { id: 'facts-1', agent: 'checker', phase: 'Succeeded' },
    ]);
  });
}

function describeEvents(): void {
  const paid = (id: string, sum: number) => ({
    id,
    namespace: 'team',
    name: 'paid',
    payload: { sum },
    at: Date.now() + 1000,
  });
  const wait = (more: object = {}) => ({
    steps: [{ name: 'paid', wait: { event: { name: 'paid', filter: '$(event.sum >= input)' } }, ...more }],
  });

  test('of which the first that fits ends the wait', async () => {
    await bench.startEngine();
    await bench.submit(wait(), 5);
    await bench.projected(({ status }) => status.phase === 'Waiting');
    await bench.store.publishEvent(paid('e1', 1));
    await bench.store.publishEvent({ ...paid('e2', 9), namespace: 'elsewhere' });
    await bench.store.publishEvent(paid('e3', 7));
    expect((await bench.over()).status.output).toEqual({ sum: 7 });
  });

  test('that came while it was away, and takes each one once', async () => {
    await bench.startEngine();
    await bench.submit(wait({ repeat: { max: 2 } }), 5);
    await bench.projected(({ status }) => status.phase === 'Waiting');
    await bench.stopEngine();
    await bench.store.publishEvent(paid('e1', 6));
    await bench.startEngine();
    await bench.projected(({ status }) => status.progress === '1/2');
    await bench.store.publishEvent(paid('e1', 6));
    await bench.store.publishEvent(paid('e2', 8));
    expect((await bench.over()).status.output).toEqual({ sum: 8 });
  });
}

function describeQueues(): void {
  const held = (concurrency: object) => ({ steps: [ask('work')], concurrency: { key: '$(input)', ...concurrency } });
  let release: () => void;
  let open: Promise<void>;
  beforeEach(() => {
    open = new Promise((resolve) => (release = resolve));
  });
  const slowly = () => serve('writer', () => open.then(() => ({ text: 'ok' })));

  test('of the same key: so many at once, in the order in which they came', async () => {
    const writer = await slowly();
    await bench.startEngine();
    await bench.submit(held({ limit: 1 }), 'x', 'r1');
    await bench.projected(({ status }) => status.phase === 'Running', 'r1');
    await bench.submit(held({ limit: 1 }), 'x', 'r2');
    await bench.projected(({ status }) => status.phase === 'Queued', 'r2');
    await bench.submit(held({ limit: 1 }), 'x', 'r3');
    await bench.submit(held({ limit: 1 }), 'other', 'r4');
    await bench.projected(({ status }) => status.phase === 'Queued', 'r3');
    await until(() => (writer.asked.length === 2 ? true : undefined));
    release();
    for (const uid of ['r1', 'r2', 'r3', 'r4']) expect((await bench.over(uid)).status.phase).toBe('Succeeded');
    const order = writer.asked.map(({ messageId }) => messageId.split('/')[0]).filter((uid) => uid !== 'r4');
    expect(order).toEqual(['r1', 'r2', 'r3']);
  });

  test('or refuses the newcomer, if the workflow says so', async () => {
    await slowly();
    await bench.startEngine();
    await bench.submit(held({ onConflict: 'reject' }), 'x', 'r1');
    await bench.projected(({ status }) => status.phase === 'Running', 'r1');
    await bench.submit(held({ onConflict: 'reject' }), 'x', 'r2');
    expect((await bench.over('r2')).failure?.reason).toBe('ConcurrencyConflict');
    release();
    expect((await bench.over('r1')).status.phase).toBe('Succeeded');
  });

  test('or cancels the one at work, if the workflow says so', async () => {
    await slowly();
    await bench.startEngine();
    await bench.submit(held({ onConflict: 'cancel' }), 'x', 'r1');
    await bench.projected(({ status }) => status.phase === 'Running', 'r1');
    await bench.submit(held({ onConflict: 'cancel' }), 'x', 'r2');
    expect((await bench.over('r1')).failure?.message).toBe('The run run-r2 takes its place.');
    release();
    expect((await bench.over('r2')).status.phase).toBe('Succeeded');
  });

  test('of a budget: no more than it admits, until it is raised', async () => {
    await slowly();
    bench.budget('all', { concurrentRuns: 1 });
    bench.budget('others', { concurrentRuns: 1 }, { workflows: ['other'] });
    await bench.startEngine();
    const workflow = { steps: [ask('work')] };
    await bench.submit(workflow, null, 'r1');
    await bench.projected(({ status }) => status.phase === 'Running', 'r1');
    for (const uid of ['r2', 'r3', 'r4']) await bench.submit(workflow, null, uid);
    const held = await bench.projected(({ status }) => status.phase === 'Queued', 'r3');
    expect(held.status.waitingFor).toEqual([{ queue: 'budget:team/all' }]);
    bench.budget('all', { concurrentRuns: 2 });
    await bench.projected(({ status }) => status.phase === 'Running', 'r2');
    await bench.stopEngine();
    await bench.startEngine();
    expect((await bench.store.projection('r3'))?.status.phase).toBe('Queued');
    release();
    for (const uid of ['r1', 'r2', 'r3', 'r4']) expect((await bench.over(uid)).status.phase).toBe('Succeeded');
  });

  test('of a workflow and of a budget, one after the other', async () => {
    await slowly();
    bench.budget('all', { concurrentRuns: 1 });
    await bench.startEngine();
    await bench.submit({ steps: [ask('work')] }, null, 'r1');
    await bench.projected(({ status }) => status.phase === 'Running', 'r1');
    for (const uid of ['r2', 'r3']) await bench.submit(held({ limit: 1 }), 'x', uid);
    const queueOf = async (uid: string) => (await bench.store.projection(uid))?.status.waitingFor?.[0]?.queue;
    await until(async () => {
      const queues = await Promise.all(['r2', 'r3'].map(queueOf));
      return queues.includes('budget:team/all') && queues.includes('team/test/x') ? true : undefined;
    });
    release();
    for (const uid of ['r1', 'r2', 'r3']) expect((await bench.over(uid)).status.phase).toBe('Succeeded');
  });
}

function describeOtherRuns(): void {
  test('by taking over what they have recorded', async () => {
    const writer = await serve('writer', ({ key }) =>
      key === 'b/1' ? { fail: 'no', reason: 'ModelFailed' } : { text: key },
    );
    const workflow = { steps: [ask('a'), ask('b'), ask('c')] };
    await bench.startEngine();
    await bench.submit(workflow);
    expect((await bench.over()).status.phase).toBe('Failed');
    servers.splice(0, 1);
    await writer.close();
    const better = await serve('writer', ({ key }) => ({ text: key }));
    await bench.submit(workflow, null, 'u2', { fork: { run: 'u1' } });
    expect((await bench.over('u2')).status).toMatchObject({ phase: 'Succeeded', output: 'c/1' });
    expect(asked(better)).toEqual(['b/1', 'c/1']);
  });

  test('but not on those that nobody knows, nor from steps that are not there', async () => {
    await bench.startEngine();
    await bench.submit({ steps: [ask('a')] }, null, 'u1', { fork: { run: 'lost' } });
    expect((await bench.over()).failure?.reason).toBe('RunNotFound');
    await bench.submit({ steps: [ask('a')] }, null, 'u2', { fork: { run: 'u1', from: 'z' } });
    expect((await bench.over('u2')).failure).toEqual({
      reason: 'InvalidInput',
      message: 'fork.from: the workflow has no step z',
    });
  });

  test('by remembering outputs under a key', async () => {
    const writer = await serve('writer', ({ key }) => ({ text: key }));
    const workflow = { steps: [ask('look', { cache: { key: '$(input)', ttl: '1h' } })] };
    await bench.startEngine();
    await bench.submit(workflow, 'x');
    await bench.over();
    await bench.submit(workflow, 'x', 'u2');
    await bench.submit(workflow, 'y', 'u3');
    expect((await bench.over('u2')).status).toMatchObject({ output: 'look/1', steps: [{ reason: 'Cached' }] });
    await bench.over('u3');
    expect(writer.asked.map(({ messageId }) => messageId)).toEqual(['u1/look/1', 'u3/look/1']);
  });

  test('by calling workflows that were pinned with the run', async () => {
    await serve('writer', ({ text }) => ({ text: `<${text}>` }));
    const inner = {
      input: { schema: { type: 'string' } },
      steps: [ask('x', { agent: { name: 'writer', prompt: '$(input)' } })],
    };
    await bench.startEngine();
    await bench.submit({ steps: [{ name: 'call', workflow: { name: 'inner', input: '$(input)' } }] }, 'deep', 'u1', {
      workflows: { inner },
    });
    expect((await bench.over()).status.output).toBe('<deep>');
    await bench.submit({ steps: [{ name: 'call', workflow: { name: 'inner', input: '$(input)' } }] }, 7, 'u2', {
      workflows: { inner },
    });
    expect((await bench.over('u2')).failure?.reason).toBe('InvalidInput');
  });
}

function describeControls(): void {
  test('to pause a run, before it begins or later, and to go on', async () => {
    let release: () => void = () => undefined;
    const open = new Promise<void>((resolve) => (release = resolve));
    const writer = await serve('writer', ({ key }) =>
      key === 'a/1' ? open.then(() => ({ text: 'a' })) : { text: 'b' },
    );
    await bench.submit({ steps: [ask('a'), ask('b')] });
    await bench.store.suspendRun('u1', true);
    await bench.startEngine();
    await bench.projected(({ status }) => status.phase === 'Paused');
    expect(await eventTypes()).toEqual(['RunSuspended']);
    await bench.store.suspendRun('u1', false);
    await until(() => (writer.asked.length > 0 ? true : undefined));
    await bench.store.suspendRun('u1', true);
    await bench.projected(({ status }) => status.phase === 'Paused');
    release();
    await bench.projected(({ status }) => status.progress === '1/2');
    expect(asked(writer)).toEqual(['a/1']);
    await bench.store.suspendRun('u1', false);
    expect((await bench.over()).status.phase).toBe('Succeeded');
  });

  test('to cancel a run that is paused', async () => {
    await bench.submit({ steps: [ask('a')] });
    await bench.store.suspendRun('u1', true);
    await bench.startEngine();
    await bench.projected(({ status }) => status.phase === 'Paused');
    await bench.store.cancelRun('u1', 'not needed');
    expect((await bench.over()).status.phase).toBe('Cancelled');
  });
}
