import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { verifyStepToken } from '@kadre/store';
import { pino } from 'pino';
import { agentRunWorkflow } from '../core/agent-run.ts';
import { startAgent, type AgentServer, type Behaviour } from '../testing/agent-server.ts';
import { Bench, until } from '../testing/bench.ts';
import { startEngine } from './engine.ts';

let bench: Bench;
let servers: AgentServer[];
beforeEach(async () => {
  bench = await Bench.make();
  servers = [];
});
afterEach(async () => {
  await bench.cleanUp();
  await Promise.all(servers.map((server) => server.close()));
});

async function serve(name: string, behave: Behaviour): Promise<AgentServer> {
  const server = await startAgent(behave);
  servers.push(server);
  bench.agents[name] = server.url;
  return server;
}

const names = (server: AgentServer): string[] => server.asked.map(({ key }) => key);

describe('a run', () => {
  test('of steps in order hands outputs on and ends with the workflow’s output', async () => {
    const writer = await serve('writer', ({ text, data }) => (text === '' ? { data } : { text: `<${text}>` }));
    await bench.startEngine();
    await bench.submit(
      {
        steps: [
          { name: 'one', agent: { name: 'writer', prompt: 'About $(input.topic)' } },
          { name: 'two', agent: { name: 'writer', input: { text: '$(steps.one.output)', twice: '$(input.n * 2)' } } },
        ],
        output: { result: '$(steps.two.output)', run: '$(run.name)' },
      },
      { topic: 'gpu', n: 21 },
    );
    const { status, failure } = await bench.over();
    expect(failure).toBeUndefined();
    expect(status).toMatchObject({
      phase: 'Succeeded',
      progress: '2/2',
      output: { result: { text: '<About gpu>', twice: 42 }, run: 'run-u1' },
      steps: [
        { name: 'one', phase: 'Succeeded', attempt: 1 },
        { name: 'two', phase: 'Succeeded' },
      ],
    });
    expect(names(writer)).toEqual(['one/1', 'two/1']);
    expect(writer.asked[0]?.messageId).toBe('u1/one/1');
  });

  test('of a single agent asks the prompt as it was written', async () => {
    const writer = await serve('writer', ({ text }) => ({ text: ['So: ', text] }));
    await bench.startEngine();
    await bench.submit(agentRunWorkflow({ agent: { name: 'writer', prompt: 'cost $(x) or $$(y)?' } }));
    expect((await bench.over()).status.output).toBe('So: cost $(x) or $$(y)?');
    expect(writer.asked[0]?.data).toBeUndefined();
  });

  test('sends the agent a token that is good for the step alone', async () => {
    const writer = await serve('writer', () => ({ text: 'ok' }));
    await bench.startEngine();
    await bench.submit({ steps: [{ name: 'one', agent: { name: 'writer', prompt: 'x' } }] });
    await bench.over();
    const secret = await bench.store.secret('step-token');
    const token = String(writer.asked[0]?.stepToken);
    expect(verifyStepToken(secret, token, Date.now())).toEqual({
      run: 'u1',
      step: 'one',
      attempt: 1,
      namespace: 'team',
      agent: 'writer',
      expiresAt: expect.any(Number),
    });
  });

  test('asks for a job and takes its outcome', async () => {
    await bench.startEngine();
    bench.agents['batch'] = 'job';
    await bench.submit({ steps: [{ name: 'train', agent: { name: 'batch', prompt: 'go' } }] });
    const job = await bench.job();
    expect(job).toMatchObject({
      key: 'u1/train/1',
      step: 'train',
      work: { agent: { name: 'batch', payload: { prompt: 'go' } } },
    });
    expect(job.name).toMatch(/^run-u1-train-[0-9a-f]{10}$/);
    await bench.store.finishJob(job.key, { output: { loss: 0.5 } });
    expect((await bench.over()).status).toMatchObject({ output: { loss: 0.5 }, steps: [{ job: job.name }] });
  });

  test('waits for a failed step and tries again', async () => {
    const writer = await serve('writer', ({ key }) =>
      key === 'one/1' ? { fail: 'slow down', reason: 'RateLimited' } : { text: 'ok' },
    );
    await bench.startEngine();
    const retry = { limit: 1, backoff: { initial: '1ms' }, reasons: ['RateLimited'] };
    await bench.submit({ steps: [{ name: 'one', retry, agent: { name: 'writer', prompt: 'x' } }] });
    expect((await bench.over()).status).toMatchObject({ phase: 'Succeeded', steps: [{ attempt: 2 }] });
    expect(names(writer)).toEqual(['one/1', 'one/2']);
  });

  test('is cancelled at its agents and in its jobs', async () => {
    const writer = await serve('writer', () => new Promise(() => undefined));
    await bench.startEngine();
    await bench.submit({
      steps: [
        { name: 'one', needs: [], agent: { name: 'writer', prompt: 'x' } },
        { name: 'two', needs: [], container: { image: 'busybox' } },
        { name: 'three', needs: ['one', 'two'], agent: { name: 'writer', prompt: 'x' } },
      ],
    });
    await until(async () => (await bench.store.events('u1')).some(({ type }) => type === 'StepAccepted') || undefined);
    await bench.store.cancelRun('u1', 'not needed any more');
    const { status, failure } = await bench.over();
    expect(failure).toEqual({ reason: 'Cancelled', message: 'not needed any more' });
    expect(status.steps?.map(({ phase }) => phase)).toEqual(['Cancelled', 'Cancelled', 'Cancelled']);
    expect(writer.cancelled).toEqual(['one/1']);
    expect(await bench.store.openJobs()).toMatchObject([{ key: 'u1/two/1', abandoned: true }]);
  });
});

describe('a run that cannot work', () => {
  const schema = { type: 'object', required: ['topic'], properties: { topic: { type: 'string', pattern: '^(a+)+$' } } };
  const steps = [{ name: 'one', agent: { name: 'writer', prompt: 'x' } }];

  test.each<[string, unknown, unknown, { reason: string; message: unknown }]>([
    [
      'lacks input',
      { input: { schema }, steps },
      {},
      { reason: 'InvalidInput', message: "input must have required property 'topic'" },
    ],
    [
      'has the wrong input',
      { input: { schema }, steps },
      { topic: 5 },
      { reason: 'InvalidInput', message: 'input.topic must be string' },
    ],
    [
      'has input that a backtracking pattern would take for ever on',
      { input: { schema }, steps },
      { topic: `${'a'.repeat(50_000)}!` },
      { reason: 'InvalidInput', message: expect.stringMatching(/must match pattern/) },
    ],
    [
      'is of a broken workflow',
      { steps: [{ name: 'one', agent: { name: 'writer', prompt: '$(' } }] },
      {},
      { reason: 'InvalidExpression', message: expect.stringMatching(/^steps\[0\]\.agent\.prompt: /) },
    ],
    ['is of no workflow at all', null, {}, { reason: 'InvalidExpression', message: expect.any(String) }],
    [
      'asks an agent that is not there',
      { steps: [{ name: 'one', agent: { name: 'nobody', prompt: 'x' } }] },
      {},
      { reason: 'AgentNotFound', message: 'step one: there is no agent nobody' },
    ],
    [
      'asks an agent that is out of reach',
      { steps: [{ name: 'one', agent: { name: 'gone', prompt: 'x' } }] },
      {},
      { reason: 'AgentUnavailable', message: expect.stringMatching(/cannot be reached/) },
    ],
  ])('because it %s fails with a reason', async (_, workflow, input, failure) => {
    bench.agents['gone'] = 'http://127.0.0.1:1';
    await serve('writer', () => ({ text: 'ok' }));
    await bench.startEngine({ agentPatience: 200 });
    await bench.submit(workflow, input);
    const projection = await bench.over();
    expect(projection.failure).toEqual(failure);
    expect(projection.status.phase).toBe('Failed');
    expect(await bench.store.openRuns()).toEqual([]);
  });
});

describe('a timeout', () => {
  test('cancels the task at the agent before the step is tried again', async () => {
    const writer = await serve('writer', ({ key }) =>
      key === 'one/1' ? new Promise(() => undefined) : { text: 'ok' },
    );
    await bench.startEngine();
    const retry = { limit: 1, backoff: { initial: '1ms' } };
    await bench.submit({ steps: [{ name: 'one', timeout: '50ms', retry, agent: { name: 'writer', prompt: 'x' } }] });
    expect((await bench.over()).status).toMatchObject({ phase: 'Succeeded', steps: [{ attempt: 2 }] });
    expect(writer.cancelled).toEqual(['one/1']);
    expect(names(writer)).toEqual(['one/1', 'one/2']);
  });

  test('abandons the job, whose late outcome changes nothing', async () => {
    await bench.startEngine();
    await bench.submit({ steps: [{ name: 'train', timeout: '50ms', container: { image: 'busybox' } }] });
    const { key } = await bench.job();
    expect((await bench.over()).failure?.reason).toBe('TimedOut');
    expect(await bench.store.job(key)).toMatchObject({ abandoned: true, timeoutMs: 50 });
    await bench.store.finishJob(key, { output: 1 });
    expect((await bench.over()).status.phase).toBe('Failed');
  });
});

describe('the engine', () => {
  const one = { steps: [{ name: 'one', agent: { name: 'writer', prompt: 'x' } }] };

  test('has only so many tasks at one agent at once, and shares them among runs', async () => {
    let [busy, most] = [0, 0];
    const writer = await serve('writer', async () => {
      most = Math.max(most, ++busy);
      // The first ones stay until all places are taken.
      await until(() => most >= 4 || undefined);
      busy--;
      return { text: 'ok' };
    });
    await bench.startEngine({ tasksPerAgent: 4 });
    const many = {
      steps: [{ name: 'fan', forEach: { items: Array(60).fill(1) }, agent: { name: 'writer', prompt: 'x' } }],
    };
    await bench.submit(many, null, 'greedy');
    await until(() => writer.asked[0]);
    for (let i = 0; i < 20; i++) await bench.submit(one, null, `modest-${i}`);
    for (let i = 0; i < 20; i++) await bench.over(`modest-${i}`);
    expect((await bench.store.projection('greedy'))?.status.phase).toBe('Running');
    expect((await bench.over('greedy')).status.progress).toBe('60/60');
    expect(most).toBe(4);
    expect(writer.asked).toHaveLength(80);
  });

  test('keeps no place at an agent for a step that could not start', async () => {
    await serve('writer', () => ({ text: 'ok' }));
    await bench.startEngine({ tasksPerAgent: 1 });
    await bench.submit(
      { steps: [{ name: 'one', agent: { name: 'writer', prompt: '$(input.missing)' } }] },
      {},
      'broken',
    );
    expect((await bench.over('broken')).failure?.reason).toBe('InvalidExpression');
    await bench.submit(one);
    expect((await bench.over()).status.phase).toBe('Succeeded');
  });

  test('finds runs, cancellations and outcomes of which no word reached it', async () => {
    const deaf = new Proxy(bench.store, {
      get: (store, name, receiver) =>
        name === 'subscribe' ? () => () => undefined : (Reflect.get(store, name, receiver) as unknown),
    });
    await bench.startEngine({ poll: 10 }, deaf);
    const train = { steps: [{ name: 'train', container: { image: 'x' } }] };
    await bench.submit(train, null, 'finished');
    await bench.submit(train, null, 'cancelled');
    const { key } = await bench.job((job) => job.run.uid === 'finished');
    await bench.job((job) => job.run.uid === 'cancelled');
    await bench.store.finishJob(key, { output: 1 });
    await bench.store.cancelRun('cancelled', 'by hand');
    expect((await bench.over('finished')).status.phase).toBe('Succeeded');
    expect((await bench.over('cancelled')).status.phase).toBe('Cancelled');
  });

  test('beside another on the same store asks no step under a second attempt, and records each outcome once', async () => {
    const writer = await serve('writer', ({ key }) => ({ text: key }));
    const other = await bench.open();
    const stop = new AbortController();
    const logger = pino({ level: 'silent' });
    const second = await startEngine({ store: other, agents: bench.directory, logger, signal: stop.signal });
    await bench.startEngine();
    const steps = ['a', 'b', 'c'].map((name) => ({ name, agent: { name: 'writer', prompt: 'x' } }));
    for (let i = 0; i < 10; i++) await bench.submit({ steps }, null, `r${i}`);
    for (let i = 0; i < 10; i++) {
      await bench.over(`r${i}`);
      const types = (await bench.store.events(`r${i}`)).map(({ type }) => type);
      expect(types.filter((type) => type === 'StepSucceeded')).toHaveLength(3);
    }
    expect(new Set(names(writer))).toEqual(new Set(['a/1', 'b/1', 'c/1']));
    stop.abort();
    await second.stopped;
    await other.close();
  });

  test('stops while an agent works, and takes the answer after the next start', async () => {
    let answer: (text: string) => void = () => undefined;
    const writer = await serve('writer', () => new Promise((resolve) => (answer = (text) => resolve({ text }))));
    await bench.startEngine();
    await bench.submit(one);
    await until(async () => (await bench.store.events('u1')).some(({ type }) => type === 'StepAccepted') || undefined);
    await bench.stopEngine();
    answer('meanwhile');
    await bench.startEngine();
    expect((await bench.over()).status.output).toBe('meanwhile');
    expect(writer.asked).toHaveLength(1);
    expect(writer.cancelled).toEqual([]);
  });

  test('that stopped while it was stopping a task stops it after the next start', async () => {
    const writer = await serve('writer', () => new Promise(() => undefined));
    await bench.startEngine();
    await bench.submit(one);
    await until(async () => (await bench.store.events('u1')).some(({ type }) => type === 'StepAccepted') || undefined);
    await bench.stopEngine();
    await bench.store.cancelRun('u1', 'by hand');
    await bench.startEngine();
    expect((await bench.over()).status.phase).toBe('Cancelled');
    expect(writer.cancelled).toEqual(['one/1']);
  });

  test('adds up what the gateway counted', async () => {
    await serve('writer', async ({ key }) => {
      const [step, attempt] = key.split('/');
      const call = { at: 1, namespace: 'team', agent: 'writer', model: 'smart', inputTokens: 100, outputTokens: 10 };
      await bench.store.recordUsage({
        id: key,
        ...call,
        costNanoUsd: 1_500_000,
        run: { uid: 'u1', step: String(step), attempt: Number(attempt) },
      });
      return key === 'one/1' ? { fail: 'no' } : { text: 'ok' };
    });
    await bench.startEngine();
    await bench.submit({ steps: [{ ...one.steps[0], retry: { limit: 1, backoff: { initial: '1ms' } } }] });
    expect((await bench.over()).status.usage).toEqual({ inputTokens: 200, outputTokens: 20, costUsd: '0.003' });
  });
});
