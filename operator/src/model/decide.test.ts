import { describe, expect, test } from '@jest/globals';
import type { Model, ModelStatus } from '@kadre/crds';
import { judged, model } from '../build/samples.ts';
import { decideModel } from './decide.ts';
import { observeModel } from './observe.ts';

const now = new Date('2026-01-01T12:00:00.000Z');
const keyed = model({ provider: 'openai', model: 'gpt', auth: { secretRef: { name: 'llm', key: 'openai' } } });
const scripted = (match: string) => model({ simulated: { script: [{ reply: 'a' }, { match, reply: 'b' }] } });

async function decide(subject: Model, secret?: Record<string, string>) {
  const plan = decideModel(await observeModel(subject, () => Promise.resolve(secret)), now);
  const status = plan.status as ModelStatus | undefined;
  return { ...plan, ready: status?.conditions?.find(({ type }) => type === 'Ready') };
}

describe('a Model is ready', () => {
  test.each<[string, Model, Record<string, string> | undefined, number | undefined]>([
    ['when its Secret holds the key', keyed, { openai: 'sk' }, 300_000],
    ['without a Secret if it needs none', model(), undefined, undefined],
    ['with a script of good patterns', scripted('(?i)^hello|\\d+$'), undefined, undefined],
  ])('%s', async (_, subject, secret, requeueAfter) => {
    const plan = await decide(subject, secret);
    expect(plan.ready?.status).toBe('True');
    expect(plan.requeueAfter).toBe(requeueAfter);
  });
});

describe('a Model is not ready, and says how to mend it', () => {
  test.each<[string, Model, Record<string, string> | undefined, string, RegExp]>([
    [
      'without its Secret',
      keyed,
      undefined,
      'SecretNotFound',
      /no Secret llm in namespace team\. Create it .* key openai/,
    ],
    ['without the key in its Secret', keyed, { other: 'sk' }, 'SecretNotFound', /nothing under the key openai/],
    ['with an empty key', keyed, { openai: '' }, 'SecretNotFound', /nothing under the key/],
    ['with a pattern that is none', scripted('('), undefined, 'InvalidPattern', /spec\.simulated\.script\[1\]\.match/],
    ['with a pattern that only backtracking engines know', scripted('(?=a)b'), undefined, 'InvalidPattern', /RE2/],
  ])('%s', async (_, subject, secret, reason, message) => {
    const plan = await decide(subject, secret);
    expect(plan.ready).toMatchObject({ status: 'False', reason });
    expect(plan.ready?.message).toMatch(message);
  });

  test('and looks again soon for a missing Secret, which it may not watch', async () => {
    expect((await decide(keyed)).requeueAfter).toBe(30_000);
  });

  test('and raises one event about it, not one each time', async () => {
    expect((await decide(keyed)).events).toHaveLength(1);
    expect((await decide({ ...keyed, status: judged(false, 'SecretNotFound') })).events).toBeUndefined();
  });
});
