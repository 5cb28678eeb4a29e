// What Prometheus sees of the gateway.
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import { boundedLabels } from './bounded-labels.ts';
import type { Charge, RequestRecord } from './requests.ts';

/** Pairs of namespace and Model that get series of their own; Models beyond it share one named `other`. */
const MAX_MODELS = 2_000;
/** The same of namespace and agent. */
const MAX_AGENTS = 2_000;
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
    help: 'Tokens used; cached_input and cache_write are parts of input, reasoning of output.',
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

  const observeAgent = createAgentMetrics(registers);
  const labelsOf = boundedLabels('model', MAX_MODELS);

  return (record, durationMs) => {
    const labels = labelsOf(record.caller?.namespace ?? '', record.model ?? '');
    requests.inc({ ...labels, code: record.code ?? String(record.status) });
    observeAgent(record, durationMs);
    if (record.model === undefined) return;
    duration.observe(labels, durationMs / 1000);
    if (record.firstTokenMs !== undefined) firstToken.observe(labels, record.firstTokenMs / 1000);
    const { charge } = record;
    if (!charge) return;
    for (const [type, count] of tokensOf(charge)) tokens.inc({ ...labels, type }, count);
    if (charge.costNanoUsd !== null) cost.inc(labels, charge.costNanoUsd / NANO_PER_USD);
  };
}

/** Of those that were authenticated, by the agent that they are counted for. */
function createAgentMetrics(registers: Registry[]): (record: RequestRecord, durationMs: number) => void {
  const series = ['agent', 'namespace'] as const;
  const requests = new Counter({
    name: 'kadre_gateway_agent_requests_total',
    help: 'Requests of an agent, by HTTP status or, for refusals, by reason.',
    labelNames: [...series, 'code'],
    registers,
  });
  const duration = new Histogram({
    name: 'kadre_gateway_agent_request_duration_seconds',
    help: "Time from an agent's call of a model to the last byte of its answer.",
    labelNames: series,
    buckets: [0.1, 0.5, 1, 5, 10, 30, 60, 300],
    registers,
  });
  const tokens = new Counter({
    name: 'kadre_gateway_agent_tokens_total',
    help: 'Tokens that the calls of an agent used; cached_input and cache_write are parts of input, reasoning of output.',
    labelNames: [...series, 'type'],
    registers,
  });
  const cost = new Counter({
    name: 'kadre_gateway_agent_cost_usd_total',
    help: 'What the calls of an agent cost, in USD, where the price is known.',
    labelNames: series,
    registers,
  });
  const replays = new Counter({
    name: 'kadre_gateway_agent_replays_total',
    help: 'Calls of an agent that the journal answered, so that nobody was asked and nothing was paid.',
    labelNames: series,
    registers,
  });
  const labelsOf = boundedLabels('agent', MAX_AGENTS);

  return ({ caller, charge, code, model, replayed, status }, durationMs) => {
    if (!caller) return;
    const labels = labelsOf(caller.namespace, caller.agent);
    requests.inc({ ...labels, code: code ?? String(status) });
    if (replayed) replays.inc(labels);
    if (model !== undefined) duration.observe(labels, durationMs / 1000);
    if (!charge) return;
    for (const [type, count] of tokensOf(charge)) tokens.inc({ ...labels, type }, count);
    if (charge.costNanoUsd !== null) cost.inc(labels, charge.costNanoUsd / NANO_PER_USD);
  };
}

const tokensOf = ({ usage }: Charge): [string, number][] => [
  ['input', usage.inputTokens],
  ['cached_input', usage.cachedInputTokens],
  ['cache_write', usage.cacheWriteTokens],
  ['output', usage.outputTokens],
  ['reasoning', usage.reasoningTokens],
];
