// Spans as the official exporter wants them. Loaded only where there is a collector.
import { SpanKind, SpanStatusCode, TraceFlags, type Attributes as Exported, type HrTime } from '@opentelemetry/api';
import { ExportResultCode } from '@opentelemetry/core';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import { resourceFromAttributes } from '@opentelemetry/resources';
import type { ReadableSpan } from '@opentelemetry/sdk-trace';
import { attribute } from './names.ts';
import type { Attributes, Span } from './span.ts';

export interface Exporter {
  /** Throws if the collector did not take them. */
  send: (spans: Span[]) => Promise<void>;
  close: () => void;
}

export interface ExporterOptions {
  /** Base URL; `/v1/traces` is put behind it. */
  endpoint: string;
  /** Attributes of the process. */
  resource: Record<string, string>;
  version: string;
  /** Milliseconds for one batch, retries included. */
  timeoutMs: number;
}

export function createExporter({ endpoint, resource, version, timeoutMs }: ExporterOptions): Exporter {
  const exporter = new OTLPTraceExporter({
    url: `${endpoint.replace(/\/+$/, '')}/v1/traces`,
    timeoutMillis: timeoutMs,
  });
  const common = {
    resource: resourceFromAttributes(resource),
    instrumentationScope: { name: 'kadre', version },
    ended: true,
    links: [],
    droppedAttributesCount: 0,
    droppedEventsCount: 0,
    droppedLinksCount: 0,
  };
  return {
    send: (spans) =>
      new Promise((resolve, reject) => {
        exporter.export(
          spans.map((span) => ({ ...common, ...readable(span) })),
          ({ code, error }) =>
            code === ExportResultCode.SUCCESS ? resolve() : reject(error ?? new Error('the collector took nothing')),
        );
      }),
    close: () => void exporter.shutdown().catch(() => undefined),
  };
}

const kinds = { internal: SpanKind.INTERNAL, client: SpanKind.CLIENT };

type OwnFields = Pick<
  ReadableSpan,
  | 'name'
  | 'kind'
  | 'spanContext'
  | 'parentSpanContext'
  | 'startTime'
  | 'endTime'
  | 'duration'
  | 'status'
  | 'attributes'
  | 'events'
>;

function readable(span: Span): OwnFields {
  const { name, kind, traceId, spanId, parentSpanId, startedAt, error, events = [] } = span;
  const endedAt = Math.max(startedAt, span.endedAt);
  const traceFlags = TraceFlags.SAMPLED;
  return {
    name,
    kind: kinds[kind],
    spanContext: () => ({ traceId, spanId, traceFlags }),
    ...(parentSpanId !== undefined && { parentSpanContext: { traceId, spanId: parentSpanId, traceFlags } }),
    startTime: time(startedAt),
    endTime: time(endedAt),
    duration: time(endedAt - startedAt),
    status: { code: error === undefined ? SpanStatusCode.UNSET : SpanStatusCode.ERROR },
    attributes: exported({ ...span.attributes, [attribute.errorType]: error }),
    events: events.map(({ name: what, at, attributes = {} }) => ({
      name: what,
      time: time(at),
      attributes: exported(attributes),
    })),
  };
}

const time = (ms: number): HrTime => [Math.floor(ms / 1000), Math.round((ms % 1000) * 1e6)];

const exported = (attributes: Attributes): Exported =>
  Object.fromEntries(Object.entries(attributes).filter(([, value]) => value !== undefined));
