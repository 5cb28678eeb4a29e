import { createGateway } from '@kadre/gateway';
import { createGatewaySources } from '@kadre/operator';
import { listenEverywhere } from './listen.ts';
import type { StartRole } from '../role-thread.ts';
import { openSurroundings } from './surroundings.ts';
import { openTracing } from './tracing.ts';

export const startGateway: StartRole = async (context) => {
  const { config, logger, registry } = context;
  const prices = { namespace: config.systemNamespace, name: 'kadre-prices' };
  const { store, sources, close } = await openSurroundings(context, (options) =>
    createGatewaySources({ ...options, prices }),
  );
  const tracing = await openTracing(context);
  const gateway = createGateway({
    ...sources,
    store,
    logger,
    registry,
    ...(tracing && { spans: tracing.spans }),
    ...(config.clusterDomain !== undefined && { clusterDomain: config.clusterDomain }),
    ready: () => sources.ready(),
  });
  await sources.start();
  const address = await listenEverywhere(gateway, config.gatewayPort);
  logger.info({ address }, 'The gateway listens.');
  return {
    stop: async () => {
      await gateway.close();
      await close();
      await tracing?.stop();
    },
  };
};
