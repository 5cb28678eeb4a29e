// What engine and gateway both live in: the store, and what they ask Kubernetes.
import { connect, type KubeSourcesOptions } from '@kadre/operator';
import type { Store } from '@kadre/store';
import { openControlPlaneStore } from '../control-plane-store.ts';
import type { RoleContext } from '../role-thread.ts';

export interface Surroundings<Sources> {
  store: Store;
  sources: Sources;
  close: () => Promise<void>;
}

export async function openSurroundings<Sources extends { stop(): Promise<void> }>(
  { config, logger, registry }: RoleContext,
  create: (options: KubeSourcesOptions) => Sources,
): Promise<Surroundings<Sources>> {
  const { store } = await openControlPlaneStore(config.store);
  const connection = connect({ registry });
  const { client, metrics } = connection;
  const { identity: instance, clusterDomain } = config;
  const sources = create({
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
