import { createGateway } from '@kadre/gateway';
import { connect, createKubeSources } from '@kadre/operator';
import { openSqliteStore } from '@kadre/store';
import type { StartRole } from '../role-thread.ts';

export const startGateway: StartRole = async ({ config, logger, registry }) => {
  const store = openSqliteStore(config.storePath);
  const connection = connect({ registry });
  const { client, metrics } = connection;
  const sources = createKubeSources({ client, metrics, instance: config.identity, log: logger });
  const gateway = createGateway({ ...sources, store, logger, registry, ready: () => sources.ready() });
  await sources.start();
  const address = await gateway.listen({ host: '::', port: config.gatewayPort });
  logger.info({ address }, 'The gateway listens.');
  return {
    stop: async () => {
      await gateway.close();
      await sources.stop();
      await connection.close();
      await store.close();
    },
  };
};
