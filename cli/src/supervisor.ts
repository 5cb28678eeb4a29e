// A process of the control plane: `kadre all`, or one role.
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
import type { RoleName } from './role-name.ts';
import type { Shifts } from './shifts.ts';

/** Long enough for a step that is being dispatched to be recorded; three times this is within the 30 s of a pod. */
const STOP_DEADLINE_MS = 5_000;

/** First who takes in work, then who does it, then who serves it. */
const stopTurn: Record<RoleName, number> = { server: 0, operator: 0, janitor: 0, engine: 1, gateway: 2 };

/** Takes part in the election of the one replica that leads. */
export interface Elector {
  /** Calls back each time the lease is won or renewed, with the time for which it certainly holds, in milliseconds. */
  run(events: { held: (ms: number) => void; lost: (why: string) => void }): void;
  /** Gives the lease back, so that another replica can act at once. */
  release(): Promise<void>;
}

export interface SupervisorParts {
  config: Config;
  shifts: Shifts;
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
  const { config, shifts, logger } = parts;
  const fence = createFence();
  const registry = new Registry();
  let roles: RoleHandle[] = [];
  let started = false;
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
    // A replica that waits for the lease does all that it should.
    ready: () => started && !stopping && roles.every((role) => role.ready()),
    registry,
  });
  const unlockStore = parts.lockStore();
  shifts.always.forEach(start);
  const elector = shifts.leading.length > 0 ? parts.elector(registry) : undefined;
  const stand = () =>
    elector?.run({
      held: (ms) => {
        extendFence(fence, ms);
        if (leading || stopping) return;
        leading = true;
        logger.info('This replica leads.');
        shifts.leading.forEach(start);
      },
      lost: (why) => {
        if (shifts.goesOn) void stepDown(why);
        else fail(`The lease is lost: ${why}`);
      },
    });
  const stepDown = async (why: string) => {
    closeFence(fence);
    logger.warn(`The lease is lost: ${why}. This replica goes on without leading.`);
    const former = roles.filter(({ name }) => shifts.leading.includes(name));
    roles = roles.filter((role) => !former.includes(role));
    await Promise.all(former.map((role) => role.stop(STOP_DEADLINE_MS)));
    leading = false;
    if (!stopping) stand();
  };
  stand();
  started = true;

  const signal = await stopSignal();
  stopping = true;
  logger.info({ signal }, 'Stopping.');
  for (const turn of new Set(Object.values(stopTurn))) {
    const members = roles.filter(({ name }) => stopTurn[name] === turn);
    await Promise.all(members.map((role) => role.stop(STOP_DEADLINE_MS)));
  }
  closeFence(fence);
  await elector?.release();
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
