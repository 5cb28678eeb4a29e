// `kadre all`: every role of the control plane in one process with the embedded store.
//
// The main thread does nothing that takes long: it holds the lock on the store and the lease, starts the roles in threads
// of their own, and answers for their health. Whatever goes wrong beyond mending ends the process; the kubelet starts a
// new one, and the store has all that it needs.
import type { Logger } from 'pino';
import { Registry } from 'prom-client';
import type { Config } from './config.ts';
import { closeFence, createFence, extendFence } from './fence.ts';
import { serveHealth } from './health.ts';
import { startRoleThread, type RoleHandle } from './role-handle.ts';
import type { RoleName } from './role-protocol.ts';

/** Long enough for a step that is being dispatched to be recorded; within the 30 s that Kubernetes gives a pod. */
const STOP_DEADLINE_MS = 10_000;

/** Takes part in the election of the one replica that acts. */
export interface Elector {
  /** Calls back each time the lease is won or renewed, with the time for which it certainly holds, in milliseconds. */
  run(events: { held: (ms: number) => void; lost: (why: string) => void }): void;
  /** Gives the lease back, so that another replica can act at once. */
  release(): Promise<void>;
}

export interface SupervisorParts {
  config: Config;
  /** The program's own file, which a role's thread runs again. */
  entry: URL;
  logger: Logger;
  elector: (registry: Registry) => Elector;
  /** Throws if another process has the store open. Returns what gives the lock back. */
  lockStore: () => () => void;
  exit: (code: number) => void;
}

/** Resolves when SIGTERM or SIGINT has been obeyed. */
export async function supervise(parts: SupervisorParts): Promise<void> {
  const { config, logger } = parts;
  const fence = createFence();
  const registry = new Registry();
  const roles: RoleHandle[] = [];
  let leading = false;
  let stopping = false;

  const fail = (what: string) => {
    if (stopping) return;
    closeFence(fence);
    logger.fatal(what);
    parts.exit(1);
  };
  const start = (role: RoleName) =>
    roles.push(startRoleThread(parts.entry, { role, config, fence }, (why) => fail(`The ${role} role ended: ${why}`)));

  await serveHealth(config.healthPort, {
    roles: () => roles,
    ready: () => !stopping && roles.length > 0 && roles.every((role) => role.ready()),
    registry,
  });
  const unlockStore = parts.lockStore();
  // The gateway serves whoever asks, leader or not; engine and operator act alone.
  start('gateway');
  const elector = parts.elector(registry);
  elector.run({
    held: (ms) => {
      extendFence(fence, ms);
      if (leading || stopping) return;
      leading = true;
      logger.info('This replica leads.');
      start('engine');
      start('operator');
    },
    lost: (why) => fail(`The lease is lost: ${why}`),
  });

  const signal = await stopSignal();
  stopping = true;
  logger.info({ signal }, 'Stopping.');
  // First who takes in work, then who does it, then who serves it.
  for (const role of [...roles].reverse()) await role.stop(STOP_DEADLINE_MS / 2);
  closeFence(fence);
  await elector.release();
  unlockStore();
  logger.info('Stopped.');
  parts.exit(0);
}

function stopSignal(): Promise<string> {
  return new Promise((resolve) => {
    process.once('SIGTERM', () => resolve('SIGTERM'));
    process.once('SIGINT', () => resolve('SIGINT'));
  });
}
