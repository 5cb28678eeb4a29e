import type { Cancel, Clock } from './clock.ts';

interface Timer {
  at: number;
  action: () => void;
}

/** A clock that stands still until a test moves it. */
export class FakeClock implements Clock {
  private readonly start = Date.UTC(2026, 10, 21);
  private elapsed = 0;
  private wallOffset = 0;
  private readonly timers = new Set<Timer>();

  now(): number {
    return this.start + this.elapsed + this.wallOffset;
  }

  monotonic(): number {
    return this.elapsed;
  }

  after(ms: number, action: () => void): Cancel {
    const timer = { at: this.elapsed + Math.max(0, ms), action };
    this.timers.add(timer);
    return () => this.timers.delete(timer);
  }

  /** Timers that have not fired. */
  get pending(): number {
    return this.timers.size;
  }

  /** Milliseconds until the next timer fires. */
  get nextIn(): number | undefined {
    const next = this.nextTimer();
    return next && next.at - this.elapsed;
  }

  /** Fires all timers that come due on the way, in their order, letting promises settle after each. */
  async advance(ms: number): Promise<void> {
    const end = this.elapsed + ms;
    for (let next = this.nextTimer(); next && next.at <= end; next = this.nextTimer()) {
      this.elapsed = Math.max(this.elapsed, next.at);
      this.timers.delete(next);
      next.action();
      await settle();
    }
    this.elapsed = end;
    await settle();
  }

  /** Time passes, but nothing runs: the process was paused. */
  pause(ms: number): void {
    this.elapsed += ms;
  }

  /** Somebody sets the wall clock. */
  setWall(offsetMs: number): void {
    this.wallOffset += offsetMs;
  }

  private nextTimer(): Timer | undefined {
    let next: Timer | undefined;
    for (const timer of this.timers) if (!next || timer.at < next.at) next = timer;
    return next;
  }
}

/** Lets everything that is ready run, network input included. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve));
}

/** Waits until `condition` holds, doing `meanwhile` between looks. Fails after 10 real seconds. */
export async function eventually(condition: () => boolean, meanwhile?: () => Promise<void>): Promise<void> {
  const giveUp = Date.now() + 10_000;
  while (!condition()) {
    if (Date.now() > giveUp) throw new Error(`Never came true: ${condition.toString()}`);
    await meanwhile?.();
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}
