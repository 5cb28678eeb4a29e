// What Prometheus sees of calls of tools.
import { Counter, Histogram, type Registry } from 'prom-client';
import { boundedLabels } from '../bounded-labels.ts';

/** Pairs of namespace and Tool that get series of their own; Tools beyond it share one named `other`. */
const MAX_TOOLS = 2_000;

/**
 * ok, or error if the tool itself says that it came to nothing; failed: it could not be called, or answered nonsense; refused: by
 * a policy or a grant; invalid: wrong arguments; limited; replayed: the journal answered; waiting: people have not
 * decided, and it is asked again; aborted: it ended without a result.
 */
export type ToolOutcome =
  'ok' | 'error' | 'failed' | 'refused' | 'invalid' | 'limited' | 'replayed' | 'waiting' | 'aborted';

interface ObservedCall {
  namespace: string;
  /** Absent: there is no such Tool, or none that the agent may know of. */
  tool: string | undefined;
  outcome: ToolOutcome;
  durationMs: number;
}

export function createToolMetrics(registry: Registry): (call: ObservedCall) => void {
  const registers = [registry];
  const series = ['tool', 'namespace'] as const;
  const calls = new Counter({
    name: 'kadre_gateway_tool_calls_total',
    help: 'Calls of tools by what came of them: ok, error, failed, refused, invalid, limited, replayed, waiting, aborted.',
    labelNames: [...series, 'outcome'],
    registers,
  });
  const duration = new Histogram({
    name: 'kadre_gateway_tool_call_duration_seconds',
    help: 'Time from a call of a tool to its answer, the policy included.',
    labelNames: series,
    buckets: [0.01, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 300],
    registers,
  });
  const labelsOf = boundedLabels('tool', MAX_TOOLS);
  return ({ namespace, tool, outcome, durationMs }) => {
    const labels = labelsOf(namespace, tool ?? '');
    calls.inc({ ...labels, outcome });
    if (outcome !== 'waiting') duration.observe(labels, durationMs / 1000);
  };
}
