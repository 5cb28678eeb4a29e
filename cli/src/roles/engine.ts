import { startEngine as start } from '@kadre/engine';
import { createEngineSources } from '@kadre/operator';
import type { StartRole } from '../role-thread.ts';
import { openSurroundings } from './surroundings.ts';
import { openTracing } from './tracing.ts';

export const startEngine: StartRole = async (context) => {
  const { store, sources, close } = await openSurroundings(context, createEngineSources);
  // Before the agents are known, each of them would seem not to be there.
  await sources.start();
  const tracing = await openTracing(context);
  const stopping = new AbortController();
  const { logger } = context;
  const { agents, budgets } = sources;
  const spans = tracing?.spans;
  const { gatewayUrl } = context.config;
  const engine = await start({
    ...{ store, agents, budgets, logger, signal: stopping.signal },
    ...(gatewayUrl !== '' && { gateway: () => Promise.resolve(gatewayUrl) }),
    ...(spans && { spans }),
  });
  return {
    stop: async () => {
      stopping.abort();
      await engine.stopped;
      await close();
      await tracing?.stop();
    },
  };
};
