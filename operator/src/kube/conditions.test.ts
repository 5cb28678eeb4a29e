import { describe, expect, test } from '@jest/globals';
import { setCondition, setHealth } from './conditions.ts';
import { nextFinalizers } from './finalizers.ts';
import { microTime } from './micro-time.ts';
import { isNewer } from './resource-version.ts';

const t0 = Date.UTC(2026, 0, 1);
const t1 = t0 + 60_000;

describe('setCondition', () => {
  const first = setCondition(undefined, { type: 'Ready', status: 'False', reason: 'A', message: 'a' }, t0);

  test('keeps lastTransitionTime when only reason and message change', () => {
    const [next] = setCondition(first, { type: 'Ready', status: 'False', reason: 'B', message: 'b' }, t1);
    expect(next).toEqual({
      type: 'Ready',
      status: 'False',
      reason: 'B',
      message: 'b',
      lastTransitionTime: '2026-01-01T00:00:00Z',
    });
  });

  test('changes lastTransitionTime when the status flips', () => {
    const [next] = setCondition(first, { type: 'Ready', status: 'True', reason: 'B', message: '' }, t1);
    expect(next?.lastTransitionTime).toBe('2026-01-01T00:01:00Z');
  });

  test('leaves conditions of others alone, in their places', () => {
    const both = setCondition(first, { type: 'Other', status: 'True', reason: 'X', message: '' }, t0);
    const next = setCondition(both, { type: 'Ready', status: 'True', reason: 'B', message: '' }, t1);
    expect(next.map(({ type }) => type)).toEqual(['Ready', 'Other']);
    expect(next[1]).toBe(both[1]);
  });
});

test.each([
  ['ready', 'True', 'False', 'False'],
  ['progressing', 'False', 'True', 'False'],
  ['stalled', 'False', 'False', 'True'],
] as const)('%s is Ready=%s, Reconciling=%s, Stalled=%s', (state, ready, reconciling, stalled) => {
  const conditions = setHealth(undefined, { state, reason: 'Because', message: 'why' }, 3, t0);
  expect(Object.fromEntries(conditions.map(({ type, status }) => [type, status]))).toEqual({
    Ready: ready,
    Reconciling: reconciling,
    Stalled: stalled,
  });
  expect(conditions.every(({ observedGeneration }) => observedGeneration === 3)).toBe(true);
  expect(setHealth(conditions, { state, reason: 'Because', message: 'why' }, 3, t1)).toEqual(conditions);
});

test.each<[string, string[] | undefined, string[], string[] | undefined]>([
  ['adds ours after those of others', ['x.dev/a'], ['k.dev/b'], ['x.dev/a', 'k.dev/b']],
  ['removes ours that are no longer desired', ['x.dev/a', 'k.dev/b', 'x.dev/c'], [], ['x.dev/a', 'x.dev/c']],
  ['exchanges ours', ['k.dev/a'], ['k.dev/b'], ['k.dev/b']],
  ['has nothing to do when all is there', ['x.dev/a', 'k.dev/b'], ['k.dev/b'], undefined],
  ['has nothing to do when nothing is desired and nothing there', undefined, [], undefined],
  ['does not take a longer domain for ours', ['k.dev.evil/a'], [], undefined],
])('nextFinalizers %s', (_name, current, desired, expected) => {
  expect(nextFinalizers(current, desired, 'k.dev')).toEqual(expected);
});

test.each([
  [Date.UTC(2026, 0, 1), '2026-01-01T00:00:00.000000Z'],
  [Date.UTC(2026, 0, 1) + 1.5, '2026-01-01T00:00:00.001500Z'],
])('MicroTime of %d has six digits: %s', (ms, text) => {
  expect(microTime(ms)).toBe(text);
});

test.each([
  ['10', '9', true],
  ['9', '10', false],
  ['10', '10', false],
  ['18446744073709551615', '18446744073709551614', true],
  ['abc', '1', false],
  ['2', 'opaque', false],
  ['', '1', false],
])('version %s newer than %s: %s', (a, b, expected) => {
  expect(isNewer(a, b)).toBe(expected);
});
