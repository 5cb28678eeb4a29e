import { describe, expect, test } from '@jest/globals';
import type { ProviderModel } from '@kadre/crds';
import fc from 'fast-check';
import { GatewayError } from '../errors.ts';
import type { ChatCall } from '../pipeline/call.ts';
import type { Attempt, Outcome } from '../pipeline/hooks.ts';
import { createObservations } from './observations.ts';
import { byPrice, bySpeed, byWeight, type Able, type RankingServices } from './ranking.ts';

const able = (name: string, weight?: number): Able => ({
  entry: { model: name, ...(weight !== undefined && { weight }) },
  model: { metadata: { name, uid: name, generation: 1 }, spec: { provider: 'openai', model: name } } as ProviderModel,
});
const names = (ranked: readonly Able[]): string[] => ranked.map(({ entry }) => entry.model);
const request = {
  model: 'm',
  messages: [{ role: 'user', parts: [{ type: 'text', text: 'x'.repeat(400) }] }],
  sampling: {},
};
const call = { operation: 'chat', streamed: false, request } as unknown as ChatCall;

test('by weight, all are drawn once, those without weight come last, and shares hold', () => {
  const drawn = fc.property(
    fc.array(fc.integer({ min: 0, max: 9 }), { minLength: 1, maxLength: 8 }),
    fc.infiniteStream(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })),
    (weights, stream) => {
      const all = weights.map((weight, index) => able(`m${index}`, weight));
      const ranked = byWeight(all, () => stream.next().value as number);
      expect(names(ranked).toSorted()).toEqual(names(all).toSorted());
      const idle = ranked.findIndex(({ score }) => score === 0);
      expect(idle < 0 || ranked.slice(idle).every(({ score }) => score === 0)).toBe(true);
    },
  );
  fc.assert(drawn);
  const [one, three] = [able('one', 1), able('three', 3)];
  const points = Array.from({ length: 100 }, (_, index) => index / 100);
  const firsts = points.map((point) => names(byWeight([one, three], () => point))[0]);
  expect(firsts.filter((name) => name === 'one')).toHaveLength(25);
});

test('by price, what is not priced is last and never free; ties stay in their order', () => {
  const prices: Record<string, { input: string; output: string }> = {
    dear: { input: '5', output: '5' },
    free: { input: '0', output: '0' },
    cheap: { input: '1', output: '1' },
    same: { input: '1', output: '1' },
  };
  const services = {
    prices: { priceOf: ({ model }: ProviderModel['spec']) => prices[model ?? ''] },
    clock: { now: () => 0 },
  } as unknown as RankingServices;
  const ranked = byPrice(
    ['unknown', 'dear', 'cheap', 'same', 'free'].map((name) => able(name)),
    call,
    services,
  );
  expect(names(ranked)).toEqual(['free', 'cheap', 'same', 'dear', 'unknown']);
  expect(ranked[1]?.score).toBe((100 + 1_000) * 1_000);
  expect(ranked.at(-1)?.score).toBeUndefined();
});

describe('by speed', () => {
  const failed = new GatewayError(503, 'ModelUnavailable', 'no');

  function setUp(random = () => 0.5) {
    let now = 1_000_000;
    const observations = createObservations({ now: () => now, after: () => () => undefined });
    const [a, b, c] = [able('a'), able('b'), able('c')];
    const note = (one: Able, outcome: Partial<Outcome>, streamed = false): void =>
      observations.note(
        { call: { ...call, streamed }, candidate: { model: one.model, reason: '' } } as unknown as Attempt,
        { status: 200, durationMs: 100, ...outcome },
      );
    const order = (streamed = false): string[] =>
      names(bySpeed([a, b, c], { ...call, streamed }, { observations, random } as unknown as RankingServices));
    const pass = (ms: number): void => {
      now += ms;
    };
    return { a, b, c, note, order, pass, observations };
  }

  test('the fastest is first, those of whom nobody knows come after', () => {
    const { a, b, note, order } = setUp();
    expect(order()).toEqual(['a', 'b', 'c']);
    note(a, { durationMs: 300 });
    note(b, { durationMs: 200 });
    expect(order()).toEqual(['b', 'a', 'c']);
  });

  test('streamed calls look at the first piece, others at the whole', () => {
    const { a, b, c, note, order } = setUp();
    for (const [one, first, whole] of [
      [a, 10, 900],
      [b, 90, 100],
      [c, 500, 500],
    ] as const) {
      note(one, { firstContentMs: first, durationMs: whole }, true);
      note(one, { durationMs: whole });
    }
    expect(order(true)).toEqual(['a', 'b', 'c']);
    expect(order(false)).toEqual(['b', 'c', 'a']);
  });

  test('who fails falls behind, is forgiven with time, and forgotten after a while', () => {
    const { a, b, c, note, order, pass, observations } = setUp();
    for (const one of [a, b, c]) note(one, { durationMs: one === a ? 100 : 150 });
    for (let times = 0; times < 5; times += 1) note(a, { error: failed, status: 503 });
    expect(order()).toEqual(['b', 'c', 'a']);
    pass(300_000);
    expect(order()).toEqual(['a', 'b', 'c']);
    pass(600_001);
    expect(observations.expected(a.model, false)).toBeUndefined();
  });

  test('failures of requests, limits and callers say nothing about the Model', () => {
    const { a, note, observations } = setUp();
    note(a, { durationMs: 100 });
    for (const [status, code] of [
      [400, 'ModelFailed'],
      [403, 'BudgetExceeded'],
      [499, 'Cancelled'],
    ] as const) {
      note(a, { error: new GatewayError(status, code, 'no'), status: status === 400 ? 400 : 0, durationMs: 1 });
    }
    expect(observations.expected(a.model, false)).toBe(100);
  });

  test('a tenth of the calls goes to one of whom nobody knows, and no more', () => {
    let explored = 0;
    for (let point = 0; point < 100; point += 1) {
      const { a, b, note, order } = setUp(() => point / 100);
      note(a, { durationMs: 50 });
      note(b, { durationMs: 60 });
      if (order()[0] === 'c') explored += 1;
    }
    expect(explored).toBe(10);
  });

  test('one that only ever failed is not explored', () => {
    const { a, b, c, note, order } = setUp(() => 0);
    note(a, {});
    note(b, {});
    note(c, { error: failed, status: 503 });
    expect(order()).toEqual(['a', 'b', 'c']);
  });
});
