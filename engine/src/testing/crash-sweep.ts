// Kills the engine before and after each of its writes, and lets the store fail there: the end must be the same. For any
// store, with a workflow that uses all that a workflow can.
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { startAgent, type AgentServer } from './agent-server.ts';
import type { Bench } from './bench.ts';
import { FailingStore, type Fault } from './failing-store.ts';

const ask = (name: string, prompt: string, more: object = {}) => ({ name, agent: { name: 'writer', prompt }, ...more });
const inner = {
  steps: [ask('look', '$(input)')],
  finally: [ask('tidy', 'after $(run.phase)')],
  output: '$(steps.look.output)',
};
const workflow = {
  steps: [
    ask('plan', 'Plan $(input.topics)'),
    ask('work', '$(topic): $(steps.plan.output)', {
      forEach: { items: '$(input.topics)', as: 'topic', parallelism: 2 },
      retry: { limit: 2, backoff: { initial: '1ms' }, reasons: ['RateLimited'] },
    }),
    { name: 'train', needs: ['plan'], container: { image: 'busybox', args: ['$(steps.plan.output)'] } },
    ask('never', 'x', { needs: ['train'], when: '$(steps.train.output.loss > 1)' }),
    {
      name: 'loop',
      needs: ['plan'],
      repeat: { until: '$(round >= 2)', max: 3 },
      steps: [ask('draft', 'round $(round)'), ask('shaky', 'x', { onError: { fallback: [ask('mend', 'y')] } })],
    },
    { name: 'call', needs: ['plan'], workflow: { name: 'inner', input: '$(steps.plan.output)' } },
    { name: 'sign', needs: ['work', 'never'], approval: { message: 'Fine? $(steps.work.output)' } },
    { name: 'paid', needs: ['plan'], wait: { event: { name: 'paid', filter: '$(event.sum == 2)' } } },
    { name: 'rest', needs: ['plan'], wait: { for: '1ms' } },
    ask('known', 'x', { needs: ['plan'], cache: { key: 'always', ttl: '1d' } }),
    ask('end', '$(steps.work.output) $(steps.train.output.loss) $(steps.sign.output.by)', {
      needs: ['sign', 'paid', 'loop', 'call', 'rest', 'known'],
    }),
  ],
  finally: [ask('goodbye', '$(run.phase)')],
  concurrency: { limit: 1 },
  output: {
    end: '$(steps.end.output)',
    never: '$(steps.never.output)',
    loop: '$(steps.loop.output)',
    call: '$(steps.call.output)',
    paid: '$(steps.paid.output)',
  },
};

let bench: Bench;
let agent: AgentServer;
let executed: string[];
let stopOutside: (() => void)[];

/** `open`: makes a bench on a store of its own. `points`: the writes at which to strike. */
export function describeCrashSweep(open: () => Promise<Bench>, points: readonly number[]): void {
  beforeEach(async () => {
    bench = await open();
    executed = [];
    agent = await startAgent(({ key, text }) => {
      executed.push(key);
      if (key === 'work[1]/1') return { fail: 'slow down', reason: 'RateLimited' };
      return key.includes('.shaky/') ? { fail: 'no', reason: 'ModelFailed' } : { text: `<${text}>` };
    });
    bench.agents['writer'] = agent.url;
    stopOutside = playOutside(bench);
    await bench.submit(workflow, { topics: ['a', 'b', 'c'] }, 'u1', { workflows: { inner } });
    for (const sum of [1, 2]) {
      const event = {
        id: `payment-${sum}`,
        namespace: 'team',
        name: 'paid',
        payload: { sum },
        at: Date.now() + 3_600_000,
      };
      await bench.store.publishEvent(event);
    }
  });
  afterEach(async () => {
    for (const stop of stopOutside) stop();
    await bench.cleanUp();
    await agent.close();
  });
  describeSweep(points);
}

/** Creates each Job that is asked for and reports its end, and approves what is asked for, as often as it is told of it. */
function playOutside({ store }: Bench): (() => void)[] {
  const ignored = (): void => undefined;
  return [
    store.subscribe('jobs', (key) => {
      void store
        .jobCreated(key, 'uid-of-job')
        .then(() => store.finishJob(key, { output: { loss: 0.5 } }))
        .catch(ignored);
    }),
    store.subscribe('approvals', (key) => {
      void store.decideApproval(key, { approved: true, by: 'anna', at: 0 }).catch(ignored);
    }),
  ];
}

async function theEnd() {
  const { status, failure } = await bench.over();
  const steps = status.steps?.map(({ name, phase, attempt, job }) => ({ name, phase, attempt, job }));
  const events = await bench.store.events('u1');
  const types = events.map(({ type }) => type);
  return {
    end: { phase: status.phase, progress: status.progress, output: status.output, failure, steps },
    executed: [...executed].sort(),
    settled: types.filter((type) => type === 'StepSucceeded' || type === 'StepFailed').length,
    approvals: (await bench.store.approvalsOfRun('u1')).map(({ key, state }) => [key, state]),
    events: events.flatMap(({ data }) => (data as { source?: { kind: string; id?: string } }).source?.id ?? []),
    jobs: (await bench.store.jobsOfRun('u1')).map(({ key, state }) => [key, state]),
  };
}

function describeSweep(points: readonly number[]): void {
  let golden: Awaited<ReturnType<typeof theEnd>>;
  let goldenWrites: number;

  test('undisturbed, the run succeeds with every attempt made once', async () => {
    const counting = new FailingStore(bench.store, { at: Infinity, when: 'before', dies: false });
    await bench.startEngine({}, counting.store);
    golden = await theEnd();
    goldenWrites = counting.writes;
    expect(golden.end).toMatchObject({ phase: 'Succeeded', output: { never: null, loop: '<y>', paid: { sum: 2 } } });
    expect(new Set(golden.executed).size).toBe(golden.executed.length);
    expect(golden.executed).toHaveLength(16);
    expect(golden.approvals).toEqual([['u1/sign/1', 'decided']]);
    expect(golden.events).toEqual(['payment-2']);
    expect(goldenWrites).toBeGreaterThan(8);
  });

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
}
