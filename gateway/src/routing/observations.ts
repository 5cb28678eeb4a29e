// How fast Models answered lately, as this gateway saw it.
import type { ProviderModel } from '@kadre/crds';
import { BoundedMap } from '@kadre/store';
import type { Clock } from '../options.ts';
import { verdictOf } from '../limits/breaker.ts';
import type { Attempt, Lease, Limiter, Outcome } from '../pipeline/hooks.ts';

/** What one more observation counts against all before it. */
const WEIGHT = 0.2;
/** After so long without an observation, nobody knows. */
const STALE_MS = 600_000;
/** In which the memory of failures fades by half. */
const FORGIVING_MS = 60_000;
const MODELS = 10_000;
/** However often a Model fails, it counts as no slower than this many times its time. */
const MOST_TRIES = 20;

interface Seen {
  generation: number;
  /** Milliseconds to the first content of streamed answers, and to the end of whole ones. */
  streamed: number | undefined;
  whole: number | undefined;
  /** Of all attempts, the share that failed. */
  failing: number;
  at: number;
}

export interface Observations {
  note(attempt: Attempt, outcome: Outcome): void;
  /**
   * Milliseconds until an answer may be hoped for, tries that fail included; undefined if there is no observation, or
   * none that is fresh.
   */
  expected(model: ProviderModel, streamed: boolean): number | undefined;
}

export function createObservations(clock: Clock): Observations {
  const seen = new BoundedMap<string, Seen>(MODELS);

  const known = ({ metadata }: ProviderModel): Seen | undefined => {
    const found = seen.get(metadata.uid);
    return found?.generation === metadata.generation ? found : undefined;
  };
  const failingNow = ({ failing, at }: Seen): number => failing * 0.5 ** ((clock.now() - at) / FORGIVING_MS);

  return {
    note: ({ call, candidate: { model } }, outcome) => {
      const failed = isFailure(outcome);
      if (outcome.error && !failed) return;
      const { generation, uid } = model.metadata;
      const before = known(model) ?? { generation, streamed: undefined, whole: undefined, failing: 0, at: clock.now() };
      const failing = averaged(failingNow(before), failed ? 1 : 0);
      const after: Seen = { ...before, failing, at: clock.now() };
      if (!failed && call.streamed)
        after.streamed = averaged(before.streamed, outcome.firstContentMs ?? outcome.durationMs);
      else if (!failed) after.whole = averaged(before.whole, outcome.durationMs);
      seen.set(uid, after);
    },
    expected: (model, streamed) => {
      const found = known(model);
      if (!found || clock.now() - found.at > STALE_MS) return undefined;
      const ms = streamed ? (found.streamed ?? found.whole) : (found.whole ?? found.streamed);
      const tries = Math.min(MOST_TRIES, 1 / Math.max(1 - failingNow(found), 1 / MOST_TRIES));
      // Of a Model that only ever failed nothing is known but that.
      if (ms === undefined) return failingNow(found) > WEIGHT / 2 ? Infinity : undefined;
      return ms * tries;
    },
  };
}

/** A provider that works but turns calls away is of no more use to them than one that does not. */
const TURNED_AWAY = new Set([401, 403, 404, 429]);
const isFailure = (outcome: Outcome): boolean =>
  outcome.error !== undefined && (verdictOf(outcome) === 'failed' || TURNED_AWAY.has(outcome.status));

const averaged = (before: number | undefined, now: number): number =>
  before === undefined ? now : before + WEIGHT * (now - before);

/** Sees how each attempt ends. */
export function observed(limiter: Limiter, observations: Observations): Limiter {
  const watched = (attempt: Attempt, lease: Lease): Lease => ({
    release: (outcome) => {
      observations.note(attempt, outcome);
      lease.release(outcome);
    },
  });
  return {
    ...limiter,
    acquire: (attempt) => {
      const lease = limiter.acquire(attempt);
      return lease instanceof Promise ? lease.then((granted) => watched(attempt, granted)) : watched(attempt, lease);
    },
  };
}
