// How long one answer may take, all of its calls together; not the time in which people make up their minds.
import { AgentFailure } from '../failure.ts';

/** Longer ones would be over at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

export interface TimeLimit {
  /** Aborts with the other one, or when the time is up. */
  signal: AbortSignal;
  /** Whether time does not count just now. */
  hold(held: boolean): void;
  clear(): void;
}

export function timeLimit(other: AbortSignal, durationMs: number): TimeLimit {
  const own = new AbortController();
  let left = durationMs;
  let since = 0;
  let timer: NodeJS.Timeout | undefined;
  const run = (): void => {
    since = performance.now();
    timer = setTimeout(() => own.abort(outOfTime(durationMs)), Math.min(left, LONGEST_TIMER_MS));
  };
  const stop = (): void => {
    clearTimeout(timer);
    timer = undefined;
  };
  run();
  return {
    signal: AbortSignal.any([other, own.signal]),
    hold: (held) => {
      if (held === (timer === undefined)) return;
      if (!held) {
        run();
        return;
      }
      stop();
      left = Math.max(0, left - (performance.now() - since));
    },
    clear: stop,
  };
}

function outOfTime(durationMs: number): AgentFailure {
  const message = `The agent had no answer within ${durationMs / 1000} s, which is its limit: ask for less at once, or raise limits.duration of the Agent.`;
  return new AgentFailure('LimitExceeded', message, { shouldRetry: false });
}
