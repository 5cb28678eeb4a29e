import { expect, test } from '@jest/globals';
import { quantityValue } from './quantity.ts';

test.each([
  ['256Mi', 268_435_456],
  ['1Gi', 1_073_741_824],
  ['64M', 64_000_000],
  ['1.5k', 1500],
  ['500m', 0.5],
  ['2', 2],
  ['1e3', 1000],
  ['3E', 3e18],
])('%s is %d', (text, value) => expect(quantityValue(text)).toBe(value));
