// What is left of a call when it is over: a line in the log, a count, a span. Arguments and results are part of none.
import type { ToolResult } from '@kadre/crds';
import type { Spans } from '@kadre/telemetry';
import type { Logger } from 'pino';
import type { Registry } from 'prom-client';
import type { Clock } from '../options.ts';
import { createToolMetrics, type ToolOutcome } from './metrics.ts';
import type { Observed, ToolRequest } from './request.ts';
import { traceOf } from './trace.ts';

export interface Watched {
  readonly seen: Observed;
  /** To send along to the tool. */
  readonly headers: Readonly<Record<string, string>>;
  end(): void;
}

export type Watch = (request: ToolRequest) => Watched;

interface WatchOptions {
  registry: Registry | undefined;
  spans: Spans | undefined;
  logger: Pick<Logger, 'info'>;
  clock: Clock;
}

export function createWatch({ registry, spans, logger, clock }: WatchOptions): Watch {
  const count = registry && createToolMetrics(registry);
  return (request) => {
    const { caller, id, asked } = request;
    const startedAt = clock.now();
    const trace = traceOf(request, spans, clock);
    const seen: Observed = { outcome: 'aborted' };
    return {
      seen,
      headers: trace.headers,
      end: () => {
        const durationMs = clock.now() - startedAt;
        const tool = seen.offered?.tool.metadata.name;
        count?.({ namespace: caller.namespace, tool, outcome: seen.outcome, durationMs });
        trace.end(seen);
        const { step } = caller;
        logger.info(
          {
            requestId: id,
            namespace: caller.namespace,
            agent: caller.agent,
            run: step?.run,
            step: step?.step,
            attempt: step?.attempt,
            tool: tool ?? asked.name,
            operation: seen.offered?.name,
            outcome: seen.outcome,
            rule: seen.rule,
            why: seen.why,
            durationMs,
          },
          'tool call',
        );
      },
    };
  };
}

export function outcomeOf({ isError, reason }: ToolResult): ToolOutcome {
  if (!isError) return 'ok';
  switch (reason) {
    case undefined:
      return 'error';
    case 'ToolRefused':
    case 'ApprovalRejected':
      return 'refused';
    case 'InvalidInput':
      return 'invalid';
    case 'RateLimited':
      return 'limited';
    default:
      return 'failed';
  }
}
