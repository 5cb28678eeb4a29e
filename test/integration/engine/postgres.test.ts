import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { setTimeout as delay } from 'node:timers/promises';
import { pino } from 'pino';
import { startEngine, type Engine } from '@kadre/engine';
import type { Store } from '@kadre/store';
import { startAgent, type AgentServer } from '../../../engine/src/testing/agent-server.ts';
import { until, type Bench } from '../../../engine/src/testing/bench.ts';
import { describeCrashSweep } from '../../../engine/src/testing/crash-sweep.ts';
import { describeEngineOn } from '../../../engine/src/testing/engine-suite.ts';
import { postgresBenches, type Postgres } from './benches.ts';

let postgres: Postgres;
beforeAll(async () => {
  postgres = await postgresBenches();
});
afterAll(() => postgres.server.remove());

describeEngineOn('PostgreSQL', () => postgres.open());

describe('a crash sweep on PostgreSQL', () => {
  describeCrashSweep(() => postgres.open(), [1, 2, 3, 5, 8, 11, 15, 20]);
});

describe('several engines on one PostgreSQL', () => {
  const steps = ['a', 'b', 'c'].map((name) => ({ name, agent: { name: 'writer', prompt: name } }));
  let bench: Bench;
  let agent: AgentServer;
  let engines: { engine: Engine; stop: AbortController; store: Store }[];

  async function join(seat: number, frozen?: { now: boolean }): Promise<void> {
    const inner = await bench.open();
    // Who is frozen neither hears nor says anything, like a process that was stopped.
    const store = frozen ? frozenStore(inner, frozen) : inner;
    const stop = new AbortController();
    const options = { store, agents: bench.directory, logger: pino({ level: 'silent' }), signal: stop.signal };
    const engine = await startEngine({ ...options, limits: { poll: 50, seat, runs: 40 } });
    engines.push({ engine, stop, store: inner });
  }

  async function withBench(behave: Parameters<typeof startAgent>[0], body: () => Promise<void>): Promise<void> {
    bench = await postgres.open();
    agent = await startAgent(behave);
    bench.agents['writer'] = agent.url;
    engines = [];
    try {
      await body();
    } finally {
      for (const { stop } of engines) stop.abort();
      await Promise.all(engines.map(({ engine }) => engine.stopped));
      for (const { store } of engines) await store.close();
      await bench.cleanUp();
      await agent.close();
    }
  }

  async function expectEachOnce(runs: number): Promise<void> {
    for (let i = 0; i < runs; i++) {
      expect((await bench.over(`r${i}`)).status).toMatchObject({ phase: 'Succeeded', progress: '3/3' });
      const settled = (await bench.store.events(`r${i}`)).filter(({ type }) => type === 'StepSucceeded');
      expect(settled.map(({ data }) => (data as { step: string }).step)).toEqual(['a', 'b', 'c']);
    }
    const asked = agent.asked.map(({ messageId }) => messageId);
    expect(new Set(asked).size).toBe(3 * runs);
  }

  test('share the runs: each is done once', async () => {
    await withBench(
      ({ key }) => ({ text: key }),
      async () => {
        await Promise.all([join(5_000), join(5_000), join(5_000)]);
        for (let i = 0; i < 60; i++) await bench.submit({ steps }, null, `r${i}`);
        await expectEachOnce(60);
        expect(agent.asked).toHaveLength(180);
      },
    );
  });

  test('take over the runs of one that was stopped like a process, which does no harm when it wakes', async () => {
    let release: () => void = () => undefined;
    const open = new Promise<void>((resolve) => (release = resolve));
    const frozen = { now: false };
    await withBench(
      ({ key }) => (key === 'b/1' ? open.then(() => ({ text: key })) : { text: key }),
      async () => {
        await join(400, frozen);
        for (let i = 0; i < 10; i++) await bench.submit({ steps }, null, `r${i}`);
        await until(() => (agent.asked.filter(({ key }) => key === 'b/1').length === 10 ? true : undefined));
        frozen.now = true;
        await join(400);
        release();
        await expectEachOnce(10);
        frozen.now = false;
        await expectEachOnce(10);
      },
    );
  });
});

/** A store whose calls wait while it is frozen. */
function frozenStore(inner: Store, frozen: { now: boolean }): Store {
  const thawed = async (): Promise<void> => {
    while (frozen.now) await delay(5);
  };
  return new Proxy(inner, {
    get: (target, name, receiver) => {
      const value = Reflect.get(target, name, receiver) as unknown;
      if (typeof value !== 'function' || name === 'subscribe' || name === 'close') return value;
      return async (...args: unknown[]) => {
        await thawed();
        return (value as (...all: unknown[]) => unknown).apply(target, args);
      };
    },
  });
}
