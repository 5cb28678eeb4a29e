// What Prometheus sees of single attempts.
import { Counter, type Registry } from 'prom-client';
import { boundedLabels } from '../bounded-labels.ts';
import type { Attempt, Outcome } from '../pipeline/hooks.ts';

/** Pairs of namespace and Model that get series of their own. */
const MAX_MODELS = 2_000;

export function createAttemptMetrics(registry: Registry): (attempt: Attempt, outcome: Outcome) => void {
  const attempts = new Counter({
    name: 'kadre_gateway_attempts_total',
    help: 'Times that a Model was asked: code is ok, or why it failed. A call may need several.',
    labelNames: ['namespace', 'model', 'code'],
    registers: [registry],
  });
  const labelsOf = boundedLabels('model', MAX_MODELS);
  return ({ call, candidate }, { error }) =>
    attempts.inc({
      ...labelsOf(call.caller.namespace, candidate.model.metadata.name),
      code: error?.code ?? 'ok',
    });
}
