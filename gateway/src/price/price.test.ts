import { describe, expect, test } from '@jest/globals';
import type { ProviderModel } from '@kadre/crds';
import fc from 'fast-check';
import type { Usage } from '../conversation/answer.ts';
import { costNanoUsd, createPriceBook } from './price.ts';

const usage = (inputTokens: number, outputTokens: number, more: Partial<Usage> = {}): Usage => ({
  inputTokens,
  outputTokens,
  cachedInputTokens: 0,
  cacheWriteTokens: 0,
  reasoningTokens: 0,
  ...more,
});
const { priceOf } = createPriceBook(undefined, { info: () => undefined, error: () => undefined });
const at = Date.parse('2026-11-21T12:00:00Z');

describe('the price of a Model', () => {
  const cases: [string, ProviderModel['spec'], string | undefined][] = [
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
    ['is known for embeddings', { provider: 'openai', model: 'text-embedding-3-small' }, '0.02'],
    [
      'is not that of a family whose name ends in a number',
      { provider: 'google', model: 'gemini-embedding-001' },
      '0.15',
    ],
    ['is nothing for the simulated model', { provider: 'simulated' }, '0'],
  ];
  test.each(cases)('%s', (_name, spec, input) => {
    expect(priceOf(spec, at)?.input).toBe(input);
  });

  test('changes on the day on which the provider changes it', () => {
    const spec: ProviderModel['spec'] = { provider: 'google', model: 'gemini-3.6-flash' };
    expect(priceOf(spec, Date.parse('2026-12-31T23:59:59Z'))?.input).toBe('0.75');
    expect(priceOf(spec, Date.parse('2027-01-01T00:00:00Z'))?.input).toBe('1.5');
  });
});

describe('a list of prices that overrides the bundled one', () => {
  const spec: ProviderModel['spec'] = { provider: 'anthropic', model: 'claude-haiku-4-5' };
  const listOf = (input: string): string =>
    JSON.stringify({
      anthropic: { 'claude-haiku-4-5': [{ input, output: '2' }] },
      openaiCompatible: { llama: [{ input, output: '1' }] },
    });

  function book() {
    const state: { text: string | undefined } = { text: undefined };
    const errors: string[] = [];
    const prices = createPriceBook(
      { current: () => state.text },
      { info: () => undefined, error: (message: unknown) => void errors.push(String(message)) },
    );
    return { state, errors, inputOf: (one: ProviderModel['spec'] = spec) => prices.priceOf(one, at)?.input };
  }

  test('is followed live, and its removal too', () => {
    const { state, inputOf } = book();
    expect(inputOf()).toBe('1');
    state.text = listOf('7');
    expect(inputOf()).toBe('7');
    state.text = listOf('8.5');
    expect(inputOf()).toBe('8.5');
    state.text = undefined;
    expect(inputOf()).toBe('1');
  });

  test("leaves models that it does not name as they are, and gives prices to servers of one's own", () => {
    const { state, inputOf } = book();
    state.text = listOf('7');
    expect(inputOf({ provider: 'openai', model: 'gpt-5' })).toBe('1.25');
    expect(inputOf({ provider: 'openaiCompatible', model: 'llama' })).toBe('7');
  });

  test.each([
    ['is not JSON', '{', /JSON/],
    ['names a provider that is not there', '{"mistral": {}}', /mistral: there is no such provider/],
    ['has a number for a price', '{"openai": {"x": [{"input": 1, "output": "2"}]}}', /openai\.x\[0\]\.input/],
    ['has no rows', '{"openai": {"x": []}}', /at least one price/],
    [
      'has a day that is none',
      '{"openai": {"x": [{"input": "1", "output": "2", "from": "soon"}]}}',
      /from: must be a day/,
    ],
    [
      'has a field that is not there',
      '{"openai": {"x": [{"input": "1", "output": "2", "cache": "1"}]}}',
      /cache: there is no/,
    ],
    [
      'has a tier without a bound',
      '{"openai": {"x": [{"input": "1", "output": "2", "tiers": [{"input": "1", "output": "2"}]}]}}',
      /tiers\[0\]\.above/,
    ],
  ])('that %s is logged once, and the one before it still holds', (_name, text, message) => {
    const { state, errors, inputOf } = book();
    state.text = listOf('7');
    expect(inputOf()).toBe('7');
    state.text = text;
    expect(inputOf()).toBe('7');
    expect(inputOf()).toBe('7');
    expect(errors).toHaveLength(1);
    expect(errors[0]).toMatch(message);
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
      { input: '1', output: '1', tiers: [{ above: 10, input: '2', output: '3' }] },
      usage(11, 1),
      25_000,
    ],
    [
      'takes the lower rates at the threshold',
      { input: '1', output: '1', tiers: [{ above: 10, input: '2', output: '3' }] },
      usage(10, 1),
      11_000,
    ],
    [
      'takes the rates of the highest tier that is passed',
      {
        input: '1',
        output: '1',
        tiers: [
          { above: 10, input: '2', output: '3' },
          { above: 20, input: '4', output: '5' },
        ],
      },
      usage(21, 1),
      89_000,
    ],
    [
      'counts input that is kept for an hour at its own price',
      { ...price, writeHour: '6' },
      usage(1000, 0, { cacheWriteTokens: 300, longCacheWriteTokens: 100 }),
      700 * 3000 + 200 * 3750 + 100 * 6000,
    ],
    [
      'counts input that is kept for an hour as other written input without a price of its own',
      price,
      usage(100, 0, { cacheWriteTokens: 100, longCacheWriteTokens: 100 }),
      100 * 3750,
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
