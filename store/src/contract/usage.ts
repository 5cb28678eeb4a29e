import { expect, test } from '@jest/globals';
import type { UsageRecord } from '../store.ts';
import { usage, type StoreUnderTest } from './fixtures.ts';

export function describeUsage(it: () => StoreUnderTest): void {
  test('usage adds up for each attempt of a step; a call without a price is counted apart', async () => {
    await it().store.recordUsage(usage('c1', 1_500_000_001));
    await it().store.recordUsage(usage('c2', 2));
    await it().store.recordUsage(usage('c3', null));
    await it().store.recordUsage(usage('c4', 7, 'other'));
    const outside: UsageRecord = usage('c5', 9);
    delete outside.run;
    await it().store.recordUsage(outside);
    expect(await it().store.usage('u1', 's', 1)).toEqual({
      inputTokens: 30,
      outputTokens: 6,
      costNanoUsd: 1_500_000_003,
      unpricedCalls: 1,
    });
  });

  test('a call that is recorded twice counts once', async () => {
    await Promise.all([it().store.recordUsage(usage('c1', 3)), it().store.recordUsage(usage('c1', 3))]);
    expect((await it().store.usage('u1', 's', 1)).costNanoUsd).toBe(3);
  });

  test('a step without calls used nothing', async () => {
    expect(await it().store.usage('u1', 's', 1)).toEqual({
      inputTokens: 0,
      outputTokens: 0,
      costNanoUsd: 0,
      unpricedCalls: 0,
    });
  });

  test('the secret has 32 bytes and is the same for everybody', async () => {
    const second = await it().second();
    const [one, two] = await Promise.all([it().store.secret('step-token'), second.secret('step-token')]);
    expect(one).toHaveLength(32);
    expect(two).toEqual(one);
    await second.close();
  });
}
