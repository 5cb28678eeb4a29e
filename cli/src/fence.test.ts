import { expect, test } from '@jest/globals';
import { closeFence, createFence, extendFence, mayWrite } from './fence.ts';

test('nobody may write before the lease was held', () => {
  expect(mayWrite(createFence())).toBe(false);
});

test('writes pass while the lease certainly holds, and not once it may have run out', () => {
  const fence = createFence();
  extendFence(fence, 60_000);
  expect(mayWrite(fence)).toBe(true);
  extendFence(fence, 0);
  expect(mayWrite(fence)).toBe(false);
});

test('a closed fence stops writes at once, whatever the lease said', () => {
  const fence = createFence();
  extendFence(fence, 60_000);
  closeFence(fence);
  expect(mayWrite(fence)).toBe(false);
});
