// Tells people what happened, as events.k8s.io/v1 Events. The same thing again becomes a series on the first Event, as
// in client-go's tools/events. Recording never blocks, never throws, and never holds more than so many at a time.
import { randomBytes } from 'node:crypto';
import type { KubeClient } from './client.ts';
import { systemClock, within } from './clock.ts';
import type { Cancel, Clock } from './clock.ts';
import { KubeError, isNotFound, kubeReasons, messageOf } from './errors.ts';
import { silentLog } from './log.ts';
import type { Log } from './log.ts';
import type { KubeMetrics } from './metrics.ts';
import { microTime } from './micro-time.ts';
import type { KubeObject, PlannedEvent } from './plan.ts';

/** The object that an Event is about. */
type Regarding = Pick<KubeObject, 'apiVersion' | 'kind' | 'metadata'>;

export interface EventRecorder {
  record(regarding: Regarding, event: PlannedEvent): void;
  /** Sends what waits and takes nothing more in. Resolves after `deadlineMs` at the latest. */
  flush(deadlineMs: number): Promise<void>;
}

export interface EventRecorderOptions {
  client: KubeClient;
  /** Name of the program, such as kadre.dev/operator. */
  controller: string;
  /** Name of this process, such as the pod's. */
  instance: string;
  clock?: Clock;
  log?: Log;
  metrics?: KubeMetrics | undefined;
  /** Events that may wait. Default 1,000. */
  capacity?: number;
}

interface Series {
  regarding: Regarding;
  /** Present once the Event exists. */
  name: string | undefined;
  namespace: string;
  count: number;
  lastAt: number;
  /** What the API server knows. */
  sentCount: number;
  /** An update is on its way, or waits for its turn. */
  sending: boolean;
  sentAt: number;
}

const seriesEnds = 6 * 60_000;
const seriesRefresh = 30 * 60_000;
const upkeepPeriod = 60_000;
const eventKind = { apiVersion: 'events.k8s.io/v1', kind: 'Event' };
const largestNote = 1024;
const longestName = 128;

export function createEventRecorder(options: EventRecorderOptions): EventRecorder {
  return new Recorder(options);
}

class Recorder implements EventRecorder {
  private readonly options: EventRecorderOptions;
  private readonly clock: Clock;
  private readonly log: Log;
  private readonly capacity: number;
  private readonly series = new Map<string, Series>();
  private readonly waiting: (() => Promise<void>)[] = [];
  private sending: Promise<void> | undefined;
  private upkeep: Cancel | undefined;
  private closed = false;

  constructor(options: EventRecorderOptions) {
    this.options = options;
    this.clock = options.clock ?? systemClock;
    this.log = options.log ?? silentLog;
    this.capacity = options.capacity ?? 1000;
  }

  record(regarding: Regarding, event: PlannedEvent): void {
    if (this.closed) return;
    const { apiVersion, kind, metadata } = regarding;
    const key = JSON.stringify([
      apiVersion,
      kind,
      metadata.namespace,
      metadata.name,
      metadata.uid,
      event.type,
      event.reason,
      event.action,
    ]);
    const now = this.clock.now();
    const known = this.series.get(key);
    if (known && now - known.lastAt < seriesEnds) {
      this.again(known, now);
      return;
    }
    if (this.series.size >= this.capacity) this.endSeries(now, 0);
    const first: Series = {
      regarding,
      name: undefined,
      namespace: metadata.namespace ?? 'default',
      count: 1,
      lastAt: now,
      sentCount: 1,
      sending: false,
      sentAt: now,
    };
    this.series.set(key, first);
    this.send(() => this.create(first, event, now));
    this.planUpkeep();
  }

  async flush(deadlineMs: number): Promise<void> {
    this.closed = true;
    this.upkeep?.();
    for (const each of this.series.values()) this.sendCount(each);
    this.series.clear();
    await within(this.clock, deadlineMs, this.sending ?? Promise.resolve());
    this.waiting.length = 0;
  }

  private again(known: Series, now: number): void {
    known.count++;
    known.lastAt = now;
    // The second time makes a series of it, which people should see at once; later counts can wait.
    if (known.count === 2 || now - known.sentAt >= seriesRefresh) this.sendCount(known);
  }

  private sendCount(series: Series): void {
    if (series.count === series.sentCount || series.sending) return;
    series.sending = true;
    this.send(() => this.update(series));
  }

  private planUpkeep(): void {
    this.upkeep ??= this.clock.after(upkeepPeriod, () => {
      this.upkeep = undefined;
      this.endSeries(this.clock.now(), seriesEnds);
      if (this.series.size > 0 && !this.closed) this.planUpkeep();
    });
  }

  private endSeries(now: number, age: number): void {
    for (const [key, series] of this.series) {
      if (now - series.lastAt < age) continue;
      this.sendCount(series);
      this.series.delete(key);
    }
  }

  private send(action: () => Promise<void>): void {
    if (this.waiting.length >= this.capacity) {
      this.options.metrics?.eventsDropped.inc({ reason: 'full' });
      return;
    }
    this.waiting.push(action);
    this.sending ??= this.drain().finally(() => (this.sending = undefined));
  }

  private async drain(): Promise<void> {
    for (let next = this.waiting.shift(); next; next = this.waiting.shift()) {
      try {
        await next();
      } catch (error) {
        const reason = error instanceof KubeError ? error.reason : 'Unknown';
        this.options.metrics?.eventsDropped.inc({ reason });
        this.log.debug({ reason }, `An event was not delivered: ${messageOf(error)}`);
      }
    }
  }

  private async create(series: Series, event: PlannedEvent, at: number): Promise<void> {
    const { client, controller, instance } = this.options;
    const { apiVersion, kind, metadata } = series.regarding;
    const { namespace, name, uid, resourceVersion } = metadata;
    const eventName = `${name.slice(0, longestName)}.${randomBytes(8).toString('hex')}`;
    await client.create(
      {
        ...eventKind,
        metadata: { name: eventName, namespace: series.namespace },
        eventTime: microTime(at),
        reportingController: controller,
        reportingInstance: instance.slice(0, longestName),
        type: event.type,
        reason: event.reason.slice(0, longestName),
        action: event.action.slice(0, longestName),
        note: truncate(event.note),
        regarding: { apiVersion, kind, namespace, name, uid, resourceVersion },
      },
      { timeoutMs: 10_000 },
    );
    series.name = eventName;
  }

  private async update(series: Series): Promise<void> {
    const { client } = this.options;
    series.sending = false;
    series.sentCount = series.count;
    series.sentAt = this.clock.now();
    if (series.name === undefined) return;
    const ref = { ...eventKind, namespace: series.namespace, name: series.name };
    const patch = { series: { count: series.count, lastObservedTime: microTime(series.lastAt) } };
    try {
      await client.patch(ref, patch, { timeoutMs: 10_000 });
    } catch (error) {
      // Events live an hour by default; what has gone is not worth bringing back.
      if (!isNotFound(error) && !(error instanceof KubeError && error.reason === kubeReasons.notLeader)) throw error;
    }
  }
}

/** At most 1 kB of UTF-8, cut between characters. */
function truncate(note: string): string {
  const bytes = Buffer.from(note);
  if (bytes.length <= largestNote) return note;
  // A character that was cut in two decodes to U+FFFD.
  return `${bytes
    .subarray(0, largestNote - 3)
    .toString('utf8')
    .replace(/\uFFFD+$/, '')}…`;
}
