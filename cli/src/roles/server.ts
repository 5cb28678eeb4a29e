import { connect, createMcpSources, createTriggerSources } from '@kadre/operator';
import { createServer } from '@kadre/server';
import { openControlPlaneStore } from '../control-plane-store.ts';
import { listenEverywhere } from './listen.ts';
import type { StartRole } from '../role-thread.ts';

export const startServer: StartRole = async ({ config, logger, registry }) => {
  const { store } = await openControlPlaneStore(config.store);
  const connection = connect({ registry });
  const { client, metrics } = connection;
  const shared = { client, metrics, instance: config.identity, log: logger };
  const sources = createTriggerSources(shared);
  const offered = createMcpSources(shared);
  const ready = () => sources.ready() && offered.ready();
  const server = createServer({ ...sources, mcp: { ...offered.mcp, store }, store, logger, registry, ready });
  await Promise.all([sources.start(), offered.start()]);
  const address = await listenEverywhere(server, config.serverPort);
  logger.info({ address }, 'The server listens.');
  return {
    stop: async () => {
      await server.close();
      await Promise.all([sources.stop(), offered.stop()]);
      await connection.close();
      await store.close();
    },
  };
};
