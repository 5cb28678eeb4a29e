// A Model that keeps failing is left alone for a while, then tried with a few calls before all others may go.
import type { GatewayError } from '../errors.ts';
import type { Outcome } from '../pipeline/hooks.ts';
import { ProviderError } from '../providers/provider.ts';

/** So many failures one after the other open the breaker, */
const IN_A_ROW = 5;
/** or half of the calls of half a minute, if there were enough of them to tell. */
const WINDOW_MS = 30_000;
const ENOUGH_CALLS = 20;
const TOO_MANY = 0.5;
const FIRST_REST_MS = 5_000;
const LONGEST_REST_MS = 120_000;
/** Who was well for so long begins with the first rest again. */
const WELL_MS = 300_000;
/** Calls that try at the same time whether the Model is well again. */
const PROBES = 3;

export type BreakerState = 'closed' | 'halfOpen' | 'open';

/** `answered`: the provider works, whatever it said. `unknown`: the attempt tells nothing about it. */
export type Verdict = 'answered' | 'failed' | 'unknown';

/** A bad key, a quota and a request that it refuses are the words of a provider that works. */
export function verdictOf({ error, status, firstContentMs, durationMs }: Outcome): Verdict {
  if (!error) return 'answered';
  if (error.cause instanceof ProviderError && error.cause.fault !== 'status') return 'failed';
  if (status >= 500 || status === 408) return 'failed';
  if (status > 0) return 'answered';
  return isTimeOut(error) && durationMs > 0 && firstContentMs === undefined ? 'failed' : 'unknown';
}

const isTimeOut = ({ status, code }: GatewayError): boolean => status === 504 && code === 'ModelUnavailable';

export class Breaker {
  readonly #random: () => number;
  #state: 'closed' | 'open' = 'closed';
  #inARow = 0;
  #windowSince = 0;
  #calls = 0;
  #failures = 0;
  /** Grows with each opening: what was begun before tells nothing about now. */
  #openings = 0;
  #rests = 0;
  #closedAt = 0;
  #since = 0;
  #until = 0;
  #probes = 0;
  #why = '';

  constructor(random: () => number) {
    this.#random = random;
  }

  get closed(): boolean {
    return this.#state === 'closed';
  }

  state(now: number): BreakerState {
    if (this.#state === 'closed') return 'closed';
    return now < this.#until ? 'open' : 'halfOpen';
  }

  /** Since when it has been failing. */
  get since(): number {
    return this.#since;
  }

  /** When it may be tried again. */
  get until(): number {
    return this.#until;
  }

  get why(): string {
    return this.#why;
  }

  /** Whether a half-open breaker has a place for one more call that tries. */
  get probeFree(): boolean {
    return this.#probes < PROBES;
  }

  /** What is to be handed to {@link report} with the outcome; undefined while the breaker is closed. */
  beginProbe(): number | undefined {
    if (this.#state === 'closed') return undefined;
    this.#probes += 1;
    return this.#openings;
  }

  report(verdict: Verdict, outcome: Outcome, now: number, probe?: number): void {
    if (this.#state === 'closed') {
      if (probe === undefined) this.#count(verdict, outcome, now);
    } else if (probe === this.#openings) {
      this.#probes -= 1;
      if (verdict === 'failed') this.#open(this.#why, outcome, now);
      else if (verdict === 'answered') this.#close(now);
    }
  }

  #count(verdict: Verdict, outcome: Outcome, now: number): void {
    if (verdict === 'unknown') return;
    if (now - this.#windowSince > WINDOW_MS) {
      this.#windowSince = now;
      this.#calls = this.#failures = 0;
    }
    this.#calls += 1;
    if (verdict === 'answered') {
      this.#inARow = 0;
      return;
    }
    this.#inARow += 1;
    this.#failures += 1;
    const often = this.#calls >= ENOUGH_CALLS && this.#failures >= this.#calls * TOO_MANY;
    if (this.#inARow < IN_A_ROW && !often) return;
    this.#since = now;
    if (now - this.#closedAt > WELL_MS) this.#rests = 0;
    const why = often
      ? `${this.#failures} of ${this.#calls} calls failed`
      : `${this.#inARow} calls failed one after the other`;
    this.#open(why, outcome, now);
  }

  #open(why: string, { retryAfterMs = 0 }: Outcome, now: number): void {
    this.#why = why;
    const rest = Math.min(LONGEST_REST_MS, FIRST_REST_MS * 2 ** this.#rests) * (0.8 + 0.4 * this.#random());
    this.#until = now + Math.round(Math.max(rest, Math.min(retryAfterMs, LONGEST_REST_MS)));
    this.#rests += 1;
    this.#openings += 1;
    this.#probes = 0;
    this.#state = 'open';
  }

  #close(now: number): void {
    this.#state = 'closed';
    this.#closedAt = now;
    this.#inARow = this.#calls = this.#failures = 0;
    this.#probes = 0;
  }
}
