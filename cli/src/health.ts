// Health answers and metrics of the whole process, served by the supervisor's thread, which is never busy.
import { createServer, type Server, type ServerResponse } from 'node:http';
import { AggregatorRegistry, Gauge, type MetricObject, type Registry } from 'prom-client';
import type { RoleHandle } from './role-handle.ts';

/** A role that has given no sign of life for this long is stuck, and only a restart helps. */
const STUCK_AFTER_MS = 60_000;

export interface HealthSources {
  roles: () => RoleHandle[];
  /** Whether all that this replica should be doing is being done. */
  ready: () => boolean;
  registry: Registry;
}

export async function serveHealth(port: number, sources: HealthSources): Promise<Server> {
  const lag = lagGauge(sources);
  const server = createServer((request, response) => {
    const path = (request.url ?? '/').split('?')[0];
    if (path === '/healthz') answerHealth(sources, response);
    else if (path === '/readyz') answer(response, sources.ready() ? 200 : 503, sources.ready() ? 'ready' : 'starting');
    else if (path === '/metrics') void answerMetrics(sources, lag, response);
    else answer(response, 404, 'There are /healthz, /readyz and /metrics.');
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, resolve);
  });
  return server;
}

function answerHealth(sources: HealthSources, response: ServerResponse): void {
  const stuck = sources.roles().filter((role) => role.silentFor() > STUCK_AFTER_MS);
  if (stuck.length === 0) answer(response, 200, 'ok');
  else answer(response, 500, `no sign of life from: ${stuck.map((role) => role.name).join(', ')}`);
}

async function answerMetrics(sources: HealthSources, lag: Gauge, response: ServerResponse): Promise<void> {
  for (const role of sources.roles()) {
    lag.set({ role: role.name, quantile: '0.99' }, role.lag().p99 / 1000);
    lag.set({ role: role.name, quantile: '1' }, role.lag().max / 1000);
  }
  const own = await sources.registry.getMetricsAsJSON();
  const ofRoles = await Promise.all(
    sources.roles().map(async (role) => (await role.metrics()).map((metric) => labelled(metric, role.name))),
  );
  const all = AggregatorRegistry.aggregate([own.map((metric) => labelled(metric, 'supervisor')), ...ofRoles]);
  response.setHeader('content-type', all.contentType);
  answer(response, 200, await all.metrics());
}

/** Threads of one process have metrics of the same names; the role tells them apart. */
function labelled(metric: MetricObject, role: string): MetricObject {
  if (!('values' in metric)) return metric;
  const values = metric.values as { labels: Record<string, string | number> }[];
  return {
    ...metric,
    aggregator: 'first',
    values: values.map((v) => ({ ...v, labels: { role, ...v.labels } })),
  } as MetricObject;
}

function lagGauge(sources: HealthSources): Gauge {
  return new Gauge({
    name: 'kadre_event_loop_lag_seconds',
    help: 'How late timers fired in the last second, by role.',
    labelNames: ['role', 'quantile'],
    registers: [sources.registry],
  });
}

function answer(response: ServerResponse, status: number, text: string): void {
  response.statusCode = status;
  if (!response.hasHeader('content-type')) response.setHeader('content-type', 'text/plain; charset=utf-8');
  response.end(`${text}\n`);
}
