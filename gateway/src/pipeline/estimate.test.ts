import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { ProviderModel } from '@kadre/crds';
import { noUsage } from '../conversation/answer.ts';
import type { ModelRequest } from '../conversation/request.ts';
import { estimatedUsage, estimateOf, soundUsage, withParameters } from './estimate.ts';

const asking = (text: string, more: Partial<ModelRequest> = {}): ModelRequest => ({
  model: 'm',
  messages: [{ role: 'user', parts: [{ type: 'text', text }] }],
  sampling: {},
  ...more,
});

describe('what a request may use', () => {
  test('is never more than is set aside for it: a token has at least a byte', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'grapheme' }), { minLength: 1 }), (texts) => {
        const messages = texts.map((text) => ({ role: 'user' as const, parts: [{ type: 'text' as const, text }] }));
        const { inputTokens, maxInputTokens } = estimateOf(asking('', { messages }), undefined);
        expect(maxInputTokens).toBeGreaterThanOrEqual(Buffer.byteLength(texts.join('')));
        expect(maxInputTokens).toBeGreaterThanOrEqual(inputTokens);
      }),
    );
  });

  test.each<[string, ModelRequest]>([
    ['tools', asking('x', { tools: [{ name: 'look', description: 'y'.repeat(100) }] })],
    ['a format', asking('x', { output: { type: 'schema', name: 'a', schema: { description: 'y'.repeat(100) } } })],
    [
      'an image',
      asking('x', { messages: [{ role: 'user', parts: [{ type: 'image', source: { url: 'https://x' } }] }] }),
    ],
    [
      'results of tools',
      asking('x', {
        messages: [
          { role: 'tool', parts: [{ type: 'toolResult', id: 'a', parts: [{ type: 'text', text: 'y'.repeat(100) }] }] },
        ],
      }),
    ],
    [
      'signed thoughts',
      asking('x', {
        messages: [
          { role: 'assistant', parts: [{ type: 'reasoning', opaque: { family: 'google', data: 'y'.repeat(100) } }] },
        ],
      }),
    ],
    [
      'parts that the gateway does not know',
      asking('x', {
        messages: [
          { role: 'user', parts: [{ type: 'native', dialect: 'messages', value: { type: 'y'.repeat(100) } }] },
        ],
      }),
    ],
  ])('counts %s', (_name, request) => {
    const plain = estimateOf(asking('x'), undefined).maxInputTokens;
    expect(estimateOf(request, undefined).maxInputTokens).toBeGreaterThanOrEqual(plain + 90);
  });

  test('counts tokens of vectors as they are, and no output for them', () => {
    const { inputTokens, maxOutputTokens } = estimateOf({ model: 'm', inputs: ['four', [1, 2, 3]] }, undefined);
    expect([inputTokens, maxOutputTokens]).toEqual([4, 0]);
  });
});

describe('what a provider says that was used', () => {
  test.each([
    ['negative', { inputTokens: -1 }],
    ['no number', { inputTokens: NaN }],
    ['nothing at all', { inputTokens: 0 }],
    ['more cached than read', { inputTokens: 5, cachedInputTokens: 6 }],
    ['more kept for long than kept', { inputTokens: 5, cacheWriteTokens: 2, longCacheWriteTokens: 3 }],
  ])('is not believed where it is %s', (_name, counts) => {
    expect(soundUsage({ ...noUsage, ...counts })).toBeUndefined();
  });

  test('goes before an estimate, but for an output that was cut off', () => {
    const said = { ...noUsage, inputTokens: 7, outputTokens: 2, longCacheWriteTokens: 1, cacheWriteTokens: 1 };
    expect(estimatedUsage(100, 40, said)).toEqual({ ...said, outputTokens: 10 });
    expect(estimatedUsage(100, 40, undefined)).toEqual({ ...noUsage, inputTokens: 100, outputTokens: 10 });
  });
});

test('settings of the Model stand under those of the caller, one by one', () => {
  const parameters = {
    temperature: '0.5',
    topP: '0.9',
    maxTokens: 100,
    seed: 7,
    reasoning: { effort: 'low', budgetTokens: 5 },
  };
  const model = { spec: { provider: 'openai', parameters } } as unknown as ProviderModel;
  expect(
    withParameters(asking('x', { sampling: { maxTokens: 5 }, reasoning: { effort: 'high' } }), model),
  ).toMatchObject({
    sampling: { temperature: 0.5, topP: 0.9, maxTokens: 5, seed: 7 },
    reasoning: { effort: 'high', budgetTokens: 5 },
  });
  const bare = asking('x');
  expect(withParameters(bare, { spec: { provider: 'openai' } } as ProviderModel)).toBe(bare);
});
