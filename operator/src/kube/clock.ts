// Time as an argument, so that tests decide what time it is.

/** Cancels a timer; harmless when the timer has already fired. */
export type Cancel = () => void;

export interface Clock {
  /** Milliseconds since the epoch. May jump. */
  now(): number;
  /** Milliseconds of a clock that never jumps and that all threads of the process share. */
  monotonic(): number;
  /** Runs `action` once, `ms` milliseconds from now. */
  after(ms: number, action: () => void): Cancel;
}

/** The longest time that Node's timers can count; anything longer would fire at once. */
const longestTimer = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: () => Date.now(),
  // performance.now() counts from the start of each thread, hrtime from the start of the machine.
  monotonic: () => Number(process.hrtime.bigint() / 1000n) / 1000,
  after: (ms, action) => {
    const timer = setTimeout(action, Math.min(Math.max(ms, 0), longestTimer));
    return () => clearTimeout(timer);
  },
};

/** Resolves after `ms` milliseconds, or as soon as `signal` is aborted. Never rejects. */
export function sleep(clock: Clock, ms: number, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const finish = () => {
      cancel();
      signal?.removeEventListener('abort', finish);
      resolve();
    };
    const cancel = clock.after(ms, finish);
    signal?.addEventListener('abort', finish, { once: true });
  });
}

/**
 * Settles as `work` does, or resolves to undefined after `ms` milliseconds.
 * A rejection that comes after the time is up is dropped.
 */
export function within<T>(clock: Clock, ms: number, work: Promise<T>): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    const cancel = clock.after(ms, () => resolve(undefined));
    work.then(resolve, reject).finally(cancel);
  });
}
