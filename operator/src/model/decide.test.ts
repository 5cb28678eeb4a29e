import { describe, expect, test } from '@jest/globals';
import type { Model, ModelRoute, ModelStatus } from '@kadre/crds';
import { judged, model } from '../build/samples.ts';
import { decideModel } from './decide.ts';
import { observeModel } from './observe.ts';

const now = new Date('2026-01-01T12:00:00.000Z');
const keyed = model({ provider: 'openai', model: 'gpt', auth: { secretRef: { name: 'llm', key: 'openai' } } });
const scripted = (match: string) => model({ simulated: { script: [{ reply: 'a' }, { match, reply: 'b' }] } });

const neighbours: Record<string, Model> = {
  good: model(),
  keyless: { ...keyed, status: judged(false, 'SecretNotFound') },
  other: route(['good']),
};

function route(names: string[], more: Partial<ModelRoute> = {}): Model {
  const candidates = names.map((name) => ({ model: name }));
  return { ...model(), spec: { route: { strategy: 'priority', candidates, ...more } } };
}

async function decide(subject: Model, secret?: Record<string, string>) {
  const snapshot = await observeModel(subject, {
    readSecret: () => Promise.resolve(secret),
    ruleProblem: (rule) => Promise.resolve(rule === 'bad' ? 'Unknown variable: bad' : undefined),
    find: (name) => neighbours[name],
  });
  const plan = decideModel(snapshot, now);
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

describe('a route', () => {
  test.each<[string, Model, string, string, RegExp, string]>([
    ['whose Models are there is ready', route(['good']), 'True', 'Ready', /can call 1 of 1 Models\.$/, 'True'],
    [
      'of which a part is there is ready, and says what is missing',
      route(['good', 'nowhere', 'other', 'keyless']),
      'True',
      'Ready',
      /1 of 4 Models\. Model nowhere \(spec\.route\.candidates\[1\]\.model\) is not there: create it\. Model other .* is a route itself.* Model keyless .* is not ready/,
      'False',
    ],
    [
      'of Models that are not there is not',
      route(['nowhere']),
      'False',
      'ModelNotFound',
      /nowhere .* create it/,
      'False',
    ],
    ['of Models that cannot be called is not', route(['keyless']), 'False', 'ModelNotReady', /see its status/, 'False'],
    [
      'without its judge is ready, but not complete',
      route(['good'], { consensus: { judge: 'nowhere' } }),
      'True',
      'Ready',
      /spec\.route\.consensus\.judge/,
      'False',
    ],
    [
      'whose rule is none is not ready',
      route(['good'], { complexity: { rule: 'bad' } }),
      'False',
      'InvalidRule',
      /^spec\.route\.complexity\.rule cannot be used: Unknown variable: bad$/,
      'True',
    ],
  ])('%s', async (_, subject, status, reason, message, complete) => {
    const plan = await decide(subject);
    expect(plan.ready).toMatchObject({ status, reason });
    expect(plan.ready?.message).toMatch(message);
    const conditions = (plan.status as ModelStatus | undefined)?.conditions;
    expect(conditions?.find(({ type }) => type === 'Complete')?.status).toBe(complete);
  });
});
