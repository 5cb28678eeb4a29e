import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { verifyStepToken } from '@kadre/store';
import { agentRunWorkflow } from '../core/agent-run.ts';
import { startAgent, type AgentServer, type Behaviour } from '../testing/agent-server.ts';
import { Bench, until } from '../testing/bench.ts';

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
