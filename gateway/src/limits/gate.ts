// The gate before one Model: who may go now, who waits and in which order, and who is told to come again later.
import type { ProviderModel } from '@kadre/crds';
import type { Clock } from '../options.ts';
import type { Attempt, Availability, Lease, Outcome } from '../pipeline/hooks.ts';
import { Breaker, verdictOf, type BreakerState } from './breaker.ts';
import { FairQueue, type Place } from './fair-queue.ts';
import { isUnlimited, limitsOf, unlimited, type Limited, type Share } from './limits.ts';
import type { LimitMetrics } from './metrics.ts';
import { resting, tooLong, type Obstacle } from './refusal.ts';
import { Typical } from './typical.ts';
import type { Waiting } from './waiting.ts';

export interface GateSurroundings {
  clock: Clock;
  random: () => number;
  /** Milliseconds that one call may take. */
  callMs: number;
  share: () => Share;
  /** The Model as it is now. */
  latest: (namespace: string, name: string) => ProviderModel | undefined;
  /** At all gates. */
  waiting: Waiting;
  metrics: LimitMetrics | undefined;
}

/** Who waits beyond so many is refused at once. */
const LONGEST_QUEUE = 10_000;
/** Providers ask for a day at times; whether they still mean it is found out sooner. */
const LONGEST_PAUSE_MS = 300_000;
/** While calls wait, limits that were raised are seen so often. */
const LOOK_MS = 1_000;

interface Waiter extends Place {
  tokens: number;
  admit(lease: Lease): void;
  refuse(error: unknown): void;
}

interface Blocked {
  obstacle: Obstacle;
  /** Milliseconds until it is gone by itself; Infinity: when another call ends. */
  ms: number;
}

export class Gate {
  readonly #around: GateSurroundings;
  readonly #breaker: Breaker;
  readonly #queue = new FairQueue<Waiter>();
  readonly #typical = new Typical();
  /** For a Model without limits that is well: there is nothing to give back. */
  readonly #freeLease: Lease = { release: (outcome) => this.#learn(outcome) };
  #model: ProviderModel;
  #share: Share;
  #limits: Limited;
  #inFlight = 0;
  #queuedTokens = 0;
  #pausedUntil = 0;
  #alarm: (() => void) | undefined;

  constructor(model: ProviderModel, around: GateSurroundings) {
    this.#around = around;
    this.#breaker = new Breaker(around.random);
    this.#model = model;
    this.#share = around.share();
    this.#limits = limitsOf(model.spec, this.#share, unlimited, around.clock.now());
  }

  get model(): ProviderModel {
    return this.#model;
  }

  get queueLength(): number {
    return this.#queue.size;
  }

  /** Nobody is on the way or waits. */
  get idle(): boolean {
    return this.#inFlight === 0 && this.#queue.size === 0;
  }

  breakerState(): BreakerState {
    return this.#breaker.state(this.#around.clock.now());
  }

  /** The Model has changed. Whatever is older than what is known is left aside. */
  follow(model: ProviderModel): void {
    const share = this.#around.share();
    const newer = model.metadata.generation >= this.#model.metadata.generation;
    if (newer) this.#model = model;
    if (!newer && share === this.#share) return;
    this.#share = share;
    this.#limits = limitsOf(this.#model.spec, share, this.#limits, this.#around.clock.now());
  }

  available(): Availability {
    const now = this.#around.clock.now();
    if (this.#breaker.state(now) === 'open') return 'open';
    return this.#queue.size > 0 || this.#blocked(this.#typical.tokens, now) ? 'busy' : 'yes';
  }

  /** As {@link Limiter.acquire}. */
  acquire(attempt: Attempt): Lease | Promise<Lease> {
    if (this.#free) return this.#freeLease;
    const now = this.#around.clock.now();
    if (this.#share !== this.#around.share()) this.follow(this.#model);
    if (this.#breaker.state(now) === 'open') throw this.#counted('breaker', resting(this.#model, this.#breaker, now));
    const tokens = this.#typical.tokensOf(attempt.estimate);
    const blocked = this.#blocked(tokens, now);
    if (!blocked && this.#queue.size === 0) return this.#admit(tokens, now);
    return this.#wait(attempt, tokens, blocked?.obstacle ?? 'queue', now);
  }

  get #free(): boolean {
    return this.#breaker.closed && this.#pausedUntil === 0 && this.#queue.size === 0 && isUnlimited(this.#limits);
  }

  #blocked(tokens: number, now: number): Blocked | undefined {
    const { concurrent = Infinity, requests, tokens: bucket } = this.#limits;
    if (now < this.#pausedUntil) return { obstacle: 'provider', ms: this.#pausedUntil - now };
    this.#pausedUntil = 0;
    if (!this.#breaker.closed && !this.#breaker.probeFree) return { obstacle: 'breaker', ms: Infinity };
    if (this.#inFlight >= concurrent) return { obstacle: 'concurrent', ms: Infinity };
    const forRequests = requests?.wait(1, now) ?? 0;
    const forTokens = bucket?.wait(tokens, now) ?? 0;
    if (forRequests === 0 && forTokens === 0) return undefined;
    return forRequests > forTokens ? { obstacle: 'requests', ms: forRequests } : { obstacle: 'tokens', ms: forTokens };
  }

  #admit(tokens: number, now: number): Lease {
    const { requests, tokens: bucket } = this.#limits;
    const probe = this.#breaker.beginProbe();
    this.#inFlight += 1;
    requests?.take(1, now);
    bucket?.take(tokens, now);
    let released = false;
    return {
      release: (outcome) => {
        if (released) return;
        released = true;
        this.#inFlight -= 1;
        const { usage, error, status, durationMs } = outcome;
        const unsent = status === 0 && durationMs === 0 && verdictOf(outcome) === 'unknown' && error !== undefined;
        if (unsent) requests?.give(1);
        bucket?.give(tokens - (usage ? usage.inputTokens + usage.outputTokens : 0));
        this.#learn(outcome, probe);
        this.#letGo();
      },
    };
  }

  /** What the outcome says about the Model. */
  #learn(outcome: Outcome, probe?: number): void {
    const now = this.#around.clock.now();
    this.#typical.learn(outcome);
    const { error, status, retryAfterMs = 0 } = outcome;
    if (status === 429 && error?.code === 'RateLimited' && retryAfterMs > 0) {
      this.#pausedUntil = Math.max(this.#pausedUntil, now + Math.min(retryAfterMs, LONGEST_PAUSE_MS));
    }
    this.#breaker.report(verdictOf(outcome), outcome, now, probe);
    if (this.#breaker.state(now) === 'open') this.#refuseAll(now);
  }

  #refuseAll(now: number): void {
    for (let waiter = this.#queue.shift(); waiter; waiter = this.#queue.shift()) {
      waiter.refuse(this.#counted('breaker', resting(this.#model, this.#breaker, now)));
    }
    this.#queuedTokens = 0;
  }

  #wait(attempt: Attempt, tokens: number, obstacle: Obstacle, now: number): Promise<Lease> {
    const { candidate, call } = attempt;
    const patienceMs = Math.max(
      0,
      Math.min(candidate.patienceMs ?? this.#limits.maxWaitMs, this.#deadlineOf(attempt) - now),
    );
    call.signal.throwIfAborted();
    const place = { namespace: call.caller.namespace, agent: call.caller.agent };
    const ahead = this.#queue.ahead(place);
    const { waiting } = this.#around;
    if (this.#queue.size >= LONGEST_QUEUE || waiting.isFull(place))
      throw this.#refusal('queue', ahead, tokens, patienceMs);
    // Some waits are certain: then there is no sense in beginning.
    if (patienceMs <= 0 || this.#certainWait(ahead, tokens, now) > patienceMs) {
      throw this.#refusal(obstacle, ahead, tokens, patienceMs);
    }
    return new Promise((admit, refuse) =>
      this.#enqueue({ ...place, tokens, admit, refuse }, call.signal, patienceMs, now),
    );
  }

  #enqueue(waiting: Waiter, signal: AbortSignal, patienceMs: number, since: number): void {
    const { clock, metrics, waiting: all } = this.#around;
    const over = (): void => {
      cancel();
      all.leave(waiting);
      signal.removeEventListener('abort', aborted);
      metrics?.waited(this.#model, clock.now() - since);
    };
    const waiter: Waiter = {
      ...waiting,
      admit: (lease) => {
        over();
        waiting.admit(lease);
      },
      refuse: (error) => {
        over();
        waiting.refuse(error);
      },
    };
    const leave = (reason: () => unknown): void => {
      if (!this.#queue.delete(waiter)) return;
      this.#queuedTokens -= waiter.tokens;
      waiter.refuse(reason());
      this.#letGo();
    };
    const aborted = (): void => leave(() => signal.reason);
    const cancel = clock.after(patienceMs, () =>
      leave(() => {
        const obstacle = this.#blocked(waiter.tokens, clock.now())?.obstacle ?? 'queue';
        return this.#refusal(obstacle, this.#queue.ahead(waiter), waiter.tokens, patienceMs);
      }),
    );
    signal.addEventListener('abort', aborted, { once: true });
    all.enter(waiter);
    this.#queue.add(waiter);
    this.#queuedTokens += waiter.tokens;
    this.#letGo();
  }

  /** Lets those go who can, in their order, and looks again when the next one may. */
  #letGo(): void {
    this.#alarm?.();
    this.#alarm = undefined;
    if (this.#queue.size === 0) return;
    const { clock } = this.#around;
    const now = clock.now();
    this.#followLatest();
    for (let next = this.#queue.first(); next; next = this.#queue.first()) {
      const blocked = this.#blocked(next.tokens, now);
      if (blocked) {
        this.#alarm = clock.after(Math.min(blocked.ms, LOOK_MS), () => this.#letGo());
        return;
      }
      this.#queue.shift();
      this.#queuedTokens -= next.tokens;
      next.admit(this.#admit(next.tokens, now));
    }
  }

  #followLatest(): void {
    const { namespace = '', name, uid } = this.#model.metadata;
    const latest = this.#around.latest(namespace, name);
    if (latest && latest.metadata.uid === uid && (latest !== this.#model || this.#share !== this.#around.share())) {
      this.follow(latest);
    }
  }

  /** Milliseconds since 1970. The official clients say how many seconds they wait for an answer. */
  #deadlineOf({ call: { record, headers } }: Attempt): number {
    const theirs = Number(headers['x-stainless-timeout']);
    return record.startedAt + Math.min(this.#around.callMs, theirs > 0 ? theirs * 1000 : Infinity);
  }

  #certainWait(ahead: number, tokens: number, now: number): number {
    const { requests, tokens: bucket } = this.#limits;
    const queued = this.#queue.size === 0 ? 0 : (this.#queuedTokens / this.#queue.size) * ahead;
    return Math.max(
      this.#pausedUntil - now,
      requests?.wait(1, now, ahead) ?? 0,
      bucket?.wait(tokens, now, queued) ?? 0,
    );
  }

  #likelyWait(ahead: number, tokens: number, now: number): number {
    const { concurrent } = this.#limits;
    const certain = this.#certainWait(ahead, tokens, now);
    if (concurrent === undefined) return certain;
    const turns = Math.ceil((this.#inFlight + ahead + 1 - concurrent) / concurrent);
    return Math.max(certain, turns * this.#typical.durationMs);
  }

  #refusal(obstacle: Obstacle, ahead: number, tokens: number, patienceMs: number): Error {
    const waitMs = this.#likelyWait(ahead, tokens, this.#around.clock.now());
    return this.#counted(obstacle, tooLong({ model: this.#model, obstacle, waitMs, patienceMs }, this.#breaker));
  }

  #counted(obstacle: Obstacle, error: Error): Error {
    this.#around.metrics?.limited(this.#model, obstacle);
    return error;
  }
}
