// What each Tool bears: calls a minute, calls at the same time, and a rest for one that keeps failing. Nobody waits here: a
// model can do something else meanwhile.
import type { Tool } from '@kadre/crds';
import { ToolError } from '@kadre/tools';
import { Breaker, type Verdict } from '../limits/breaker.ts';
import { forgetIdle } from '../limits/forget-idle.ts';
import { limitsOf, unlimited, type Limited, type Share } from '../limits/limits.ts';
import { failing, secondsOf } from '../limits/words.ts';
import type { Clock } from '../options.ts';
import { Refusal } from './refusal.ts';

export interface Gates {
  /** Throws a Refusal. */
  enter(tool: Tool): Lease;
}

export interface Lease {
  /** Called once. `error`: what was thrown; undefined for an answer, whatever it says. */
  release(error: unknown): void;
}

interface GatesOptions {
  clock: Clock;
  share: () => Share;
  random?: () => number;
}

/** Tools that are known at a time; of those beyond it the oldest that nobody calls just now is forgotten. */
const MOST_GATES = 4_096;

export function createGates({ clock, share, random = Math.random }: GatesOptions): Gates {
  const gates = new Map<string, Gate>();
  return {
    enter: (tool) => {
      const { uid } = tool.metadata;
      const gate = gates.get(uid) ?? new Gate(random);
      gates.set(uid, gate);
      forgetIdle(gates, MOST_GATES);
      return gate.enter(tool, share(), clock);
    },
  };
}

class Gate {
  readonly #breaker: Breaker;
  #limits: Limited = unlimited;
  #generation = -1;
  #share: Share | undefined;
  #inFlight = 0;

  constructor(random: () => number) {
    this.#breaker = new Breaker(random);
  }

  get idle(): boolean {
    return this.#inFlight === 0 && this.#breaker.closed;
  }

  enter(tool: Tool, share: Share, clock: Clock): Lease {
    const now = clock.now();
    this.#follow(tool, share, now);
    this.#mustBeWell(tool, now);
    const { concurrent = Infinity, requests } = this.#limits;
    if (this.#inFlight >= concurrent) {
      throw tooMany(tool, 'concurrent', `${tool.spec.limits?.concurrent} calls are under way, as many as it bears`);
    }
    const waitMs = requests?.wait(1, now) ?? 0;
    if (waitMs > 0) {
      const limit = `${tool.spec.limits?.callsPerMinute} calls a minute are all that it bears`;
      throw tooMany(tool, 'callsPerMinute', `${limit}; try again in ${secondsOf(waitMs)} s`);
    }
    requests?.take(1, now);
    const probe = this.#breaker.beginProbe();
    this.#inFlight += 1;
    return {
      release: (error) => {
        this.#inFlight -= 1;
        const retryAfterMs = error instanceof ToolError ? (error.retryAfterMs ?? 0) : 0;
        this.#breaker.report(verdictOf(error), { retryAfterMs, status: 0, durationMs: 0 }, clock.now(), probe);
      },
    };
  }

  #follow({ metadata, spec }: Tool, share: Share, now: number): void {
    if (metadata.generation === this.#generation && share === this.#share) return;
    this.#generation = metadata.generation;
    this.#share = share;
    const { callsPerMinute, concurrent } = spec.limits ?? {};
    const limits = {
      ...(callsPerMinute !== undefined && { requestsPerMinute: callsPerMinute }),
      ...(concurrent !== undefined && { concurrent }),
    };
    this.#limits = limitsOf({ limits }, share, this.#limits, now);
  }

  #mustBeWell({ metadata }: Tool, now: number): void {
    const state = this.#breaker.state(now);
    if (state === 'closed' || (state === 'halfOpen' && this.#breaker.probeFree)) return;
    const { until } = this.#breaker;
    const again = state === 'open' ? `It is tried again in ${secondsOf(until - now)} s.` : 'It is being tried again.';
    const message = `${failing(`Tool ${metadata.name}`, this.#breaker)} ${again}`;
    throw new Refusal({ reason: 'ToolFailed', rule: 'breaker', message });
  }
}

/** A key that is refused and a call that is wrong are the words of a server that works. */
function verdictOf(error: unknown): Verdict {
  if (error === undefined) return 'answered';
  if (!(error instanceof ToolError)) return 'unknown';
  switch (error.fault) {
    case 'unreachable':
    case 'timeout':
    case 'malformed':
      return 'failed';
    case 'status':
      return error.retry ? 'failed' : 'answered';
    case 'misconfigured':
    case 'refused':
      return 'unknown';
    default:
      return 'answered';
  }
}

const tooMany = ({ metadata }: Tool, limit: string, why: string): Refusal =>
  new Refusal({
    reason: 'RateLimited',
    rule: `limits.${limit}`,
    message: `Tool ${metadata.name} cannot be called just now: ${why}.`,
  });
