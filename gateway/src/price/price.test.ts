import { describe, expect, test } from '@jest/globals';
import type { ModelSpec } from '@kadre/crds';
import fc from 'fast-check';
import type { Usage } from '../providers/provider.ts';
import { costNanoUsd, priceOf } from './price.ts';

const usage = (inputTokens: number, outputTokens: number, more: Partial<Usage> = {}): Usage => ({
  inputTokens,
  outputTokens,
  cachedInputTokens: 0,
  cacheWriteTokens: 0,
  reasoningTokens: 0,
  ...more,
});
const at = Date.parse('2026-11-21T12:00:00Z');

describe('the price of a Model', () => {
  const cases: [string, ModelSpec, string | undefined][] = [
    [
      'is its own, if it has one',
      { provider: 'openai', model: 'gpt-5', price: { inputPerMillion: '7', outputPerMillion: '8' } },
      '7',
    ],
    ['is the bundled one otherwise', { provider: 'anthropic', model: 'claude-haiku-4-5' }, '1'],
    ['is that of the family for a dated release', { provider: 'anthropic', model: 'claude-sonnet-4-5-20250929' }, '3'],
    ['is its own for a dated release that differs', { provider: 'openai', model: 'gpt-4o-2024-05-13' }, '5'],
    [
      'is not that of another family with the same beginning',
      { provider: 'anthropic', model: 'claude-sonnet-5-5' },
      undefined,
    ],
    ['ignores the prefix of Google', { provider: 'google', model: 'models/gemini-2.5-pro' }, '1.25'],
    ["is unknown for a server of one's own", { provider: 'openaiCompatible', model: 'gpt-5' }, undefined],
    ['is unknown for a model in no list', { provider: 'openai', model: 'gpt-99' }, undefined],
    ['is unknown for a name that every object has', { provider: 'openai', model: 'constructor' }, undefined],
    ['is nothing for the simulated model', { provider: 'simulated' }, '0'],
  ];
  test.each(cases)('%s', (_name, spec, input) => {
    expect(priceOf(spec, at)?.input).toBe(input);
  });

  test('changes on the day on which the provider changes it', () => {
    const spec: ModelSpec = { provider: 'google', model: 'gemini-3.6-flash' };
    expect(priceOf(spec, Date.parse('2026-12-31T23:59:59Z'))?.input).toBe('0.75');
    expect(priceOf(spec, Date.parse('2027-01-01T00:00:00Z'))?.input).toBe('1.5');
  });
});

describe('the cost of a call', () => {
  const price = { input: '3', output: '15', cached: '0.3', write: '3.75' };
  test.each([
    ['counts input and output', price, usage(1000, 100), 3_000_000 + 1_500_000],
    [
      'counts cached and written input at their own prices',
      price,
      usage(1000, 0, { cachedInputTokens: 600, cacheWriteTokens: 200 }),
      200 * 3000 + 600 * 300 + 200 * 3750,
    ],
    [
      'counts cached input as input without a price of its own',
      { input: '3', output: '15' },
      usage(10, 0, { cachedInputTokens: 10 }),
      30_000,
    ],
    ['rounds to the nearest nano-USD', { input: '0.0375', output: '0' }, usage(1, 0), 38],
    ['is exact where floating point is not', { input: '0.1', output: '0.2' }, usage(3, 3), 900],
    [
      'takes the higher rates beyond the threshold, for all tokens',
      { input: '1', output: '1', above: { tokens: 10, input: '2', output: '3' } },
      usage(11, 1),
      25_000,
    ],
    [
      'takes the lower rates at the threshold',
      { input: '1', output: '1', above: { tokens: 10, input: '2', output: '3' } },
      usage(10, 1),
      11_000,
    ],
    [
      'stays a number that is exact, however absurd the price',
      { input: '9'.repeat(24), output: '0' },
      usage(1_000_000, 0),
      Number.MAX_SAFE_INTEGER,
    ],
  ])('%s', (_name, rates, used, nano) => {
    expect(costNanoUsd(rates, used)).toBe(nano);
  });

  test('of two calls is the cost of both together, to within the rounding', () => {
    const tokens = fc.integer({ min: 0, max: 1_000_000 });
    const decimal = fc
      .tuple(fc.integer({ min: 0, max: 999 }), fc.stringMatching(/^[0-9]{1,9}$/))
      .map(([a, b]) => `${a}.${b}`);
    fc.assert(
      fc.property(tokens, tokens, decimal, (first, second, input) => {
        const rates = { input, output: '0' };
        const parts = costNanoUsd(rates, usage(first, 0)) + costNanoUsd(rates, usage(second, 0));
        expect(Math.abs(costNanoUsd(rates, usage(first + second, 0)) - parts)).toBeLessThanOrEqual(1);
      }),
    );
  });
});
