// How long one answer may take, all of its calls together.
import { AgentFailure } from '../failure.ts';

/** Longer ones would be over at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** A signal that aborts with the other one, or when the time is up. */
export function timeLimit(other: AbortSignal, durationMs: number): { signal: AbortSignal; clear: () => void } {
  const own = new AbortController();
  const timer = setTimeout(() => own.abort(outOfTime(durationMs)), Math.min(durationMs, LONGEST_TIMER_MS));
  return { signal: AbortSignal.any([other, own.signal]), clear: () => clearTimeout(timer) };
}

function outOfTime(durationMs: number): AgentFailure {
  const message = `The agent had no answer within ${durationMs / 1000} s, which is its limit: ask for less at once, or raise limits.duration of the Agent.`;
  return new AgentFailure('LimitExceeded', message, { shouldRetry: false });
}
