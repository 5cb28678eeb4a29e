// The supervisor's view of one role: its thread, whether it is ready, and how busy its event loop is.
import { Worker } from 'node:worker_threads';
import type { MetricObject } from 'prom-client';
import type { RoleName } from './role-name.ts';
import type { FromRole, RoleData, ToRole } from './role-protocol.ts';

export interface RoleHandle {
  readonly name: RoleName;
  ready(): boolean;
  /** Milliseconds since the last sign of life. */
  silentFor(): number;
  /** Event-loop lag in milliseconds over the last second. */
  lag(): { p99: number; max: number };
  /** Empty if the role does not answer within a second: a blocked role must not block what the others have to say. */
  metrics(): Promise<MetricObject[]>;
  /** Resolves when the thread has finished what it had in hand, or after `deadlineMs`. */
  stop(deadlineMs: number): Promise<void>;
}

const METRICS_TIMEOUT_MS = 1000;
/** Megabytes for young objects: V8 would take up to 48 for each thread, and seldom give them back. */
const YOUNG_MB: Record<RoleName, number> = { engine: 12, gateway: 12, operator: 6, server: 3, janitor: 3 };

/** @param onExit is called once if the thread ends without having been asked to */
export function startRoleThread(entry: URL, data: RoleData, onExit: (why: string) => void): RoleHandle {
  const { role: name } = data;
  const resourceLimits = { maxYoungGenerationSizeMb: YOUNG_MB[name] };
  const worker = new Worker(entry, { workerData: data, name, resourceLimits });
  const answers = new Map<number, (metrics: MetricObject[]) => void>();
  let ready = false;
  let stopping = false;
  let lastSign = performance.now();
  let lag = { p99: 0, max: 0 };
  let requests = 0;
  let failure = '';

  worker.on('message', (message: FromRole) => {
    lastSign = performance.now();
    if (message.type === 'ready') ready = true;
    if (message.type === 'heartbeat') lag = { p99: message.lagP99, max: message.lagMax };
    if (message.type === 'metrics') answers.get(message.id)?.(message.metrics);
    if (message.type === 'failed') failure = message.message;
  });
  worker.on('error', (error) => (failure = error instanceof Error ? (error.stack ?? error.message) : String(error)));
  const exited = new Promise<void>((resolve) => {
    worker.on('exit', (code) => {
      ready = false;
      resolve();
      if (!stopping) onExit(failure || `its thread ended with code ${code}`);
    });
  });
  const send = (message: ToRole) => worker.postMessage(message);

  return {
    name,
    ready: () => ready,
    silentFor: () => performance.now() - lastSign,
    lag: () => lag,
    metrics: () => {
      const id = ++requests;
      return new Promise((resolve) => {
        const answer = (metrics: MetricObject[]) => {
          clearTimeout(timer);
          answers.delete(id);
          resolve(metrics);
        };
        const timer = setTimeout(() => answer([]), METRICS_TIMEOUT_MS);
        answers.set(id, answer);
        send({ type: 'metrics', id });
      });
    },
    stop: async (deadlineMs) => {
      stopping = true;
      send({ type: 'stop' });
      const deadline = setTimeout(() => void worker.terminate(), deadlineMs);
      await exited;
      clearTimeout(deadline);
    },
  };
}
