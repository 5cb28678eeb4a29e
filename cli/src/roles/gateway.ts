import { createGateway } from '@kadre/gateway';
import type { StartRole } from '../role-thread.ts';
import { openSurroundings } from './surroundings.ts';

export const startGateway: StartRole = async (context) => {
  const { config, logger, registry } = context;
  const { store, sources, close } = await openSurroundings(context);
  const gateway = createGateway({ ...sources, store, logger, registry, ready: () => sources.ready() });
  await sources.start();
  const listen = (host: string) => gateway.listen({ host, port: config.gatewayPort });
  // Both families where there are both; a kernel without IPv6 knows no `::`.
  const address = await listen('::').catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code !== 'EAFNOSUPPORT') throw error;
    return listen('0.0.0.0');
  });
  logger.info({ address }, 'The gateway listens.');
  return {
    stop: async () => {
      await gateway.close();
      await close();
    },
  };
};
