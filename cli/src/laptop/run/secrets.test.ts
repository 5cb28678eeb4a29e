import { describe, expect, test } from '@jest/globals';
import type { Model } from '@kadre/crds';
import { keyOf, missingKey, secretData } from './secrets.ts';

const model = (spec: object) =>
  ({
    metadata: { name: 'gpt' },
    spec: { auth: { secretRef: { name: 'llm-keys', key: 'open.ai' } }, ...spec },
  }) as Model;
const openai = model({ provider: 'openai' });
const secrets = (name: string) => (name === 'llm-keys' ? { 'open.ai': 'from-secret' } : undefined);
const none = () => undefined;

describe('the key of a model', () => {
  test.each<[string, Model, typeof secrets | typeof none, Record<string, string>, string | undefined]>([
    ['is in the variable of its Secret first', openai, secrets, { KADRE_SECRET_LLM_KEYS_OPEN_AI: 'own' }, 'own'],
    ['is in the Secret among the manifests next', openai, secrets, { OPENAI_API_KEY: 'usual' }, 'from-secret'],
    ["is in the provider's usual variable last", openai, none, { OPENAI_API_KEY: 'usual' }, 'usual'],
    ['has two usual variables at Google', model({ provider: 'google' }), none, { GOOGLE_API_KEY: 'g' }, 'g'],
    ['is missing if a variable is empty', openai, none, { OPENAI_API_KEY: ' ' }, undefined],
    [
      'never goes from a usual variable to a server that a manifest names',
      model({ provider: 'openai', baseUrl: 'https://elsewhere.example' }),
      none,
      { OPENAI_API_KEY: 'usual' },
      undefined,
    ],
    [
      'goes to such a server from the variable of its Secret',
      model({ provider: 'openaiCompatible', baseUrl: 'https://elsewhere.example' }),
      none,
      { KADRE_SECRET_LLM_KEYS_OPEN_AI: 'own' },
      'own',
    ],
    [
      'is not there for a model without auth',
      model({ provider: 'simulated', auth: undefined }),
      secrets,
      {},
      undefined,
    ],
  ])('%s', (_, one, source, env, expected) => {
    expect(keyOf(one, source, env)).toBe(expected);
  });

  test('that is missing is asked for by all its names', () => {
    expect(missingKey(openai)).toMatch(
      /key open.ai of Secret llm-keys: set KADRE_SECRET_LLM_KEYS_OPEN_AI or OPENAI_API_KEY/,
    );
  });

  test('reaches the gateway as the data of its Secret', () => {
    const keys = [
      { ref: openai.spec.auth?.secretRef, value: 'x' },
      { ref: { name: 'llm-keys', key: 'search' }, value: 'y' },
      { ref: { name: 'llm-keys', key: 'absent' }, value: undefined },
      { ref: undefined, value: 'z' },
    ];
    expect(secretData(keys, 'llm-keys')).toEqual({ 'open.ai': 'x', search: 'y' });
    expect(secretData(keys, 'other')).toBeUndefined();
  });
});
