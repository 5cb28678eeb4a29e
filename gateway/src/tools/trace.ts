// A span for each call of a tool. Nothing of its arguments or its result is part of it.
import { attribute, formatTraceparent, operation, randomSpanId, type Spans } from '@kadre/telemetry';
import type { Clock } from '../options.ts';
import { placeOf } from '../telemetry/telemetry.ts';
import type { Observed, ToolRequest } from './request.ts';

export interface ToolTrace {
  /** To send along. */
  readonly headers: Readonly<Record<string, string>>;
  end(seen: Observed): void;
}

const none: ToolTrace = { headers: {}, end: () => undefined };

export function traceOf(request: ToolRequest, spans: Spans | undefined, clock: Clock): ToolTrace {
  if (!spans) return none;
  const { traceId, parentSpanId, sampled } = placeOf(request, spans);
  const { caller, id, record } = request;
  const spanId = randomSpanId();
  const startedAt = clock.now();
  if (sampled) record.traceId = traceId;
  return {
    headers: { traceparent: formatTraceparent({ traceId, spanId, sampled }) },
    end: ({ offered, outcome, reason }) => {
      // A call that waits for people is asked again and again; only the last time is worth a span.
      if (!sampled || outcome === 'waiting') return;
      const tool = offered?.tool.metadata.name;
      spans.add({
        name: tool === undefined ? operation.executeTool : `${operation.executeTool} ${tool}`,
        kind: 'client',
        traceId,
        spanId,
        ...(parentSpanId !== undefined && { parentSpanId }),
        startedAt,
        endedAt: clock.now(),
        attributes: {
          [attribute.operation]: operation.executeTool,
          [attribute.tool]: tool,
          [attribute.toolOperation]: offered?.name,
          [attribute.toolOutcome]: outcome,
          [attribute.requestId]: id,
          [attribute.namespace]: caller.namespace,
          [attribute.callingAgent]: caller.agent,
          [attribute.run]: caller.step?.run,
          [attribute.step]: caller.step?.step,
          [attribute.attempt]: caller.step?.attempt,
          [attribute.replayed]: record.replayed,
        },
        error: reason,
      });
    },
  };
}
