import type { Pki } from './pki.ts';

/**
 * Where the API server finds etcd: a socket in the working directory, which the two share. It spares ports and certificates;
 * the directory's mode keeps others out. etcd insists on the form host:port and makes it the socket's name.
 */
const etcdUrl = 'unix://etcd:1';
const etcdPeerUrl = 'unix://etcd-peer:1';

/**
 * etcd that does not wait for the disk. It survives the death of any process, only not a power cut, which is no loss to a
 * cluster for tests.
 */
export function etcdArguments(dataDirectory: string): string[] {
  return [
    'etcd',
    '--name=default',
    `--data-dir=${dataDirectory}`,
    `--listen-client-urls=${etcdUrl}`,
    `--advertise-client-urls=${etcdUrl}`,
    `--listen-peer-urls=${etcdPeerUrl}`,
    `--initial-advertise-peer-urls=${etcdPeerUrl}`,
    `--initial-cluster=default=${etcdPeerUrl}`,
    '--unsafe-no-fsync',
    '--log-level=warn',
    '--auto-compaction-mode=periodic',
    '--auto-compaction-retention=30m',
    `--quota-backend-bytes=${4 * 2 ** 30}`,
  ];
}

/** What an API server is given. `address` is an IP, `serviceCidr` the range of Service VIPs. */
export interface ApiServerSettings {
  readonly pki: Pki;
  readonly address: string;
  readonly port: number;
  readonly serviceCidr: string;
}

/** Issuer, and default audience, of service account tokens. */
const tokenIssuer = 'https://kubernetes.default.svc.cluster.local';

export function apiServerArguments({ pki, address, port, serviceCidr }: ApiServerSettings): string[] {
  const serving = pki.credential('kube-apiserver');
  const kubelet = pki.credential('kubelet-client');
  return [
    'kube-apiserver',
    `--etcd-servers=${etcdUrl}`,
    `--bind-address=${address}`,
    `--secure-port=${port}`,
    `--service-cluster-ip-range=${serviceCidr}`,
    `--tls-cert-file=${serving.certificate}`,
    `--tls-private-key-file=${serving.key}`,
    `--client-ca-file=${pki.authority}`,
    `--kubelet-certificate-authority=${pki.authority}`,
    `--kubelet-client-certificate=${kubelet.certificate}`,
    `--kubelet-client-key=${kubelet.key}`,
    '--kubelet-preferred-address-types=InternalIP',
    `--service-account-issuer=${tokenIssuer}`,
    `--service-account-signing-key-file=${pki.serviceAccountKey}`,
    `--service-account-key-file=${pki.serviceAccountPublicKey}`,
    '--authorization-mode=Node,RBAC',
    '--enable-admission-plugins=NodeRestriction',
    '--allow-privileged=true',
    '--profiling=false',
  ];
}

// The default limits are made for large shared clusters; tests create hundreds of objects at once.
const clientLimits = ['--kube-api-qps=500', '--kube-api-burst=1000'];

/** `volumePlugins` is a directory that it makes if need be; without one it would make `/usr/libexec/kubernetes`. */
export function controllerManagerArguments(pki: Pki, kubeconfig: string, volumePlugins: string): string[] {
  return [
    'kube-controller-manager',
    `--flex-volume-plugin-dir=${volumePlugins}`,
    `--kubeconfig=${kubeconfig}`,
    `--root-ca-file=${pki.authority}`,
    `--service-account-private-key-file=${pki.serviceAccountKey}`,
    '--use-service-account-credentials',
    '--leader-elect=false',
    '--secure-port=0',
    '--profiling=false',
    ...clientLimits,
  ];
}

export function schedulerArguments(kubeconfig: string): string[] {
  return [
    'kube-scheduler',
    `--kubeconfig=${kubeconfig}`,
    '--leader-elect=false',
    '--secure-port=0',
    '--profiling=false',
    ...clientLimits,
  ];
}
