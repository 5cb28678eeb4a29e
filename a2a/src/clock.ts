// Time, as a part that can be exchanged.

export interface Clock {
  /** Milliseconds since 1970. */
  now(): number;
  /** Calls back at that time, or at once if it is past; returns what calls it off. */
  at(time: number, callback: () => void): () => void;
}

/** The longest that setTimeout waits. */
const MAX_DELAY = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: () => Date.now(),
  at(time, callback) {
    let timer: NodeJS.Timeout;
    const wait = (): void => {
      const left = time - Date.now();
      timer = setTimeout(left > MAX_DELAY ? wait : callback, Math.min(Math.max(left, 0), MAX_DELAY));
    };
    wait();
    return () => clearTimeout(timer);
  },
};

/** Resolves after so many milliseconds, or as soon as the signal aborts. */
export function pause(clock: Clock, milliseconds: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const done = (): void => {
      callOff();
      signal.removeEventListener('abort', done);
      resolve();
    };
    const callOff = clock.at(clock.now() + milliseconds, done);
    signal.addEventListener('abort', done);
  });
}
