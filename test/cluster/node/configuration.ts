import { chmodSync, existsSync, mkdirSync, readFileSync, statfsSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Pki } from '../pki.ts';
import { networkPlugins } from './packages.ts';
import type { NodeSettings } from './settings.ts';

export const pauseImage = 'localhost/kadre/pause:1';
export const clusterDomain = 'cluster.local';

/** The configuration files of the node's daemons, written anew by each `up`. */
export interface NodeFiles {
  readonly containerd: string;
  readonly network: string;
  readonly kubelet: string;
  readonly proxy: string;
  readonly dns: string;
}

export function writeConfiguration(settings: NodeSettings, pki: Pki): NodeFiles {
  const files = {
    containerd: settings.file('config', 'containerd.toml'),
    network: settings.file('config', 'cni', '10-kadre.conflist'),
    kubelet: settings.file('config', 'kubelet.json'),
    proxy: settings.file('config', 'kube-proxy.json'),
    dns: settings.file('config', 'Corefile'),
  };
  write(files.containerd, containerdConfiguration(settings));
  write(files.network, JSON.stringify(networkConfiguration(settings)));
  write(files.kubelet, JSON.stringify(kubeletConfiguration(settings, pki)));
  write(files.proxy, JSON.stringify(proxyConfiguration(settings)));
  write(files.dns, dnsConfiguration(settings));
  return files;
}

// A file that would not change is left alone: kube-proxy ends whenever its own is written.
function write(file: string, content: string): void {
  if (existsSync(file) && readFileSync(file, 'utf8') === content) return;
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, content);
}

function containerdConfiguration(settings: NodeSettings): string {
  return `version = 2
root = "${settings.file('containerd')}"
state = "${path.join(settings.runDirectory, 'containerd')}"
# It would make /opt/containerd.
disabled_plugins = ["io.containerd.internal.v1.opt"]

[grpc]
  address = "${settings.containerdSocket}"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "${pauseImage}"
  stream_server_address = "127.0.0.1"
  # Without CAP_SYS_RESOURCE, as in many containers and sandboxes, nobody may lower the score.
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true

  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "${snapshotter(settings)}"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"

  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "${networkPlugins()}"
    conf_dir = "${settings.file('config', 'cni')}"
`;
}

// An overlay cannot lie on an overlay, which is what the root of a container is.
function snapshotter({ directory }: NodeSettings): string {
  const overlayMagic = 0x794c7630;
  return statfsSync(directory).type === overlayMagic ? 'native' : 'overlayfs';
}

function networkConfiguration(settings: NodeSettings): object {
  const ipam = {
    type: 'host-local',
    dataDir: settings.file('addresses'),
    ranges: [[{ subnet: settings.podCidr, gateway: settings.nodeAddress }]],
    routes: [{ dst: '0.0.0.0/0' }],
  };
  return { cniVersion: '1.0.0', name: 'kadre', plugins: [{ type: 'ptp', ipMasq: false, ipam }] };
}

function kubeletConfiguration(settings: NodeSettings, pki: Pki): object {
  const { certificate, key } = pki.credential('kubelet');
  return {
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    kind: 'KubeletConfiguration',
    address: settings.nodeAddress,
    healthzPort: 0,
    authentication: {
      anonymous: { enabled: false },
      webhook: { enabled: true },
      x509: { clientCAFile: pki.authority },
    },
    authorization: { mode: 'Webhook' },
    tlsCertFile: certificate,
    tlsPrivateKeyFile: key,
    clusterDNS: [settings.nodeAddress],
    clusterDomain,
    containerRuntimeEndpoint: `unix://${settings.containerdSocket}`,
    podLogsDir: settings.file('pod-logs'),
    volumePluginDir: settings.file('volume-plugins'),
    maxPods: 220,
    // Machines differ in what they allow; a cluster for tests takes each as it is.
    cgroupDriver: 'cgroupfs',
    failCgroupV1: false,
    failSwapOn: false,
    enforceNodeAllocatable: [],
    makeIPTablesUtilChains: false,
    // Images are loaded by hand and cannot be pulled again, so a full disk must not cost any.
    imageGCHighThresholdPercent: 100,
    imageGCLowThresholdPercent: 99,
    evictionHard: {
      'memory.available': '50Mi',
      'nodefs.available': '1%',
      'nodefs.inodesFree': '1%',
      'imagefs.available': '1%',
    },
    // A change of capacity, such as new GPUs, shows within a second.
    nodeStatusUpdateFrequency: '1s',
    nodeStatusReportFrequency: '1m',
    serializeImagePulls: false,
    registryPullQPS: 0,
    eventRecordQPS: 0,
    kubeAPIQPS: 200,
    kubeAPIBurst: 400,
  };
}

function proxyConfiguration(settings: NodeSettings): object {
  return {
    apiVersion: 'kubeproxy.config.k8s.io/v1alpha1',
    kind: 'KubeProxyConfiguration',
    mode: 'nftables',
    nftables: { minSyncPeriod: '100ms' },
    clientConnection: { kubeconfig: settings.file('kube-proxy.kubeconfig') },
    hostnameOverride: settings.nodeName,
    clusterCIDR: settings.podCidr,
    bindAddress: settings.nodeAddress,
    healthzBindAddress: `${settings.nodeAddress}:10256`,
    metricsBindAddress: `${settings.nodeAddress}:10249`,
    // The machine's connection tracking is left as it is.
    conntrack: { maxPerCore: 0, min: 0, tcpEstablishedTimeout: '0s', tcpCloseWaitTimeout: '0s' },
  };
}

function dnsConfiguration(settings: NodeSettings): string {
  return `. {
  bind ${settings.nodeAddress}
  errors
  ready ${settings.nodeAddress}:8181
  kubernetes ${clusterDomain} in-addr.arpa {
    kubeconfig ${settings.file('coredns.kubeconfig')}
    ttl 5
  }
  ${hasNameserver('/etc/resolv.conf') ? 'forward . /etc/resolv.conf' : '# The machine itself has no nameserver to ask.'}
  cache 5 {
    disable success ${clusterDomain}
    disable denial ${clusterDomain}
  }
}
`;
}

function hasNameserver(file: string): boolean {
  return existsSync(file) && /^nameserver\s+\S/m.test(readFileSync(file, 'utf8'));
}

/** The directories of the static volumes, writable for whatever user a pod runs as. Returns their paths. */
export function ensureVolumeDirectories(settings: NodeSettings, count: number): string[] {
  return Array.from({ length: count }, (_, index) => {
    const directory = settings.file('volumes', String(index + 1).padStart(2, '0'));
    mkdirSync(directory, { recursive: true });
    chmodSync(directory, 0o777);
    return directory;
  });
}
