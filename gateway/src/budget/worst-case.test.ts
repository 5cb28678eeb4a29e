import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { ProviderModel } from '@kadre/crds';
import type { Attempt } from '../pipeline/hooks.ts';
import type { ChatCall } from '../pipeline/call.ts';
import { costNanoUsd, type Price } from '../price/price.ts';
import { shorterOf, worstCaseOf } from './worst-case.ts';

const attempt = (price: Price | undefined, maxInputTokens: number, maxOutputTokens?: number): Attempt => ({
  call: { operation: 'chat' } as ChatCall,
  candidate: { model: {} as ProviderModel, reason: '' },
  request: { model: 'm', messages: [], sampling: {} },
  number: 1,
  estimate: { inputTokens: 1, maxInputTokens, price, ...(maxOutputTokens !== undefined && { maxOutputTokens }) },
});

const rate = fc.integer({ min: 0, max: 100_000_000 }).map((micro) => (micro / 1e6).toFixed(6));
const rates = fc.record(
  { input: rate, output: rate, cached: rate, write: rate, writeHour: rate },
  { requiredKeys: ['input', 'output'] },
);
const price: fc.Arbitrary<Price> = fc
  .tuple(rates, fc.array(fc.tuple(fc.nat(200_000), rates), { maxLength: 3 }))
  .map(([base, tiers]) => ({
    ...base,
    tiers: tiers.toSorted(([a], [b]) => a - b).map(([above, tier]) => ({ above, ...tier })),
  }));
const share = fc.double({ min: 0, max: 1, noNaN: true });
const part = (of: number, shares: number): number => Math.floor(of * shares);

test('nothing that a call can come to is dearer', () => {
  const usage = fc.record({ input: share, cached: share, written: share, long: share, output: share });
  fc.assert(
    fc.property(price, fc.nat(300_000), fc.nat(50_000), usage, (price, maxInput, maxOutput, shares) => {
      const { amount } = worstCaseOf(attempt(price, maxInput, maxOutput));
      const inputTokens = part(maxInput, shares.input);
      const cachedInputTokens = part(inputTokens, shares.cached);
      const cacheWriteTokens = part(inputTokens - cachedInputTokens, shares.written);
      const used = {
        inputTokens,
        cachedInputTokens,
        cacheWriteTokens,
        longCacheWriteTokens: part(cacheWriteTokens, shares.long),
        outputTokens: part(maxOutput, shares.output),
        reasoningTokens: 0,
      };
      expect(costNanoUsd(price, used)).toBeLessThanOrEqual(amount.costNanoUsd);
      expect(used.inputTokens + used.outputTokens).toBeLessThanOrEqual(amount.tokens);
    }),
    { numRuns: 500 },
  );
});

test('a price that rounds to nothing is still not free', () => {
  expect(worstCaseOf(attempt({ input: '0.000001', output: '0' }, 1, 1)).amount.costNanoUsd).toBe(1);
  expect(worstCaseOf(attempt({ input: '0', output: '0.0' }, 1_000, 1_000)).amount.costNanoUsd).toBe(0);
});

test('an answer whose length nobody limits is made as long as what is left allows', () => {
  fc.assert(
    fc.property(price, fc.nat(1_000), fc.nat(2_000_000_000), (price, maxInput, most) => {
      const asked = attempt(price, maxInput);
      const longest = worstCaseOf(asked);
      const shorter = shorterOf(asked, longest, 'costNanoUsd', most);
      if (longest.amount.costNanoUsd <= most) {
        expect(shorter).toBeUndefined();
      } else if (shorter) {
        expect(shorter.amount.costNanoUsd).toBeLessThanOrEqual(most);
        expect(worstCaseOf(asked, shorter.maxOutputTokens + 1).amount.costNanoUsd).toBeGreaterThan(most);
      } else {
        expect(worstCaseOf(asked, 256).amount.costNanoUsd).toBeGreaterThan(most);
      }
    }),
    { numRuns: 200 },
  );
  const named = attempt({ input: '1', output: '1' }, 10, 5_000);
  expect(shorterOf(named, worstCaseOf(named), 'tokens', 1_000)).toBeUndefined();
});
