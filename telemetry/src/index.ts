export { attemptSpanId, randomSpanId, randomTraceId, runSpanId, runTraceId } from './ids.ts';
export { attribute, operation } from './names.ts';
export type { Attributes, Span, Spans } from './span.ts';
export { attemptTraceparent, formatTraceparent, parseTraceparent, type TraceContext } from './traceparent.ts';
export { isSampled, startTracing, type Tracing, type TracingOptions } from './tracing.ts';
