import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { sameQuantity } from './quantity.ts';

test.each([
  ['100m', '0.1'],
  ['1', '1000m'],
  ['1Gi', '1073741824'],
  ['1Gi', '1024Mi'],
  ['1e3', '1k'],
  ['1E3', '1000'],
  ['1.5Gi', '1536Mi'],
  ['0.5', '.5'],
  ['2', '2.'],
  ['-1', '-1000m'],
  ['1n', '0.000000001'],
  ['0', '0Gi'],
  [1, '1'],
  ['1E', '1000P'],
])('%s is %s', (a, b) => {
  expect(sameQuantity(a, b)).toBe(true);
  expect(sameQuantity(b, a)).toBe(true);
});

test.each([
  ['1G', '1Gi'],
  ['100m', '1'],
  ['', '0'],
  ['.', '0'],
  ['abc', 'abc'],
  ['1 Gi', '1Gi'],
  ['1Gi', undefined],
  ['1', { value: 1 }],
  ['NaN', 'NaN'],
])('%s is not %s', (a, b) => {
  expect(sameQuantity(a, b)).toBe(false);
});

test('milli and whole units agree for all numbers', () => {
  fc.assert(fc.property(fc.nat(), (n) => sameQuantity(`${n}`, `${n}000m`) && sameQuantity(`${n}Ki`, `${n * 1024}`)));
});
