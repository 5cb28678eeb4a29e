import { labels } from '@kadre/crds';
import { by } from '../caches.ts';
import { keyOf, watching, type KubeObject } from '../kube/index.ts';
import { decideGpuPool } from './decide.ts';
import type { Context } from '../context.ts';

/** Says of each GpuPool what it has and what is taken, and keeps it while its devices are held. */
export function registerGpuPoolController({ manager, caches, clock }: Context): void {
  const { pools, nodes, pods, jobs } = caches;
  const named = ({ metadata }: Readonly<KubeObject>) => {
    const pool = metadata.labels?.[labels.gpuPool];
    return pool === undefined ? [] : [pool];
  };
  manager.controller({
    name: 'gpu-pool',
    for: pools,
    // A node's heartbeat may change any pool; there are few pools, and an unchanged status costs no request.
    watches: [watching(nodes, () => pools.list().map(keyOf)), watching(pods, named), watching(jobs, named)],
    reconcile: async (name, { signal }) => {
      const pool = pools.get(undefined, name);
      if (!pool) return undefined;
      const [ownPods, ownJobs] = [pods.byIndex(by.pool, name), jobs.byIndex(by.pool, name)];
      const snapshot = { pool, nodes: nodes.list(), pods: ownPods, jobs: ownJobs };
      return manager.executor.execute(pool, decideGpuPool(snapshot, new Date(clock.now())), { signal });
    },
  });
}
