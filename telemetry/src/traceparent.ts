// The header `traceparent`. https://www.w3.org/TR/trace-context-2/#traceparent-header
import { attemptSpanId, runTraceId } from './ids.ts';
import type { Spans } from './span.ts';

export interface TraceContext {
  traceId: string;
  spanId: string;
  sampled: boolean;
}

const TRACEPARENT = /^(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;
const MAX_LENGTH = 256;

/** Undefined for what is not well-formed, or not there. Later versions may carry more behind; 00 may not. */
export function parseTraceparent(header: unknown): TraceContext | undefined {
  if (typeof header !== 'string' || header.length > MAX_LENGTH) return undefined;
  const [, version, traceId, spanId, flags, more] = TRACEPARENT.exec(header) ?? [];
  if (traceId === undefined || spanId === undefined || flags === undefined) return undefined;
  if (version === '00' && more !== undefined) return undefined;
  return { traceId, spanId, sampled: (Number.parseInt(flags, 16) & 1) === 1 };
}

export const formatTraceparent = ({ traceId, spanId, sampled }: TraceContext): string =>
  `00-${traceId}-${spanId}-${sampled ? '01' : '00'}`;

/** For whoever works on that attempt of a step. */
export function attemptTraceparent(spans: Pick<Spans, 'sampled'>, run: string, step: string, attempt: number): string {
  const traceId = runTraceId(run);
  return formatTraceparent({
    traceId,
    spanId: attemptSpanId(run, step, attempt),
    sampled: spans.sampled(traceId),
  });
}
