// How Node runs in the images. The Dockerfile says the same.
import type { Program } from '../bundle.ts';

/**
 * The control plane is several threads, each with a heap that V8 would let double before it cleans up. The main thread only
 * supervises, so it needs little room for young objects; `cli/src/role-handle.ts` says how much the others have.
 */
export const NODE_FLAGS: Readonly<Record<Program, readonly string[]>> = {
  kadre: ['--heap-growing-percent=10', '--max-semi-space-size=2'],
  'agent-runtime': [],
};

/** glibc would keep a heap of its own for each thread. */
export const NODE_ENV = { NODE_ENV: 'production', MALLOC_ARENA_MAX: '2' };
