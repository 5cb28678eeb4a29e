// A queue of keys, as client-go's: a key waits in it once however often it is added, and is never worked on twice at
// the same time. What is added while it is worked on comes back afterwards.
import { systemClock } from './clock.ts';
import type { Cancel, Clock } from './clock.ts';
import type { KubeMetrics } from './metrics.ts';

export interface WorkQueueOptions {
  name: string;
  clock?: Clock;
  metrics?: KubeMetrics | undefined;
  /** Back-off (ms) after the first failure of a key; it doubles with each further one. */
  baseDelayMs?: number;
  maxDelayMs?: number;
}

export class WorkQueue {
  private readonly clock: Clock;
  private readonly metrics: KubeMetrics | undefined;
  private readonly labels: { name: string; controller: string };
  private readonly baseDelayMs: number;
  private readonly maxDelayMs: number;
  /** Keys in the order in which they are handed out, with the time they were added. */
  private readonly waiting = new Map<string, number>();
  /** Keys that are worked on, with the time work began. */
  private readonly processing = new Map<string, number>();
  /** Keys that were added while they were worked on. */
  private readonly again = new Set<string>();
  private readonly delayed = new Map<string, { at: number; cancel: Cancel }>();
  private readonly failures = new Map<string, number>();
  private readonly takers: ((key: string | undefined) => void)[] = [];
  private readonly idle: (() => void)[] = [];
  private closed = false;

  constructor(options: WorkQueueOptions) {
    this.clock = options.clock ?? systemClock;
    this.metrics = options.metrics;
    this.labels = { name: options.name, controller: options.name };
    this.baseDelayMs = options.baseDelayMs ?? 5;
    this.maxDelayMs = options.maxDelayMs ?? 1_000_000;
  }

  /** Keys that wait to be worked on now. */
  get depth(): number {
    return this.waiting.size;
  }

  add(key: string): void {
    if (this.closed) return;
    if (this.processing.has(key)) {
      if (!this.again.has(key)) this.metrics?.queueAdds.inc(this.labels);
      this.again.add(key);
      return;
    }
    if (this.waiting.has(key)) return;
    this.metrics?.queueAdds.inc(this.labels);
    this.enqueue(key);
  }

  /** Adds the key after `ms` milliseconds; of several delays of one key the earliest counts. */
  addAfter(key: string, ms: number): void {
    if (this.closed) return;
    if (ms <= 0) {
      this.add(key);
      return;
    }
    const at = this.clock.monotonic() + ms;
    const planned = this.delayed.get(key);
    if (planned && planned.at <= at) return;
    planned?.cancel();
    const cancel = this.clock.after(ms, () => {
      this.delayed.delete(key);
      this.add(key);
    });
    this.delayed.set(key, { at, cancel });
  }

  /** Adds the key after a delay that doubles with each call, until `forget`, and is never below `atLeastMs`. */
  addRateLimited(key: string, atLeastMs = 0): void {
    const failures = this.failures.get(key) ?? 0;
    this.failures.set(key, failures + 1);
    this.metrics?.queueRetries.inc(this.labels);
    this.addAfter(key, Math.max(atLeastMs, Math.min(this.baseDelayMs * 2 ** failures, this.maxDelayMs)));
  }

  /** The next failure of the key counts as its first. */
  forget(key: string): void {
    this.failures.delete(key);
  }

  /** How often the key failed in a row. */
  retries(key: string): number {
    return this.failures.get(key) ?? 0;
  }

  /** The next key; each must be given back with `done`. Undefined once the queue is shut down and empty. */
  take(): Promise<string | undefined> {
    const [first] = this.waiting.keys();
    if (first !== undefined) return Promise.resolve(this.hand(first));
    if (this.closed) return Promise.resolve(undefined);
    return new Promise((resolve) => this.takers.push(resolve));
  }

  done(key: string): void {
    const began = this.processing.get(key);
    if (began === undefined) return;
    this.processing.delete(key);
    this.metrics?.workDuration.observe(this.labels, (this.clock.monotonic() - began) / 1000);
    if (this.again.delete(key) && !this.closed) this.enqueue(key);
    if (this.processing.size === 0) for (const resolve of this.idle.splice(0)) resolve();
  }

  /** Takes nothing more in, drops what waits, and resolves once all that is worked on is done. */
  shutDown(): Promise<void> {
    this.closed = true;
    for (const { cancel } of this.delayed.values()) cancel();
    this.delayed.clear();
    this.waiting.clear();
    this.again.clear();
    this.metrics?.queueDepth.set(this.labels, 0);
    for (const taker of this.takers.splice(0)) taker(undefined);
    if (this.processing.size === 0) return Promise.resolve();
    return new Promise((resolve) => this.idle.push(resolve));
  }

  private enqueue(key: string): void {
    this.waiting.set(key, this.clock.monotonic());
    const taker = this.takers.shift();
    if (taker) taker(this.hand(key));
    else this.metrics?.queueDepth.set(this.labels, this.waiting.size);
  }

  private hand(key: string): string {
    const now = this.clock.monotonic();
    this.metrics?.queueDuration.observe(this.labels, (now - (this.waiting.get(key) ?? now)) / 1000);
    this.waiting.delete(key);
    this.processing.set(key, now);
    this.metrics?.queueDepth.set(this.labels, this.waiting.size);
    return key;
  }
}
