import { existsSync, rmSync } from 'node:fs';
import path from 'node:path';
import { ensureBinaries } from './binaries.ts';
import type { Cluster } from './cluster.ts';
import { capture, runVisibly, succeeds } from './command.ts';
import { ensureBuilt } from './go-build.ts';
import { clusterDirectory } from './places.ts';
import type { Report } from './report.ts';

const name = 'kadre';
const kubeconfig = path.join(clusterDirectory, 'kind.kubeconfig');

/** A kind cluster of ours is there, running or not, as far as this checkout knows. */
export const kindClusterIsKnown = (): boolean => existsSync(kubeconfig);

/**
 * A cluster of one Docker container, made by kind. Its default StorageClass is called `standard` and provisions volumes itself.
 */
export function kindCluster(): Cluster {
  const description = `the kind cluster "${name}"`;
  return {
    description,
    kubeconfig,
    up: async ({ gpus }, report) => {
      if (!(await succeeds('docker', ['info']))) throw new Error('kind needs a Docker engine, and none answers');
      const kind = await kindProgram(report);
      if (await exists(kind)) {
        await capture(kind, ['export', 'kubeconfig', '--name', name, '--kubeconfig', kubeconfig]);
        report(`${description} is already up`);
      } else {
        const wait = ['--wait', '180s'];
        await runVisibly(kind, ['create', 'cluster', '--name', name, '--kubeconfig', kubeconfig, ...wait], {}, report);
      }
      await advertiseGpus(gpus);
    },
    down: async (report) => {
      await capture(await kindProgram(report), ['delete', 'cluster', '--name', name, '--kubeconfig', kubeconfig]);
      rmSync(kubeconfig, { force: true });
      report(`${description} is gone`);
    },
    status: async (report) => {
      const ready = await nodeKubectl('get', '--raw', '/readyz').then(
        () => true,
        () => false,
      );
      report(`${description} ${ready ? 'is ready' : 'is not up'}`);
      return ready;
    },
    loadArchive: async (archive, report) => {
      await runVisibly(await kindProgram(report), ['load', 'image-archive', archive, '--name', name], {}, report);
    },
    kubectl: async (report) =>
      (await succeeds('kubectl', ['version', '--client']))
        ? ['kubectl']
        : [(await ensureBinaries(report)).kadreCluster, 'kubectl'],
  };
}

/** kind from PATH, or else built from its Go module. */
async function kindProgram(report: Report): Promise<string> {
  if (await succeeds('kind', ['version'])) return 'kind';
  const directory = path.join(import.meta.dirname, 'kind');
  const announcement = 'no kind is on PATH; building it from its Go module, which takes about a minute';
  return path.join(await ensureBuilt({ directory, packages: ['sigs.k8s.io/kind'], announcement }, report), 'kind');
}

async function exists(kind: string): Promise<boolean> {
  return (await capture(kind, ['get', 'clusters'])).split('\n').includes(name);
}

// The node brings a kubectl of its own, so that none is needed on the machine.
const node = `${name}-control-plane`;
async function nodeKubectl(...args: readonly string[]): Promise<string> {
  return await capture('docker', ['exec', node, 'kubectl', '--kubeconfig=/etc/kubernetes/admin.conf', ...args]);
}

/** Writes the GPUs into the node's status, where the kubelet leaves them. */
async function advertiseGpus(gpus: number): Promise<void> {
  const resources = { 'nvidia.com/gpu': gpus > 0 ? String(gpus) : null };
  const status = JSON.stringify({ status: { capacity: resources, allocatable: resources } });
  await nodeKubectl('patch', 'node', node, '--subresource=status', '--type=merge', '-p', status);
  const labels =
    gpus > 0
      ? ['nvidia.com/gpu.product=Pretend-GPU', `nvidia.com/gpu.count=${gpus}`]
      : ['nvidia.com/gpu.product-', 'nvidia.com/gpu.count-'];
  await nodeKubectl('label', 'node', node, '--overwrite', ...labels);
}
