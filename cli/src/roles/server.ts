import { connect, createTriggerSources } from '@kadre/operator';
import { createServer } from '@kadre/server';
import { openControlPlaneStore } from '../control-plane-store.ts';
import { listenEverywhere } from './listen.ts';
import type { StartRole } from '../role-thread.ts';

export const startServer: StartRole = async ({ config, logger, registry }) => {
  const { store } = await openControlPlaneStore(config.store);
  const connection = connect({ registry });
  const { client, metrics } = connection;
  const sources = createTriggerSources({ client, metrics, instance: config.identity, log: logger });
  const server = createServer({ ...sources, store, logger, registry, ready: () => sources.ready() });
  await sources.start();
  const address = await listenEverywhere(server, config.serverPort);
  logger.info({ address }, 'The server listens.');
  return {
    stop: async () => {
      await server.close();
      await sources.stop();
      await connection.close();
      await store.close();
    },
  };
};
