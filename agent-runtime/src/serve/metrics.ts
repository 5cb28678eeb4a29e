// Prometheus metrics of one agent.
import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client';
import type { TokenUsage } from '../agent/chat.ts';

export interface Metrics {
  request(labels: { method: string; route: string; status: number }, seconds: number): void;
  tokens(usage: TokenUsage): void;
  render(): Promise<{ contentType: string; text: string }>;
}

export interface MetricsOptions {
  inFlight: () => number;
  tasks: () => number;
  tasksStarted: () => number;
  /** Also report memory, CPU and event loop of the process. */
  process: boolean;
}

const BUCKETS_S = [0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600];

export function createMetrics({ inFlight, tasks, tasksStarted, process }: MetricsOptions): Metrics {
  const registers = [new Registry()];
  const [registry] = registers as [Registry];
  if (process) collectDefaultMetrics({ register: registry });
  const labelNames = ['method', 'route', 'status'] as const;
  const requests = new Counter({
    name: 'kadre_agent_requests_total',
    help: 'HTTP requests answered.',
    labelNames,
    registers,
  });
  const durations = new Histogram({
    name: 'kadre_agent_request_duration_seconds',
    help: 'From the first byte of a request to the last of its answer.',
    labelNames: ['method', 'route'] as const,
    buckets: BUCKETS_S,
    registers,
  });
  const tokens = new Counter({
    name: 'kadre_agent_tokens_total',
    help: 'Tokens that the model read or wrote.',
    labelNames: ['direction'] as const,
    registers,
  });
  gauge('kadre_agent_in_flight', 'Requests and tasks at work.', inFlight, registers);
  gauge('kadre_agent_tasks', 'A2A tasks in memory.', tasks, registers);
  const started: Counter = new Counter({
    name: 'kadre_agent_tasks_started_total',
    help: 'A2A tasks started. A message that is sent again starts none.',
    registers,
    collect: () => {
      started.reset();
      started.inc(tasksStarted());
    },
  });
  return {
    request: ({ method, route, status }, seconds) => {
      requests.inc({ method, route, status: String(status) });
      durations.observe({ method, route }, seconds);
    },
    tokens: ({ inputTokens, outputTokens }) => {
      tokens.inc({ direction: 'input' }, inputTokens);
      tokens.inc({ direction: 'output' }, outputTokens);
    },
    render: async () => ({ contentType: registry.contentType, text: await registry.metrics() }),
  };
}

function gauge(name: string, help: string, read: () => number, registers: Registry[]): void {
  const metric: Gauge = new Gauge({ name, help, registers, collect: () => metric.set(read()) });
}
