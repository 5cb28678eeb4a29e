// What Prometheus sees of limits and breakers.
import type { ProviderModel } from '@kadre/crds';
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import { boundedLabels } from '../bounded-labels.ts';
import type { BreakerState } from './breaker.ts';
import type { Obstacle } from './refusal.ts';

/** Pairs of namespace and Model that get series of their own; Models beyond it share one named `other`. */
const MAX_MODELS = 2_000;

export interface LimitMetrics {
  /** A call was refused. */
  limited(model: ProviderModel, obstacle: Obstacle): void;
  /** A call has waited, whatever came of it. */
  waited(model: ProviderModel, ms: number): void;
}

export interface GateView {
  readonly model: ProviderModel;
  readonly queueLength: number;
  breakerState(): BreakerState;
}

const states: Record<BreakerState, number> = { closed: 0, halfOpen: 1, open: 2 };

export function createLimitMetrics(registry: Registry, gates: () => Iterable<GateView>): LimitMetrics {
  const registers = [registry];
  const series = ['model', 'namespace'] as const;
  const limited = new Counter({
    name: 'kadre_gateway_limited_total',
    help: 'Calls refused: by a limit of the Model (requests, tokens, concurrent), because its provider asks to wait (provider), because it fails (breaker), or because too many wait (queue).',
    labelNames: [...series, 'reason'],
    registers,
  });
  const wait = new Histogram({
    name: 'kadre_gateway_queue_wait_seconds',
    help: 'How long calls waited that had to wait for their turn, refused ones included.',
    labelNames: series,
    buckets: [0.01, 0.05, 0.1, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300],
    registers,
  });
  const labels = boundedLabels('model', MAX_MODELS);
  const labelsOf = ({ metadata: { namespace = '', name } }: ProviderModel) => labels(namespace, name);
  new Gauge({
    name: 'kadre_gateway_queue_length',
    help: 'Calls that wait for their turn.',
    labelNames: series,
    registers,
    collect() {
      this.reset();
      for (const { model, queueLength } of gates()) this.inc(labelsOf(model), queueLength);
    },
  });
  new Gauge({
    name: 'kadre_gateway_breaker_state',
    help: '0: the Model is asked as usual. 1: a few calls try whether it is well again. 2: it fails and is left alone.',
    labelNames: series,
    registers,
    collect() {
      this.reset();
      for (const gate of gates()) this.set(labelsOf(gate.model), states[gate.breakerState()]);
    },
  });
  return {
    limited: (model, obstacle) => limited.inc({ ...labelsOf(model), reason: obstacle }),
    waited: (model, ms) => wait.observe(labelsOf(model), ms / 1000),
  };
}
