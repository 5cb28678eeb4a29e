import { startEngine as start } from '@kadre/engine';
import type { StartRole } from '../role-thread.ts';
import { openSurroundings } from './surroundings.ts';

export const startEngine: StartRole = async (context) => {
  const { store, sources, close } = await openSurroundings(context);
  // Before the agents are known, each of them would seem not to be there.
  await sources.start();
  const stopping = new AbortController();
  const { logger } = context;
  const { agents, budgets } = sources;
  const engine = await start({ store, agents, budgets, logger, signal: stopping.signal });
  return {
    stop: async () => {
      stopping.abort();
      await engine.stopped;
      await close();
    },
  };
};
