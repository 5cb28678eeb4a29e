import { homedir } from 'node:os';
import path from 'node:path';
import type { Cluster } from './cluster.ts';
import { capture, succeeds } from './command.ts';

/** The cluster that KUBECONFIG, or else `~/.kube/config`, points to. It is used as it is and never taken down. */
export function existingCluster(): Cluster {
  const kubeconfig = process.env['KUBECONFIG'] ?? path.join(homedir(), '.kube', 'config');
  const kubectl = (...args: readonly string[]): Promise<string> => capture('kubectl', args, { KUBECONFIG: kubeconfig });
  const description = `the existing cluster of ${kubeconfig}`;
  return {
    description,
    kubeconfig,
    up: async (_, report) => {
      if (!(await succeeds('kubectl', ['version', '--client']))) throw new Error('kubectl must be on PATH');
      const context = await kubectl('config', 'current-context').catch((error: unknown) => {
        throw new Error(`${kubeconfig} names no current context to use`, { cause: error });
      });
      await kubectl('get', '--raw', '/readyz', '--request-timeout=10s').catch((error: unknown) => {
        throw new Error(`${description} does not answer (context ${context.trim()})`, { cause: error });
      });
      report(`using ${description} as it is (context ${context.trim()})`);
    },
    down: (report) => {
      report(`${description} is left as it is`);
      return Promise.resolve();
    },
    status: async (report) => {
      const ready = await kubectl('get', '--raw', '/readyz', '--request-timeout=10s').then(
        () => true,
        () => false,
      );
      report(`${description} ${ready ? 'is ready' : 'does not answer'}`);
      return ready;
    },
    loadArchive: () =>
      Promise.reject(
        new Error(`images cannot be loaded into ${description}; push them to a registry that it can pull from`),
      ),
    kubectl: () => Promise.resolve(['kubectl']),
  };
}
