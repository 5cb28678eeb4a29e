// Whatever happens in whatever order: limits hold, nobody is forgotten, and nothing is held by anybody who is gone.
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { clientGone, GatewayError, unavailable } from '../errors.ts';
import type { Outcome } from '../pipeline/hooks.ts';
import { ProviderError } from '../providers/provider.ts';
import { answered, setUp, type Called } from './testing/calls.ts';

const outcomes: readonly Outcome[] = [
  answered(100, 50),
  answered(5, 2_000),
  { status: 0, durationMs: 0, error: new GatewayError(403, 'BudgetExceeded', 'no') },
  { status: 200, durationMs: 9, firstContentMs: 1, error: clientGone() },
  { status: 0, durationMs: 0, error: unavailable('no', undefined, new ProviderError('unreachable', 'no')) },
  { status: 500, durationMs: 9, error: unavailable('no', undefined, new ProviderError('status', 'no')) },
  { status: 429, durationMs: 9, retryAfterMs: 3_000, error: new GatewayError(429, 'RateLimited', 'no') },
];
const limits = fc.record(
  {
    requestsPerMinute: fc.constantFrom(6, 60, 600),
    tokensPerMinute: fc.constantFrom(1_000, 60_000),
    concurrent: fc.constantFrom(1, 3),
    maxWait: fc.constantFrom('1s', '20s'),
  },
  { requiredKeys: [] },
);
const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      ask: fc.constantFrom('a', 'b', 'c'),
      namespace: fc.constantFrom('n', 'o'),
      inputTokens: fc.nat(3_000),
    }),
  },
  { weight: 5, arbitrary: fc.record({ release: fc.nat(), outcome: fc.constantFrom(...outcomes) }) },
  { weight: 2, arbitrary: fc.record({ abort: fc.nat() }) },
  { weight: 3, arbitrary: fc.record({ pass: fc.constantFrom(0, 10, 1_000, 7_000, 40_000) }) },
  { weight: 1, arbitrary: fc.record({ change: limits }) },
  { weight: 1, arbitrary: fc.record({ gateways: fc.constantFrom(1, 2, 3) }) },
);

test('calls that come, end, fail and go away in any order', async () => {
  await fc.assert(
    fc.asyncProperty(limits, fc.array(step, { maxLength: 80 }), async (first, steps) => {
      const { call, clock, change, share, limiter, model } = setUp(first);
      const calls: Called[] = [];
      const underWay = new Set<Called>();
      const isWaiting = ({ lease, error }: Called): boolean => lease === undefined && error === undefined;
      const note = (): void => {
        for (const one of calls) if (one.lease && !one.over) underWay.add(one);
      };
      /** What is under way may have been let go under limits that were wider. */
      let most = placesOf(first.concurrent, 1);
      for (const one of steps) {
        if ('ask' in one) calls.push(call(one.ask, one));
        else if ('release' in one) {
          const ends = [...underWay][one.release % Math.max(1, underWay.size)];
          if (ends) {
            ends.over = true;
            underWay.delete(ends);
            ends.lease?.release(one.outcome);
          }
        } else if ('abort' in one) calls[one.abort % Math.max(1, calls.length)]?.abort(clientGone());
        else if ('pass' in one) await clock.pass(one.pass);
        else if ('change' in one) {
          change(one.change);
          most = Math.max(most, placesOf(one.change.concurrent, 1));
        } else share.now = { rank: 0, of: one.gateways };
        await clock.pass(0);
        note();
        expect(underWay.size).toBeLessThanOrEqual(most);
      }
      // Each wait has an end, though nobody comes any more.
      const endAll = (): void => {
        for (const { lease } of calls) lease?.release(answered());
      };
      for (let round = 0; round < 100 && calls.some(isWaiting); round++) {
        endAll();
        await clock.pass(1_000);
      }
      endAll();
      expect(calls.filter(isWaiting)).toEqual([]);
      for (const { error } of calls) expect(error === undefined || error instanceof GatewayError).toBe(true);
      expect(clock.timers).toBe(0);
      await clock.pass(400_000);
      change({ concurrent: 2 });
      share.now = { rank: 0, of: 1 };
      expect(limiter.available(model())).toBe('yes');
      const [one, two, three] = [call('x'), call('x'), call('x')];
      expect([one.lease === undefined, two.lease === undefined, isWaiting(three)]).toEqual([false, false, true]);
    }),
    { numRuns: 100 },
  );
});

const placesOf = (concurrent = Infinity, of: number): number => Math.max(1, Math.ceil(concurrent / of));
