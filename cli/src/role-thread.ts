// One role of the control plane in a thread of its own, so that a busy engine cannot starve the gateway, nor either of
// them the lease.
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { parentPort, workerData, type MessagePort } from 'node:worker_threads';
import { StoreBusyError, StoreFullError, StoreUnusableError } from '@kadre/store';
import { pino, type Logger } from 'pino';
import { collectDefaultMetrics, Registry } from 'prom-client';
import type { RoleName } from './role-name.ts';
import type { FromRole, RoleData, RunningRole, ToRole } from './role-protocol.ts';

/** What a role is given to start with. */
export interface RoleContext extends RoleData {
  logger: Logger;
  registry: Registry;
}

export type StartRole = (context: RoleContext) => Promise<RunningRole>;

const HEARTBEAT_MS = 1000;
/** Milliseconds between two samples of the lag. What is measured is the distance of two samples, so it is taken off. */
const RESOLUTION = 10;

/** Runs in a worker thread until the supervisor says stop. A failure ends the thread, and with it the process. */
export async function runRole(starters: Record<RoleName, () => Promise<StartRole>>): Promise<void> {
  const port = parentPort;
  if (!port) throw new Error('a role runs in a worker thread');
  const data = workerData as RoleData;
  const { role } = data;
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const logger = pino({ level: data.config.logLevel, name: 'kadre' }).child({ role });
  const send = (message: FromRole) => port.postMessage(message);

  const heartbeat = beat(send);
  const start = await starters[role]();
  const running = await start({ ...data, logger, registry }).catch((error: unknown) => giveUp(error, send));
  send({ type: 'ready' });
  await stopRequested(port, registry, send);
  await running.stop();
  clearInterval(heartbeat);
  send({ type: 'stopped' });
  port.close();
}

/** What the store complains about says how to mend it; a stack trace would only hide that. */
function giveUp(error: unknown, send: (message: FromRole) => void): never {
  if (!(error instanceof StoreUnusableError || error instanceof StoreBusyError || error instanceof StoreFullError)) {
    throw error;
  }
  send({ type: 'failed', message: error.message });
  process.exit(1);
}

function beat(send: (message: FromRole) => void): NodeJS.Timeout {
  const lag = monitorEventLoopDelay({ resolution: RESOLUTION });
  lag.enable();
  return setInterval(() => {
    const late = (nanoseconds: number) => Math.max(0, nanoseconds / 1e6 - RESOLUTION);
    send({ type: 'heartbeat', lagP99: late(lag.percentile(99)), lagMax: late(lag.max) });
    lag.reset();
  }, HEARTBEAT_MS);
}

function stopRequested(port: MessagePort, registry: Registry, send: (message: FromRole) => void): Promise<void> {
  return new Promise((resolve) => {
    port.on('message', (message: ToRole) => {
      if (message.type === 'stop') resolve();
      else
        void registry.getMetricsAsJSON().then((metrics) => {
          send({ type: 'metrics', id: message.id, metrics });
        });
    });
  });
}
