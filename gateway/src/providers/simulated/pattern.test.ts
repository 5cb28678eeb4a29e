import { describe, expect, test } from '@jest/globals';
import { matchesScript } from './pattern.ts';

describe('a pattern in a script', () => {
  test.each([
    ['matches anywhere in the prompt', 'cat', 'concatenate', true],
    ['is anchored where it says so', '^cat$', 'concatenate', false],
    ['knows flags of RE2', '(?i)CAT', 'a cat', true],
    ['knows Unicode classes', '\\p{Greek}', 'α', true],
    ['sees only the beginning of a very long prompt', 'needle', `${'x'.repeat(40_000)}needle`, false],
  ])('%s', (_name, pattern, text, expected) => {
    expect(matchesScript(pattern, text)).toBe(expected);
  });

  test.each([
    ['look-ahead', '(?=a)b'],
    ['back references', '(a)\\1'],
    ['an open bracket', '(a'],
    ['repetition beyond bounds', '.{1000}'.repeat(11)],
    ['a program beyond bounds', '(?:[a-z]{100}){9}(?:[a-z]{100}){9}(?:[a-z]{100}){9}'],
  ])('that has %s is refused with a reason', (_name, pattern) => {
    expect(typeof matchesScript(pattern, 'aaa')).toBe('string');
  });

  // Each of these takes a backtracking engine longer than the universe has existed.
  test.each(['(a+)+$', '^(a|a)*$', '(.*a){20}b', '(x+x+)+y', '^(([a-z])+.)+[A-Z]([a-z])+$'])(
    'that would hang others, %s, is answered',
    (pattern) => {
      expect(matchesScript(pattern, `${'a'.repeat(30_000)}!`)).toBe(false);
    },
  );
});
