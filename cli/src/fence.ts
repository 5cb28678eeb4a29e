// The fence keeps a replica that lost its lease from writing. The supervisor renews the lease on a thread that nothing
// else burdens, and writes down until when it certainly holds; the operator's thread looks before every write.

/** Nanoseconds of the monotonic clock, which all threads of the process share. Wall clocks may jump; this one does not. */
const now = () => process.hrtime.bigint();

export function createFence(): SharedArrayBuffer {
  return new SharedArrayBuffer(8);
}

/** @param ms how long, from now on, the lease certainly holds */
export function extendFence(fence: SharedArrayBuffer, ms: number): void {
  Atomics.store(new BigInt64Array(fence), 0, now() + BigInt(Math.floor(ms)) * 1_000_000n);
}

export function closeFence(fence: SharedArrayBuffer): void {
  Atomics.store(new BigInt64Array(fence), 0, 0n);
}

export function mayWrite(fence: SharedArrayBuffer): boolean {
  return now() < Atomics.load(new BigInt64Array(fence), 0);
}
