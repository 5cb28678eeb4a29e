// What Prometheus sees of the gateway.
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { RequestRecord } from './requests.ts';

/** Pairs of namespace and Model that get series of their own; Models beyond it share one named `other`. */
const MAX_MODELS = 2_000;
const NANO_PER_USD = 1e9;

/** Returns what is to be called with each request that is over. */
export function createMetrics(
  registry: Registry,
  inFlight: () => number,
): (record: RequestRecord, durationMs: number) => void {
  const registers = [registry];
  const series = ['model', 'namespace'] as const;
  const requests = new Counter({
    name: 'kadre_gateway_requests_total',
    help: 'Requests answered, by HTTP status or, for refusals, by reason.',
    labelNames: [...series, 'code'],
    registers,
  });
  const duration = new Histogram({
    name: 'kadre_gateway_request_duration_seconds',
    help: 'Time from a call of a model to the last byte of its answer.',
    labelNames: series,
    buckets: [0.01, 0.05, 0.1, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600],
    registers,
  });
  const firstToken = new Histogram({
    name: 'kadre_gateway_time_to_first_token_seconds',
    help: 'Time from a streamed call to the first piece of its answer.',
    labelNames: series,
    buckets: [0.01, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60],
    registers,
  });
  const tokens = new Counter({
    name: 'kadre_gateway_tokens_total',
    help: 'Tokens used; cached_input is a part of input.',
    labelNames: [...series, 'type'],
    registers,
  });
  const cost = new Counter({
    name: 'kadre_gateway_cost_usd_total',
    help: 'What calls cost, in USD, where the price is known.',
    labelNames: series,
    registers,
  });
  new Gauge({
    name: 'kadre_gateway_requests_in_flight',
    help: 'Requests that are being answered.',
    registers,
    collect() {
      this.set(inFlight());
    },
  });

  const known = new Set<string>();
  const labelsOf = (namespace: string, model: string): { namespace: string; model: string } => {
    const pair = `${namespace}/${model}`;
    if (known.has(pair)) return { namespace, model };
    if (known.size >= MAX_MODELS) return { namespace: 'other', model: 'other' };
    known.add(pair);
    return { namespace, model };
  };

  return (record, durationMs) => {
    const labels = labelsOf(record.caller?.namespace ?? '', record.model ?? '');
    requests.inc({ ...labels, code: record.code ?? String(record.status) });
    if (record.model === undefined) return;
    duration.observe(labels, durationMs / 1000);
    if (record.firstTokenMs !== undefined) firstToken.observe(labels, record.firstTokenMs / 1000);
    const { charge } = record;
    if (!charge) return;
    tokens.inc({ ...labels, type: 'input' }, charge.usage.inputTokens);
    tokens.inc({ ...labels, type: 'cached_input' }, charge.usage.cachedInputTokens);
    tokens.inc({ ...labels, type: 'output' }, charge.usage.outputTokens);
    if (charge.costNanoUsd !== null) cost.inc(labels, charge.costNanoUsd / NANO_PER_USD);
  };
}
