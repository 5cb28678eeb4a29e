// Which replica acts: the one that holds the Lease `kadre` in Kadre's own namespace.
import { connect, LeaderElector } from '@kadre/operator';
import type { Logger } from 'pino';
import type { Registry } from 'prom-client';
import type { Config } from './config.ts';
import type { Elector } from './supervisor.ts';

export function createElector(config: Config, logger: Logger, registry: Registry): Elector {
  const connection = connect({ registry });
  const { client, metrics } = connection;
  let elector: LeaderElector | undefined;
  return {
    // After a loss it may be called again.
    run: ({ held, lost }) => {
      elector = new LeaderElector({
        client,
        namespace: config.systemNamespace,
        name: 'kadre',
        // The pod's name, and nothing random: a container that was killed and started again is the same candidate, and
        // goes on with the lease that it still holds. The killed one is gone: a pod's container is started again after it
        // ended, and a store in a file has a lock besides.
        identity: config.identity,
        onRenewed: held,
        onLost: lost,
        log: logger,
        metrics,
      });
      elector.start();
    },
    release: async () => {
      await elector?.stop();
      await connection.close();
    },
  };
}
