// What engine and gateway both live in: the store, and what they ask Kubernetes.
import { connect, createKubeSources, type KubeSources, type KubeSourcesOptions } from '@kadre/operator';
import type { Store } from '@kadre/store';
import { openControlPlaneStore } from '../control-plane-store.ts';
import type { RoleContext } from '../role-thread.ts';

export interface Surroundings {
  store: Store;
  sources: KubeSources;
  close: () => Promise<void>;
}

export async function openSurroundings(
  { config, logger, registry }: RoleContext,
  more: Pick<KubeSourcesOptions, 'prices'> = {},
): Promise<Surroundings> {
  const { store } = await openControlPlaneStore(config.store);
  const connection = connect({ registry });
  const { client, metrics } = connection;
  const { identity: instance, clusterDomain } = config;
  const sources = createKubeSources({
    client,
    metrics,
    instance,
    log: logger,
    ...(clusterDomain !== undefined && { clusterDomain }),
    ...more,
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
