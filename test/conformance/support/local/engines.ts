// Engines on one store: one that lives, or one after the other, each of which dies at its first write.
import { startEngine, type AgentDirectory } from '@kadre/engine';
import type { Store } from '@kadre/store';
import { pino } from 'pino';
import { FailingStore } from '../../../../engine/src/testing/failing-store.ts';
import type { FastClock } from './clock.ts';

const logger = pino({ level: process.env['KADRE_TEST_LOG'] ?? 'silent' });

/** never; or before a write reaches the store; or after it, before the engine hears of it. */
export type Deaths = 'never' | 'before each write' | 'after each write';

export interface Engines {
  /** How many engines have died. */
  deaths(): number;
  stop(): Promise<void>;
}

export interface EngineSurroundings {
  store: Store;
  agents: AgentDirectory;
  gateway: () => Promise<string>;
  clock: FastClock;
  /** How much faster than outside time runs. */
  factor: number;
}

export function runEngines(surroundings: EngineSurroundings, deaths: Deaths): Engines {
  const stop = new AbortController();
  let died = 0;
  const work = (async () => {
    while (!stop.signal.aborted) {
      const mortal = new FailingStore(surroundings.store, fault(deaths));
      void mortal.struck.then(() => died++);
      await live(surroundings, mortal, stop.signal);
    }
  })();
  return {
    deaths: () => died,
    stop: async () => {
      stop.abort();
      await work;
    },
  };
}

/** What always dies before its first write gets nowhere; the second one is enough. */
function fault(deaths: Deaths): { at: number; when: 'before' | 'after'; dies: boolean } {
  if (deaths === 'never') return { at: Infinity, when: 'before', dies: true };
  return deaths === 'before each write' ? { at: 2, when: 'before', dies: true } : { at: 1, when: 'after', dies: true };
}

async function live(
  { store, agents, gateway, clock, factor }: EngineSurroundings,
  mortal: FailingStore,
  stop: AbortSignal,
): Promise<void> {
  const over = new AbortController();
  const limits = {
    poll: 50 * factor,
    agentPatience: 30_000 * factor,
    gatewayPatience: 30_000 * factor,
    stopGrace: 10_000 * factor,
  };
  let seat: number | undefined;
  const seated = new Proxy(mortal.store, {
    get: (target, name, receiver) =>
      name === 'joinEngines'
        ? async (ttl: number) => (seat = await target.joinEngines(ttl))
        : (Reflect.get(target, name, receiver) as unknown),
  });
  const engine = await startEngine({ store: seated, agents, gateway, logger, signal: over.signal, clock, limits });
  await Promise.race([mortal.struck, aborted(stop)]);
  over.abort();
  await engine.stopped;
  // Nobody renews the seat of the dead, and after a while it is free. Here that while is over at once.
  if (seat !== undefined) await store.leaveEngines(seat);
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
