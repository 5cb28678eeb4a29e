// Outputs are data of others: whatever JSON can say must come back as it was.
import { expect, test } from '@jest/globals';
import { event, publication, submission, usage, type StoreUnderTest } from './fixtures.ts';

export function describeValues(it: () => StoreUnderTest): void {
  test.each<[string, unknown]>([
    ['text with NUL', 'a\u0000b'],
    ['a key with NUL', { 'a\u0000': 1 }],
    ['half a surrogate pair', '\ud83d'],
    ['quotes, backslashes and controls', '\'"\\ $1 \\u0000 \u001f\u007f\u2028'],
    ['keys in an order of their own', { b: 1, a: 2, 10: 3, 9: 4 }],
    ['numbers at the edges', [0, -0.5, 1e308, 5e-324, Number.MAX_SAFE_INTEGER, 0.1]],
    ['a key that means something to JavaScript', JSON.parse('{"__proto__": {"x": 1}}')],
    ['nesting', JSON.parse('['.repeat(200) + ']'.repeat(200))],
    ['a megabyte', 'é'.repeat(500_000)],
    ['null', null],
  ])('%s comes back as it was', async (_, value) => {
    const { store } = it();
    await store.submitRun({ ...submission('u1'), input: value });
    const cached = { key: 'k', output: value, run: 'u1', expiresAt: 10 };
    await store.append('u1', 0, [event('A', value)], { cache: [cached] });
    await store.publishEvent({ ...publication('e1', 1), payload: value });
    const again = await it().reopen();
    const read = [
      (await again.submission('u1'))?.input,
      (await again.events('u1'))[0]?.data,
      (await again.cachedOutput('k', 1))?.output,
      (await again.publishedEvents('team', 'paid', 0))[0]?.payload,
    ];
    for (const one of read) expect(JSON.stringify(one)).toBe(JSON.stringify(value));
  });

  test('names and messages with NUL harm nobody', async () => {
    const { store } = it();
    await store.submitRun(submission('u1'));
    await store.cancelRun('u1', 'a\u0000b');
    await store.publishEvent({ ...publication('e\u00001', 1), name: 'n\u0000' });
    await store.recordUsage({ ...usage('c\u0000', 1), model: 'm\u0000' });
    expect((await store.controls('u1')).cancellation).toMatch(/^a.b$/s);
    expect(await store.publishedEvents('team', 'n\u0000', 0)).toHaveLength(1);
  });

  test('costs are exact up to the largest integer of JavaScript', async () => {
    await it().store.recordUsage(usage('c1', Number.MAX_SAFE_INTEGER - 2));
    await it().store.recordUsage(usage('c2', 1));
    expect((await it().store.usage('u1', 's', 1)).costNanoUsd).toBe(Number.MAX_SAFE_INTEGER - 1);
  });
}
