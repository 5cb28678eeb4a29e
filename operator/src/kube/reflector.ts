// Keeps a cache equal to what the API server holds. It starts with a watch-list (or pages, where the server has no
// watch-list), goes on with a watch, and after any fault goes on where it stopped or starts over. It never gives up.
import type { KubeClient, Selection } from './client.ts';
import { sleep, systemClock } from './clock.ts';
import type { Clock } from './clock.ts';
import type { KindRef } from './discovery.ts';
import { KubeError, isExpired, isKindNotServed, kubeReasons, messageOf } from './errors.ts';
import { silentLog } from './log.ts';
import type { Log } from './log.ts';
import type { KubeMetrics } from './metrics.ts';
import type { KubeObject } from './plan.ts';
import { isNewer } from './resource-version.ts';
import type { WatchEvent } from './watch-decoder.ts';

/** Where the objects go. */
interface Sink {
  replace(objects: KubeObject[]): void;
  upsert(object: KubeObject): void;
  remove(object: KubeObject): void;
}

type ReflectorState = 'syncing' | 'synced' | 'absent';

export interface ReflectorOptions {
  client: KubeClient;
  kind: KindRef;
  selection?: Selection;
  sink: Sink;
  clock?: Clock;
  random?: () => number;
  log?: Log;
  metrics?: KubeMetrics | undefined;
  /** Name in metrics and logs; the kind by default. */
  name?: string;
  /** A watch that says nothing for so long (ms) is dead: the API server sends a bookmark every minute. */
  silenceMs?: number;
  /** How often (ms) the whole collection is read anew, in case an event was lost on the way. */
  relistMs?: number;
  /** How often (ms) to look whether an absent kind has appeared. */
  absentRetryMs?: number;
  onState?: (state: ReflectorState) => void;
}

const initialEventsEnd = 'k8s.io/initial-events-end';
/** Back-off after faults (ms), as client-go has it. */
const firstBackoff = 800;
const longestBackoff = 30_000;
/** A watch-list that has not ended its initial events by now (ms) never will. */
const initialEventsTimeout = 120_000;
/** A watch that ends sooner (ms) without a word did not end regularly. */
const shortestWatch = 1_000;

export class Reflector {
  private readonly options: Required<Omit<ReflectorOptions, 'metrics' | 'onState'>> &
    Pick<ReflectorOptions, 'metrics' | 'onState'>;
  /** Where the watch goes on; undefined when all must be read anew. */
  private resourceVersion: string | undefined;
  private watchListSupported = true;
  private listedAt = 0;
  private heardAt: number;
  private failures = 0;

  constructor(options: ReflectorOptions) {
    const defaults = {
      selection: {},
      clock: systemClock,
      random: Math.random,
      log: silentLog,
      name: options.kind.kind,
      silenceMs: 90_000,
      relistMs: 30 * 60_000,
      absentRetryMs: 15_000,
    };
    this.options = { ...defaults, ...options };
    this.heardAt = this.options.clock.monotonic();
  }

  /** Resolves once `signal` is aborted. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, metrics, name } = this.options;
    metrics?.watchAge.track(name, () => (clock.monotonic() - this.heardAt) / 1000);
    while (!signal.aborted) {
      try {
        await this.session(signal);
        this.failures = 0;
      } catch (error) {
        await this.recover(error, signal);
      }
    }
    metrics?.watchAge.untrack(name);
  }

  /** One watch, from its start to its regular end. */
  private async session(signal: AbortSignal): Promise<void> {
    if (this.resourceVersion !== undefined && this.options.clock.monotonic() - this.listedAt > this.options.relistMs) {
      this.resourceVersion = undefined;
    }
    if (this.resourceVersion === undefined && !this.watchListSupported) await this.list(signal);
    await this.watch(signal);
  }

  private async list(signal: AbortSignal): Promise<void> {
    const { client, kind, selection } = this.options;
    const { items, resourceVersion } = await client.list(kind, { ...selection, signal, timeoutMs: 60_000, retries: 0 });
    this.swap(items, resourceVersion);
  }

  private swap(items: KubeObject[], resourceVersion: string): void {
    this.options.sink.replace(items);
    this.resourceVersion = resourceVersion;
    this.listedAt = this.heardAt = this.options.clock.monotonic();
    this.failures = 0;
    this.options.onState?.('synced');
  }

  private async watch(outer: AbortSignal): Promise<void> {
    const { client, kind, selection, random } = this.options;
    const watchdog = new Watchdog(this.options.clock, outer);
    const began = this.options.clock.monotonic();
    let heard = false;
    const initial = this.resourceVersion === undefined ? new Map<string, KubeObject>() : undefined;
    try {
      watchdog.expect(initial ? initialEventsTimeout : this.options.silenceMs);
      const { events } = await client.watch(kind, {
        ...selection,
        signal: watchdog.signal,
        // Spread out, so that not all watches of all clients end together.
        timeoutSeconds: Math.round(300 + 300 * random()),
        ...(this.resourceVersion === undefined
          ? { sendInitialEvents: true }
          : { resourceVersion: this.resourceVersion }),
      });
      for await (const event of events) {
        heard = true;
        this.heardAt = this.options.clock.monotonic();
        watchdog.expect(this.options.silenceMs);
        if (this.resourceVersion === undefined) this.collect(initial ?? new Map<string, KubeObject>(), event);
        else this.follow(this.resourceVersion, event);
      }
      if (watchdog.fired) throw silentWatch();
      if (this.resourceVersion === undefined) throw cutOff('ended within the initial events');
      // Without a pause a server that ends every watch at once would be asked without end.
      if (!heard && this.options.clock.monotonic() - began < shortestWatch) throw cutOff('ended at once');
    } catch (error) {
      throw watchdog.fired ? silentWatch() : error;
    } finally {
      watchdog.stop();
    }
  }

  /** Gathers the initial events of a watch-list until the bookmark that ends them; only then does the cache change. */
  private collect(initial: Map<string, KubeObject>, event: WatchEvent): void {
    const { metadata } = event.object;
    if (event.type === 'BOOKMARK') {
      if (metadata.annotations?.[initialEventsEnd] !== 'true') return;
      this.swap([...initial.values()], metadata.resourceVersion ?? '');
      initial.clear();
      return;
    }
    const key = `${metadata.namespace ?? ''}/${metadata.name}`;
    if (event.type === 'DELETED') initial.delete(key);
    else initial.set(key, event.object);
  }

  private follow(last: string, event: WatchEvent): void {
    const next = event.object.metadata.resourceVersion;
    if (next === undefined) throw outOfOrder('an event has no resourceVersion');
    // Versions rise along a watch. Going backwards means that the stream cannot be trusted.
    if (isNewer(last, next)) throw outOfOrder(`version ${next} came after ${last}`);
    if (event.type === 'DELETED') this.options.sink.remove(event.object);
    else if (event.type !== 'BOOKMARK') this.options.sink.upsert(event.object);
    this.resourceVersion = next;
    this.failures = 0;
  }

  private async recover(error: unknown, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    const { clock, random, log, metrics, name, absentRetryMs, onState } = this.options;
    const reason = error instanceof KubeError ? error.reason : 'Unknown';
    metrics?.watchRestarts.inc({ kind: name, reason });
    if (isKindNotServed(error)) {
      // The objects stay in the cache: an API server that is starting does not serve custom kinds for a moment.
      this.resourceVersion = undefined;
      onState?.('absent');
      log.debug({ kind: name }, 'The API server does not serve this kind now');
      await sleep(clock, absentRetryMs * (1 + random()), signal);
      return;
    }
    if (this.resourceVersion === undefined && this.watchListSupported && refusesWatchList(error)) {
      log.info({ kind: name }, 'The API server has no watch-list: reading pages instead');
      this.watchListSupported = false;
      return;
    }
    if (isExpired(error) || reason === outOfOrderReason) {
      this.resourceVersion = undefined;
      log.debug({ kind: name, reason }, 'Reading all objects anew');
    } else {
      log.warn({ kind: name, reason, failures: this.failures }, `A watch ended: ${messageOf(error)}`);
    }
    await sleep(clock, this.backoff(error), signal);
  }

  private backoff(error: unknown): number {
    const { random } = this.options;
    const growing = Math.min(firstBackoff * 2 ** this.failures, longestBackoff);
    this.failures++;
    const asked = error instanceof KubeError ? (error.retryAfter ?? 0) : 0;
    return Math.max(asked, growing) * (1 + random());
  }
}

const outOfOrderReason = 'OutOfOrder';
const outOfOrder = (message: string) => new KubeError(`watch: ${message}`, { code: 0, reason: outOfOrderReason });
const silentWatch = () => new KubeError('watch: nothing heard for too long', { code: 0, reason: kubeReasons.timeout });
const cutOff = (how: string) => new KubeError(`watch: ${how}`, { code: 0, reason: kubeReasons.network });

/** Servers without the feature refuse `sendInitialEvents` as invalid; some proxies never end the initial events. */
const refusesWatchList = (error: unknown) =>
  error instanceof KubeError && (error.code === 400 || error.code === 422 || error.reason === kubeReasons.timeout);

/** Aborts its signal when nothing was heard for the expected time, or when the outer signal is aborted. */
class Watchdog {
  private readonly clock: Clock;
  private readonly outer: AbortSignal;
  private readonly controller = new AbortController();
  private readonly abort = () => this.controller.abort();
  private cancel: () => void = () => undefined;
  fired = false;

  constructor(clock: Clock, outer: AbortSignal) {
    this.clock = clock;
    this.outer = outer;
    if (outer.aborted) this.abort();
    else outer.addEventListener('abort', this.abort, { once: true });
  }

  get signal(): AbortSignal {
    return this.controller.signal;
  }

  expect(ms: number): void {
    this.cancel();
    this.cancel = this.clock.after(ms, () => {
      this.fired = true;
      this.abort();
    });
  }

  stop(): void {
    this.cancel();
    this.outer.removeEventListener('abort', this.abort);
    this.abort();
  }
}
