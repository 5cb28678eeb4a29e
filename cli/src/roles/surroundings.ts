// What engine and gateway both live in: the store, and what they ask Kubernetes.
import { connect, createKubeSources, type KubeSources } from '@kadre/operator';
import { openSqliteStore, type Store } from '@kadre/store';
import type { RoleContext } from '../role-thread.ts';

export interface Surroundings {
  store: Store;
  sources: KubeSources;
  close: () => Promise<void>;
}

export function openSurroundings({ config, logger, registry }: RoleContext): Surroundings {
  const store = openSqliteStore(config.storePath);
  const connection = connect({ registry });
  const { client, metrics } = connection;
  const { identity: instance, clusterDomain } = config;
  const sources = createKubeSources({
    client,
    metrics,
    instance,
    log: logger,
    ...(clusterDomain !== undefined && { clusterDomain }),
  });
  return {
    store,
    sources,
    close: async () => {
      await sources.stop();
      await connection.close();
      await store.close();
    },
  };
}
