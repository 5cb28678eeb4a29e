import type { Cluster } from './cluster.ts';
import { succeeds } from './command.ts';
import { existingCluster } from './existing-cluster.ts';
import { kindCluster, kindClusterIsKnown } from './kind-cluster.ts';
import { nodeCluster, nodeClusterIsKnown } from './node-cluster.ts';
import type { Report } from './report.ts';

/**
 * The cluster to use: what KADRE_CLUSTER says (`existing`, `kind` or `node`); else the one that this checkout has; else kind
 * where a Docker engine answers; else a node cluster. KUBECONFIG alone decides nothing, since it often points to a cluster
 * that nobody means to test on, or still to ours.
 *
 * Throws an Error when KADRE_CLUSTER says something else.
 */
export async function chooseCluster(report: Report): Promise<Cluster> {
  const wish = process.env['KADRE_CLUSTER'] ?? '';
  switch (wish) {
    case 'existing':
      return existingCluster();
    case 'kind':
      return kindCluster();
    case 'node':
      return nodeCluster();
    case '':
      return await chooseByItself(report);
    default:
      throw new Error(`KADRE_CLUSTER must be existing, kind or node, not "${wish}"`);
  }
}

async function chooseByItself(report: Report): Promise<Cluster> {
  if (nodeClusterIsKnown()) return nodeCluster();
  if (kindClusterIsKnown()) return kindCluster();
  const cluster = (await succeeds('docker', ['info'])) ? kindCluster() : nodeCluster();
  const { KUBECONFIG } = process.env;
  if (KUBECONFIG !== undefined && KUBECONFIG !== '' && KUBECONFIG !== cluster.kubeconfig) {
    report(`KUBECONFIG is set; to use that cluster instead of ${cluster.description}, set KADRE_CLUSTER=existing`);
  }
  return cluster;
}
