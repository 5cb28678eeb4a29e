import { mkdirSync, rmSync, symlinkSync } from 'node:fs';
import path from 'node:path';
import { ensureBinaries } from './binaries.ts';
import type { Cluster } from './cluster.ts';
import { capture, succeeds } from './command.ts';
import { runningDaemons } from './node/daemons.ts';
import { takeNodeClusterDown } from './node/down.ts';
import { hostIsRecorded } from './node/host-record.ts';
import { importImage } from './node/images.ts';
import { nodeSettings } from './node/settings.ts';
import { bringNodeClusterUp } from './node/up.ts';

/** A node cluster of ours is there, running or not, as far as this checkout knows. */
export const nodeClusterIsKnown = (): boolean => hostIsRecorded(nodeSettings());

/** A cluster on this machine itself: Kubernetes and etcd built from Go modules, containerd from Debian. */
export function nodeCluster(): Cluster {
  const settings = nodeSettings();
  const description = 'the node cluster on this machine';
  const kubectlLink = settings.file('bin', 'kubectl');
  return {
    description,
    kubeconfig: settings.kubeconfig,
    up: async ({ gpus }, report) => {
      await bringNodeClusterUp(settings, gpus, report);
      linkKubectl((await ensureBinaries()).kadreCluster, kubectlLink);
      if (!(await succeeds('kubectl', ['version', '--client']))) {
        report('there is no kubectl on PATH; this puts one there:');
        report(`export PATH="${path.dirname(kubectlLink)}:$PATH"`);
      }
    },
    down: (report) => takeNodeClusterDown(settings, report),
    status: async (report) => {
      const running = [...runningDaemons(settings)].sort();
      if (running.length === 0) {
        report(`${description} is not up`);
        return false;
      }
      report(`running: ${running.join(', ')}`);
      const nodes = capture(kubectlLink, ['get', 'nodes', '--request-timeout=5s'], { KUBECONFIG: settings.kubeconfig });
      const answer = await nodes.catch((error: unknown) => String(error));
      report(answer.trim());
      return /\sReady\s/.test(answer);
    },
    loadArchive: async (archive, report) => report((await importImage(settings, archive)).trim()),
    kubectl: async (report) => [(await ensureBinaries(report)).kadreCluster, 'kubectl'],
  };
}

function linkKubectl(program: string, link: string): void {
  mkdirSync(path.dirname(link), { recursive: true });
  rmSync(link, { force: true });
  symlinkSync(program, link);
}
