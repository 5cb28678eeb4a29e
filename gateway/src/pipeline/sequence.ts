// The usual strategy: one candidate after the other, and round again with a pause where the plan says so. Once the first
// piece of a stream is there, there is no way back.
import { GatewayError, unavailable } from '../errors.ts';
import type { Clock } from '../options.ts';
import { retryAfterMs } from '../providers/failures.ts';
import type { Attempts, Candidate, Plan, Strategy } from './hooks.ts';

const FIRST_PAUSE_MS = 250;
const MAX_PAUSE_MS = 10_000;
/** Whoever asks to wait for longer than this is not waited for: the caller may do that. */
const MAX_RETRY_AFTER_MS = 20_000;

export const createSequence = (clock: Clock, random: () => number = Math.random): Strategy => {
  const inTurn = <T>(plan: Plan, attempts: Attempts, run: (candidate: Candidate) => Promise<T>): Promise<T> =>
    tryInTurn(plan, attempts, run, clock, random);
  return {
    generate: (plan, attempts) => inTurn(plan, attempts, (candidate) => attempts.generate(candidate)),
    stream: (plan, attempts) => inTurn(plan, attempts, (candidate) => attempts.open(candidate)),
    embed: (plan, attempts) => inTurn(plan, attempts, (candidate) => attempts.embed(candidate)),
  };
};

async function tryInTurn<T>(
  plan: Plan,
  attempts: Attempts,
  run: (candidate: Candidate) => Promise<T>,
  clock: Clock,
  random: () => number,
): Promise<T> {
  const failures = new Map<Candidate, GatewayError>();
  for (let round = 0; ; round += 1) {
    for (const candidate of plan.candidates) {
      const before = failures.get(candidate);
      if (before && !before.retry) continue;
      try {
        return await run(candidate);
      } catch (error) {
        if (!(error instanceof GatewayError) || attempts.signal.aborted || !mayHelpElsewhere(error)) throw error;
        failures.set(candidate, error);
        if (attempts.left <= 0) throw worst(failures);
      }
    }
    const retryable = [...failures.values()].filter(({ retry }) => retry);
    const pause = pauseBefore(round, retryable, clock, random);
    if (plan.again !== true || pause === undefined) throw worst(failures);
    await attempts.pause(pause);
  }
}

/** What the caller is told: that waiting helps, if it helps with one of them; else what came last. */
function worst(failures: ReadonlyMap<Candidate, GatewayError>): GatewayError {
  const all = [...failures.values()];
  return all.findLast(({ retry }) => retry) ?? all.at(-1) ?? unavailable('No Model could be asked.');
}

/**
 * Whether another Model may do what this one did not: not if the request may not be made at all. What one provider does not
 * take may be nothing to another, and a Budget may be for one Model alone.
 */
const mayHelpElsewhere = ({ status, code }: GatewayError): boolean =>
  status >= 500 ||
  status === 429 ||
  status === 408 ||
  status === 424 ||
  (status === 400 && code === 'ModelFailed') ||
  code === 'BudgetExceeded';

/** Milliseconds, with jitter, and no less than the most patient provider asks; undefined: waiting makes no sense. */
function pauseBefore(
  round: number,
  failures: readonly GatewayError[],
  clock: Clock,
  random: () => number,
): number | undefined {
  if (failures.length === 0) return undefined;
  const asked = Math.min(
    ...failures.map(({ retryAfter }) => (retryAfter === undefined ? 0 : retryAfterMs(retryAfter, clock))),
  );
  if (asked > MAX_RETRY_AFTER_MS) return undefined;
  const own = Math.min(MAX_PAUSE_MS, FIRST_PAUSE_MS * 2 ** round) * (0.5 + random() / 2);
  return Math.max(own, asked);
}
