// Kills the engine before and after each of its writes, and lets the store fail there: the end must be the same.
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { startAgent, type AgentServer } from '../testing/agent-server.ts';
import { Bench } from '../testing/bench.ts';
import { FailingStore, type Fault } from '../testing/failing-store.ts';

const ask = (name: string, prompt: string) => ({ name, agent: { name: 'writer', prompt } });
const workflow = {
  steps: [
    ask('plan', 'Plan $(input.topics)'),
    {
      ...ask('work', '$(topic): $(steps.plan.output)'),
      forEach: { items: '$(input.topics)', as: 'topic', parallelism: 2 },
      retry: { limit: 2, backoff: { initial: '1ms' }, reasons: ['RateLimited'] },
    },
    { name: 'train', needs: ['plan'], container: { image: 'busybox', args: ['$(steps.plan.output)'] } },
    { ...ask('never', 'x'), needs: ['train'], when: '$(steps.train.output.loss > 1)' },
    { ...ask('end', '$(steps.work.output) $(steps.train.output.loss)'), needs: ['never', 'work'] },
  ],
  output: { end: '$(steps.end.output)', never: '$(steps.never.output)' },
};

let bench: Bench;
let agent: AgentServer;
let executed: string[];
let stopOperator: () => void;
beforeEach(async () => {
  bench = await Bench.make();
  executed = [];
  agent = await startAgent(({ key, text }) => {
    executed.push(key);
    return key === 'work[1]/1' ? { fail: 'slow down', reason: 'RateLimited' } : { text: `<${text}>` };
  });
  bench.agents['writer'] = agent.url;
  stopOperator = playOperator();
  await bench.submit(workflow, { topics: ['a', 'b', 'c'] });
});
afterEach(async () => {
  stopOperator();
  await bench.cleanUp();
  await agent.close();
});

/** Creates each Job that is asked for and reports its end, as often as it is told of it. */
function playOperator(): () => void {
  const { store } = bench;
  return store.subscribe('jobs', (key) => {
    void store.jobCreated(key, 'uid-of-job').then(() => store.finishJob(key, { output: { loss: 0.5 } }));
  });
}

async function theEnd() {
  const { status, failure } = await bench.over();
  const steps = status.steps?.map(({ name, phase, attempt, job }) => ({ name, phase, attempt, job }));
  const types = (await bench.store.events('u1')).map(({ type }) => type);
  return {
    end: { phase: status.phase, progress: status.progress, output: status.output, failure, steps },
    executed: [...executed].sort(),
    settled: types.filter((type) => type === 'StepSucceeded' || type === 'StepFailed').length,
    jobs: (await bench.store.jobsOfRun('u1')).map(({ key, state }) => [key, state]),
  };
}

let golden: Awaited<ReturnType<typeof theEnd>>;
let goldenWrites: number;

test('undisturbed, the run succeeds with every attempt made once', async () => {
  const counting = new FailingStore(bench.store, { at: Infinity, when: 'before', dies: false });
  await bench.startEngine({}, counting.store);
  golden = await theEnd();
  goldenWrites = counting.writes;
  expect(golden.end).toMatchObject({ phase: 'Succeeded', progress: '7/7', output: { never: null } });
  expect(golden.executed).toEqual(['end/1', 'plan/1', 'work[0]/1', 'work[1]/1', 'work[1]/2', 'work[2]/1']);
  expect(goldenWrites).toBeGreaterThan(8);
  expect(goldenWrites).toBeLessThanOrEqual(points.length);
});

// More writes than the golden run has: with other timing there may be more of them.
const points = Array.from({ length: 24 }, (_, i) => i + 1);

describe.each<Fault>(['before', 'after'])('killed %s', (when) => {
  test.each(points)('write %i, the run ends the same after a restart', async (at) => {
    const killed = new FailingStore(bench.store, { at, when, dies: true });
    await bench.startEngine({}, killed.store);
    await Promise.race([killed.struck, bench.over()]);
    await bench.stopEngine();
    await bench.startEngine();
    expect(await theEnd()).toEqual(golden);
  });

  test('each write again and again, the run still gets to its end', async () => {
    for (let deaths = 0; (await bench.store.openRuns()).length > 0; deaths++) {
      expect(deaths).toBeLessThan(100);
      // A process that always dies before its first write gets nowhere; the second one is enough.
      const killed = new FailingStore(bench.store, { at: when === 'before' ? 2 : 1, when, dies: true });
      await bench.startEngine({}, killed.store);
      await Promise.race([killed.struck, bench.over()]);
      await bench.stopEngine();
    }
    expect(await theEnd()).toEqual(golden);
  });
});

describe.each<Fault>(['before', 'after'])('the store failing once %s', (when) => {
  test.each(points)('write %i, the engine recovers by itself', async (at) => {
    await bench.startEngine({}, new FailingStore(bench.store, { at, when, dies: false }).store);
    expect(await theEnd()).toEqual(golden);
  });
});

test('stopped and started over and over, the engine leaves its tasks alone and ends the same', async () => {
  for (let starts = 0; starts < 5; starts++) {
    await bench.startEngine();
    await bench.projected(() => true);
    await bench.stopEngine();
  }
  await bench.startEngine();
  expect(await theEnd()).toEqual(golden);
  expect(agent.cancelled).toEqual([]);
});
