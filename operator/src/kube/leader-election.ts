// One of several processes leads: whoever holds a coordination.k8s.io/v1 Lease, after client-go's algorithm.
// Wall clocks of other machines are never trusted: a lease has run out when we have seen no change of it for its
// duration, by our own monotonic clock.
import type { KubeClient } from './client.ts';
import { sleep, systemClock } from './clock.ts';
import type { Clock } from './clock.ts';
import { isAlreadyExists, isConflict, isNotFound, messageOf } from './errors.ts';
import { silentLog } from './log.ts';
import type { Log } from './log.ts';
import type { KubeMetrics } from './metrics.ts';
import { microTime } from './micro-time.ts';
import type { KubeObject } from './plan.ts';

export interface LeaderElectorOptions {
  /** Must not be gated: renewing is what keeps the gate open. */
  client: KubeClient;
  namespace: string;
  /** Of the Lease. */
  name: string;
  /** Unique for each process, even on the same machine or pod. */
  identity: string;
  /** Others wait so long (ms) for a sign of the leader. */
  leaseDurationMs?: number;
  /** The leader gives up when it could not renew for so long (ms). Less than the lease, so that writes under way land in time. */
  renewDeadlineMs?: number;
  /** Time (ms) between attempts. */
  retryPeriodMs?: number;
  onElected?: () => void;
  /** After each renewal: how long (ms), from now on, this process certainly leads if no further one succeeds. */
  onRenewed?: (remainingMs: number) => void;
  /** Leadership is lost, not given up. The process should exit. */
  onLost?: (reason: string) => void;
  clock?: Clock;
  random?: () => number;
  log?: Log;
  metrics?: KubeMetrics | undefined;
}

interface LeaseSpec {
  holderIdentity?: string;
  leaseDurationSeconds?: number;
  acquireTime?: string;
  renewTime?: string;
  leaseTransitions?: number;
}

const jitter = 1.2;

export class LeaderElector {
  private readonly options: Required<Omit<LeaderElectorOptions, 'metrics' | 'onElected' | 'onRenewed' | 'onLost'>> &
    Pick<LeaderElectorOptions, 'metrics' | 'onElected' | 'onRenewed' | 'onLost'>;
  private readonly stopping = new AbortController();
  /** The Lease as last seen, and when (monotonic) it was first seen so. */
  private observed: { lease: KubeObject; record: string; at: number } | undefined;
  /** Until when (monotonic) and (wall) this process certainly leads; both, as either clock may stand still in sleep. */
  private until: { monotonic: number; wall: number } | undefined;
  private running: Promise<void> | undefined;

  constructor(options: LeaderElectorOptions) {
    const defaults = {
      leaseDurationMs: 15_000,
      renewDeadlineMs: 10_000,
      retryPeriodMs: 2_000,
      clock: systemClock,
      random: Math.random,
      log: silentLog,
    };
    this.options = { ...defaults, ...options };
    this.options.metrics?.leader.set({ name: options.name }, 0);
  }

  /** Whether this process certainly leads at this very moment. Cheap: ask before each write. */
  isLeader(): boolean {
    const { clock } = this.options;
    return this.until !== undefined && clock.monotonic() < this.until.monotonic && clock.now() < this.until.wall;
  }

  /** Who leads as far as we know; undefined before the Lease was seen, or when nobody does. */
  get holder(): string | undefined {
    const holder = this.observed && specOf(this.observed.lease).holderIdentity;
    return holder === '' ? undefined : holder;
  }

  start(): void {
    this.running ??= this.run();
  }

  /** Ends the candidacy. A leader hands the Lease back, so that another can lead at once. Never rejects. */
  async stop(): Promise<void> {
    this.stopping.abort();
    await this.running;
    if (this.until === undefined) return;
    const wasLeader = this.isLeader();
    this.stepDown();
    if (wasLeader) await this.release();
  }

  private async run(): Promise<void> {
    const { clock, retryPeriodMs, random, log, identity, onElected, onLost } = this.options;
    const { signal } = this.stopping;
    while (!signal.aborted && !(await this.tryAcquireOrRenew())) {
      await sleep(clock, retryPeriodMs * (1 + (jitter - 1) * random()), signal);
    }
    if (signal.aborted) return;
    log.info({ identity }, 'This process leads');
    this.options.metrics?.leader.set({ name: this.options.name }, 1);
    onElected?.();
    if ((await this.keep(signal)) === 'stopped') return;
    this.stepDown();
    const reason =
      this.holder === identity ? 'the lease could not be renewed in time' : 'another process took the lease';
    log.error({ identity, holder: this.holder }, `Leadership is lost: ${reason}`);
    onLost?.(reason);
  }

  /** Renews until leadership is lost or the signal is aborted. */
  private async keep(signal: AbortSignal): Promise<'stopped' | 'lost'> {
    const { clock, retryPeriodMs, identity } = this.options;
    for (;;) {
      await sleep(clock, retryPeriodMs, signal);
      if (signal.aborted) return 'stopped';
      // After a pause beyond the deadline others may have led: that is a loss, even if the Lease could be had again.
      if (!this.isLeader()) return 'lost';
      const renewed = await this.tryAcquireOrRenew();
      const taken = !renewed && this.holder !== undefined && this.holder !== identity;
      if (taken || !this.isLeader()) return 'lost';
    }
  }

  private stepDown(): void {
    this.until = undefined;
    this.options.metrics?.leader.set({ name: this.options.name }, 0);
  }

  /** True when this process holds the Lease after it. Never rejects. */
  private async tryAcquireOrRenew(): Promise<boolean> {
    const { clock, identity, log } = this.options;
    // Counted from before the request: others count from when they see the renewal, which is later.
    const before = { monotonic: clock.monotonic(), wall: clock.now() };
    try {
      if (!this.isLeader()) await this.observe();
      const holder = this.holder;
      if (holder !== undefined && holder !== identity && !this.hasExpired()) return false;
      await this.write();
      this.hold(before);
      return true;
    } catch (error) {
      log.debug({ identity }, `The lease was not obtained: ${messageOf(error)}`);
      if (isConflict(error) || isAlreadyExists(error) || isNotFound(error)) await this.observe().catch(() => undefined);
      return false;
    }
  }

  private hold(before: { monotonic: number; wall: number }): void {
    const { renewDeadlineMs, clock, onRenewed } = this.options;
    this.until = { monotonic: before.monotonic + renewDeadlineMs, wall: before.wall + renewDeadlineMs };
    onRenewed?.(Math.max(0, this.until.monotonic - clock.monotonic()));
  }

  private hasExpired(): boolean {
    const { clock, leaseDurationMs } = this.options;
    if (!this.observed) return true;
    const seconds = specOf(this.observed.lease).leaseDurationSeconds;
    const duration = seconds === undefined ? leaseDurationMs : seconds * 1000;
    return clock.monotonic() - this.observed.at > duration;
  }

  private async observe(): Promise<void> {
    const { client, namespace, name } = this.options;
    const lease = await client.get({ ...leaseKind, namespace, name }, this.call());
    if (lease) this.remember(lease);
    else this.observed = undefined;
  }

  private remember(lease: KubeObject): void {
    const record = JSON.stringify(lease.spec ?? {});
    // The time of the first sight counts: a Lease that stays the same grows old.
    const at = this.observed?.record === record ? this.observed.at : this.options.clock.monotonic();
    this.observed = { lease, record, at };
  }

  private async write(): Promise<void> {
    const { client, namespace, name, identity, clock, leaseDurationMs } = this.options;
    const now = microTime(clock.now());
    const seen = this.observed ? specOf(this.observed.lease) : undefined;
    const renewal = seen?.holderIdentity === identity;
    const spec: LeaseSpec = {
      holderIdentity: identity,
      leaseDurationSeconds: Math.ceil(leaseDurationMs / 1000),
      acquireTime: renewal ? (seen.acquireTime ?? now) : now,
      renewTime: now,
      leaseTransitions: (seen?.leaseTransitions ?? 0) + (seen && !renewal ? 1 : 0),
    };
    if (this.observed) this.remember(await client.replace({ ...this.observed.lease, spec }, this.call()));
    else this.remember(await client.create({ ...leaseKind, metadata: { namespace, name }, spec }, this.call()));
  }

  private async release(): Promise<void> {
    const { client, clock, log } = this.options;
    if (!this.observed) return;
    const { lease } = this.observed;
    const spec: LeaseSpec = {
      ...specOf(lease),
      holderIdentity: '',
      leaseDurationSeconds: 1,
      renewTime: microTime(clock.now()),
    };
    try {
      await client.replace({ ...lease, spec }, { timeoutMs: 2_000, retries: 0 });
      log.info({}, 'The lease is released');
    } catch (error) {
      log.warn({}, `The lease could not be released, others wait until it runs out: ${messageOf(error)}`);
    }
  }

  /** A renewal that hangs must leave time for another one. */
  private call() {
    return { timeoutMs: this.options.renewDeadlineMs / 2, retries: 0 };
  }
}

const leaseKind = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease' };
const specOf = (lease: KubeObject): LeaseSpec => lease.spec ?? {};
