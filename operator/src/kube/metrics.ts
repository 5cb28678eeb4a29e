// controller-runtime's names and labels, so that existing dashboards and alerts fit.
import { Counter, Gauge, Histogram, Registry } from 'prom-client';

// controller-runtime's buckets for reconcile times, and client-go's for queues.
const reconcileBuckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];
const queueBuckets = [1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1, 10, 100, 1000];

export type KubeMetrics = ReturnType<typeof createKubeMetrics>;

/** Registers the machinery's metrics. One per process; tests make their own. */
export function createKubeMetrics(registry: Registry = new Registry()) {
  const registers = [registry];
  return {
    registry,
    ...controllerMetrics(registers),
    ...queueMetrics(registers),
    requests: new Counter({
      name: 'rest_client_requests_total',
      help: 'Requests to the Kubernetes API by status code, method and host.',
      labelNames: ['code', 'method', 'host'] as const,
      registers,
    }),
    leader: new Gauge({
      name: 'leader_election_master_status',
      help: '1 while this process holds the lease of that name, else 0.',
      labelNames: ['name'] as const,
      registers,
    }),
    watchAge: watchAgeMetric(registers),
    watchRestarts: new Counter({
      name: 'kadre_watch_restarts_total',
      help: 'Watches that ended other than by their own time limit.',
      labelNames: ['kind', 'reason'] as const,
      registers,
    }),
    eventsDropped: new Counter({
      name: 'kadre_events_dropped_total',
      help: 'Kubernetes Events that were not delivered.',
      labelNames: ['reason'] as const,
      registers,
    }),
  };
}

function controllerMetrics(registers: Registry[]) {
  return {
    reconciles: new Counter({
      name: 'controller_runtime_reconcile_total',
      help: 'Reconciliations by controller and result: success, error, requeue or requeue_after.',
      labelNames: ['controller', 'result'] as const,
      registers,
    }),
    reconcileErrors: new Counter({
      name: 'controller_runtime_reconcile_errors_total',
      help: 'Reconciliations that failed.',
      labelNames: ['controller'] as const,
      registers,
    }),
    terminalErrors: new Counter({
      name: 'controller_runtime_terminal_reconcile_errors_total',
      help: 'Reconciliations that failed and are not tried again until something changes.',
      labelNames: ['controller'] as const,
      registers,
    }),
    reconcileTimeouts: new Counter({
      name: 'controller_runtime_reconcile_timeouts_total',
      help: 'Reconciliations that took longer than allowed.',
      labelNames: ['controller'] as const,
      registers,
    }),
    reconcileTime: new Histogram({
      name: 'controller_runtime_reconcile_time_seconds',
      help: 'How long a reconciliation takes.',
      labelNames: ['controller'] as const,
      buckets: reconcileBuckets,
      registers,
    }),
    activeWorkers: new Gauge({
      name: 'controller_runtime_active_workers',
      help: 'Reconciliations under way.',
      labelNames: ['controller'] as const,
      registers,
    }),
    maxConcurrent: new Gauge({
      name: 'controller_runtime_max_concurrent_reconciles',
      help: 'Reconciliations that may be under way at once.',
      labelNames: ['controller'] as const,
      registers,
    }),
  };
}

function queueMetrics(registers: Registry[]) {
  return {
    queueDepth: new Gauge({
      name: 'workqueue_depth',
      help: 'Keys that wait in the queue.',
      labelNames: ['name', 'controller'] as const,
      registers,
    }),
    queueAdds: new Counter({
      name: 'workqueue_adds_total',
      help: 'Keys that were added to the queue.',
      labelNames: ['name', 'controller'] as const,
      registers,
    }),
    queueRetries: new Counter({
      name: 'workqueue_retries_total',
      help: 'Keys that were added again after a delay.',
      labelNames: ['name', 'controller'] as const,
      registers,
    }),
    queueDuration: new Histogram({
      name: 'workqueue_queue_duration_seconds',
      help: 'How long a key waits before it is worked on.',
      labelNames: ['name', 'controller'] as const,
      buckets: queueBuckets,
      registers,
    }),
    workDuration: new Histogram({
      name: 'workqueue_work_duration_seconds',
      help: 'How long it takes to work on a key.',
      labelNames: ['name', 'controller'] as const,
      buckets: queueBuckets,
      registers,
    }),
  };
}

/** A gauge that asks each live watch, at every scrape, how long ago it last heard from the API server. */
function watchAgeMetric(registers: Registry[]) {
  const ages = new Map<string, () => number>();
  const gauge = new Gauge({
    name: 'kadre_watch_age_seconds',
    help: 'Seconds since a watch last heard anything from the API server.',
    labelNames: ['kind'] as const,
    registers,
    collect() {
      this.reset();
      for (const [kind, age] of ages) this.set({ kind }, age());
    },
  });
  return {
    /** @param age in seconds */
    track: (kind: string, age: () => number) => void ages.set(kind, age),
    untrack: (kind: string) => {
      ages.delete(kind);
      gauge.remove({ kind });
    },
  };
}
