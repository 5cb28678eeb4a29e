// Gathers spans and sends them to a collector in batches. A collector that is slow, or gone, costs spans and nothing else.
import type { Logger } from 'pino';
import { Counter, type Registry } from 'prom-client';
import type { Span, Spans } from './span.ts';

export interface TracingOptions {
  /** Base URL of a collector that speaks OTLP over HTTP, such as http://collector.monitoring.svc:4318 */
  endpoint: string;
  /** Which part of all traces is kept, from 0 to 1. */
  sampleRatio: number;
  /** Such as kadre-gateway. */
  service: string;
  version: string;
  /** Name of the process, such as that of its pod. */
  instance: string;
  logger: Logger;
  registry?: Registry;
  limits?: Partial<TracingLimits>;
}

export interface TracingLimits {
  /** Spans that wait to be sent; further ones are dropped. */
  queue: number;
  /** Spans that are sent together. */
  batch: number;
  /** Milliseconds that a span waits for others to be sent with. */
  delayMs: number;
  /** Milliseconds that a batch gets, retries included. So long a collector that hangs may hold up the end of the process. */
  sendMs: number;
  /** Milliseconds that the last spans get when the process stops. */
  stopMs: number;
}

const defaultLimits: TracingLimits = { queue: 4096, batch: 512, delayMs: 1000, sendMs: 3000, stopMs: 2000 };

export interface Tracing {
  spans: Spans;
  /** Sends what is left, for a bounded time. Never rejects. */
  stop: () => Promise<void>;
}

/** Loads the exporter, so call it only where there is a collector. */
export async function startTracing(options: TracingOptions): Promise<Tracing> {
  const { endpoint, service, version, instance, sampleRatio, logger, registry } = options;
  const limits = { ...defaultLimits, ...options.limits };
  const { createExporter } = await import('./exporter.ts');
  const resource = {
    'service.name': service,
    'service.namespace': 'kadre',
    'service.version': version,
    'service.instance.id': instance,
  };
  const exporter = createExporter({ endpoint, resource, version, timeoutMs: limits.sendMs });
  const batches = new Batches(exporter.send, limits, logger, countersIn(registry));
  return {
    spans: { sampled: (traceId) => isSampled(traceId, sampleRatio), add: (span) => batches.add(span) },
    stop: async () => {
      await within(limits.stopMs, batches.flush());
      batches.drop();
      exporter.close();
    },
  };
}

/** Digits at the end of a trace id that are random by all conventions, as many as a number holds exactly. */
const RANDOM_DIGITS = 13;

/** The same decision as that of other samplers which keep to OpenTelemetry's consistent probability sampling. */
export function isSampled(traceId: string, ratio: number): boolean {
  return Number.parseInt(traceId.slice(-RANDOM_DIGITS), 16) >= (1 - ratio) * 16 ** RANDOM_DIGITS;
}

interface Counters {
  exported: (spans: number) => void;
  dropped: (spans: number, reason: 'queue_full' | 'not_sent') => void;
}

function countersIn(registry: Registry | undefined): Counters {
  const registers = registry ? [registry] : [];
  const exported = new Counter({
    name: 'kadre_telemetry_exported_total',
    help: 'Spans that the collector has taken.',
    registers,
  });
  const dropped = new Counter({
    name: 'kadre_telemetry_dropped_total',
    help: 'Spans that were lost: queue_full, there were too many; not_sent, the collector did not take them.',
    labelNames: ['reason'],
    registers,
  });
  return {
    exported: (spans) => exported.inc(spans),
    dropped: (spans, reason) => dropped.inc({ reason }, spans),
  };
}

class Batches {
  readonly #send: (spans: Span[]) => Promise<void>;
  readonly #limits: TracingLimits;
  readonly #logger: Logger;
  readonly #counters: Counters;
  #waiting: Span[] = [];
  #timer: NodeJS.Timeout | undefined;
  /** One batch at a time: a slow collector fills the queue, not the memory. */
  #sending: Promise<void> | undefined;
  #failing = false;

  constructor(send: (spans: Span[]) => Promise<void>, limits: TracingLimits, logger: Logger, counters: Counters) {
    this.#send = send;
    this.#limits = limits;
    this.#logger = logger;
    this.#counters = counters;
  }

  add(span: Span): void {
    const { queue, batch, delayMs } = this.#limits;
    if (this.#waiting.length >= queue) {
      this.#counters.dropped(1, 'queue_full');
      return;
    }
    this.#waiting.push(span);
    if (this.#waiting.length >= batch) this.#sendSoon(0);
    else this.#sendSoon(delayMs);
  }

  /** Resolves when nothing waits any more, or when the collector did not take a batch: it won't take the others. */
  async flush(): Promise<void> {
    await this.#sending;
    while (this.#waiting.length > 0 && !this.#failing) await this.#next();
  }

  drop(): void {
    clearTimeout(this.#timer);
    const lost = this.#waiting.splice(0).length;
    if (lost > 0) this.#counters.dropped(lost, 'not_sent');
  }

  #sendSoon(delayMs: number): void {
    if (this.#sending || (this.#timer && delayMs > 0)) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#next(), delayMs).unref();
  }

  #next(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#sending ??= this.#sendBatch().finally(() => {
      this.#sending = undefined;
      const { batch, delayMs } = this.#limits;
      if (this.#waiting.length > 0) this.#sendSoon(this.#waiting.length >= batch ? 0 : delayMs);
    });
    return this.#sending;
  }

  async #sendBatch(): Promise<void> {
    const spans = this.#waiting.splice(0, this.#limits.batch);
    if (spans.length === 0) return;
    try {
      await this.#send(spans);
      this.#counters.exported(spans.length);
      if (this.#failing) this.#logger.info('The collector takes spans again.');
      this.#failing = false;
    } catch (error) {
      this.#counters.dropped(spans.length, 'not_sent');
      // Once, not for each batch. The error may quote the request, and the request carries a token.
      const code = (error as { code?: unknown } | undefined)?.code;
      if (!this.#failing)
        this.#logger.warn({ code }, 'The collector does not take spans; look at telemetry.otlpEndpoint.');
      this.#failing = true;
    }
  }
}

function within(ms: number, work: Promise<void>): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    const done = (): void => {
      clearTimeout(timer);
      resolve();
    };
    work.then(done, done);
  });
}
