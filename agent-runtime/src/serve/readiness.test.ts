import { describe, expect, test } from '@jest/globals';
import { watchGateway } from './readiness.ts';

function world(answers = true) {
  const state = { now: 0, answers };
  let due: { callback: () => void; ms: number } | undefined;
  const readiness = watchGateway({
    probe: () => (state.answers ? Promise.resolve() : Promise.reject(new Error('refused'))),
    now: () => state.now,
    schedule: (callback, ms) => {
      due = { callback, ms };
      return () => (due = undefined);
    },
  });
  const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  const nextProbe = async (): Promise<void> => {
    await settle();
    const next = due;
    state.now += next?.ms ?? 0;
    next?.callback();
    await settle();
  };
  const pass = async (ms: number): Promise<void> => {
    for (const end = state.now + ms; state.now < end;) await nextProbe();
  };
  return { state, readiness, settle, nextProbe, pass };
}

describe('readiness', () => {
  test('comes with the first answer of the gateway, which is asked at once', async () => {
    const { readiness, settle } = world();
    expect(readiness.obstacle()).toBe('the gateway has not been reached yet');
    await settle();
    expect(readiness.obstacle()).toBeUndefined();
  });

  test('does not come while the gateway cannot be reached, and comes once it can', async () => {
    const { state, readiness, pass } = world(false);
    await pass(120_000);
    expect(readiness.obstacle()).toBe('the gateway has not been reached yet');
    state.answers = true;
    await pass(2_000);
    expect(readiness.obstacle()).toBeUndefined();
  });

  test('stays through a restart of the gateway and goes when it is lost for more than a minute', async () => {
    const { state, readiness, settle, pass } = world();
    await settle();
    state.answers = false;
    await pass(50_000);
    expect(readiness.obstacle()).toBeUndefined();
    await pass(20_000);
    expect(readiness.obstacle()).toMatch(/^the gateway has not answered for \d+ s$/);
    state.answers = true;
    await pass(2_000);
    expect(readiness.obstacle()).toBeUndefined();
  });

  test('stays while model calls get through, whatever the probes meet', async () => {
    const { state, readiness, settle, pass } = world();
    await settle();
    state.answers = false;
    for (let minute = 0; minute < 3; minute += 1) {
      await pass(50_000);
      readiness.reached();
      expect(readiness.obstacle()).toBeUndefined();
    }
  });

  test('asks no more once it is stopped', async () => {
    const { state, readiness, settle, nextProbe } = world();
    await settle();
    readiness.stop();
    const before = state.now;
    await nextProbe();
    expect(state.now).toBe(before);
  });
});
