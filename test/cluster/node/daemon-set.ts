import type { Binaries } from '../binaries.ts';
import { apiServerArguments, controllerManagerArguments, etcdArguments, schedulerArguments } from '../components.ts';
import type { Pki } from '../pki.ts';
import type { NodeFiles } from './configuration.ts';
import type { Daemon } from './daemons.ts';
import { containerdProgram } from './packages.ts';
import type { NodeSettings } from './settings.ts';

export interface DaemonSet {
  /** What the API needs. */
  readonly foundation: readonly Daemon[];
  /** What needs the API. */
  readonly rest: readonly Daemon[];
}

/** Every daemon of the node cluster, with `gpus` pretend GPUs. */
export function describeDaemons(
  settings: NodeSettings,
  binaries: Binaries,
  pki: Pki,
  files: NodeFiles,
  gpus: number,
): DaemonSet {
  const own = ([name = '', ...args]: readonly string[], ...configFiles: string[]): Daemon => ({
    name,
    program: binaries.kadreCluster,
    args: [name, ...args],
    configFiles,
  });
  const kubeconfig = (name: string): string => settings.file(`${name}.kubeconfig`);
  const { nodeAddress: address, apiPort: port, serviceCidr } = settings;
  const apiServer = apiServerArguments({ pki, address, port, serviceCidr });
  const recycler = ['recycle-volumes', `-kubeconfig=${settings.kubeconfig}`, `-dir=${settings.file('volumes')}`];
  return {
    foundation: [
      {
        name: 'containerd',
        program: containerdProgram(),
        args: ['--config', files.containerd],
        configFiles: [files.containerd],
      },
      own(etcdArguments(settings.file('etcd'))),
      own([...apiServer, `--advertise-address=${address}`], pki.authority),
    ],
    rest: [
      own(
        controllerManagerArguments(pki, kubeconfig('kube-controller-manager'), settings.file('volume-plugins')),
        pki.authority,
      ),
      own(schedulerArguments(kubeconfig('kube-scheduler')), pki.authority),
      own(kubeletArguments(settings, files.kubelet), files.kubelet, pki.authority),
      own(['kube-proxy', `--config=${files.proxy}`], files.proxy, pki.authority),
      {
        name: 'coredns',
        program: binaries.coredns,
        args: ['-conf', files.dns],
        configFiles: [files.dns, pki.authority],
      },
      own(recycler, pki.authority),
      ...(gpus > 0 ? [own(['device-plugin', `-count=${gpus}`])] : []),
    ],
  };
}

function kubeletArguments(settings: NodeSettings, configFile: string): string[] {
  return [
    'kubelet',
    `--config=${configFile}`,
    `--kubeconfig=${settings.file('kubelet.kubeconfig')}`,
    `--root-dir=${settings.file('kubelet')}`,
    `--hostname-override=${settings.nodeName}`,
    `--node-ip=${settings.nodeAddress}`,
  ];
}
