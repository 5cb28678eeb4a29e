import { Counter, Gauge, type Registry } from 'prom-client';

export type Chore = 'runs' | 'events' | 'conversations' | 'blobs';

export interface JanitorMetrics {
  runs: Counter<'to'>;
  stuck: Gauge;
  blobs: Counter;
  failures: Counter<'chore'>;
  succeeded: Gauge<'chore'>;
}

export function janitorMetrics(registry: Registry): JanitorMetrics {
  const registers = [registry];
  const chores = {
    failures: new Counter({
      name: 'kadre_housekeeping_failures_total',
      help: 'Rounds of housekeeping that failed, by what was to be done: runs, events, conversations, blobs.',
      labelNames: ['chore'] as const,
      registers,
    }),
    succeeded: new Gauge({
      name: 'kadre_housekeeping_last_success_timestamp_seconds',
      help: 'When housekeeping last succeeded, by what was to be done: runs, events, conversations, blobs.',
      labelNames: ['chore'] as const,
      registers,
    }),
  };
  for (const chore of ['runs', 'events', 'conversations', 'blobs']) chores.failures.inc({ chore }, 0);
  return {
    ...chores,
    runs: new Counter({
      name: 'kadre_housekeeping_runs_total',
      help: 'Runs that left the store, to the archive or to nowhere.',
      labelNames: ['to'] as const,
      registers,
    }),
    stuck: new Gauge({
      name: 'kadre_housekeeping_unarchivable_runs',
      help: 'Runs that should have left the store in the last round and could not be archived.',
      registers,
    }),
    blobs: new Counter({
      name: 'kadre_housekeeping_blobs_total',
      help: 'Blobs deleted because nothing referred to them.',
      registers,
    }),
  };
}
