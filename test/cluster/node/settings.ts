import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { clusterDirectory } from '../places.ts';

/** Where the node cluster keeps things, and which addresses are its own. */
export interface NodeSettings {
  /** State: certificates, etcd's data, images, volumes, logs. */
  readonly directory: string;
  /** Sockets and mounts; short, because a socket's path may have 107 bytes at most. */
  readonly runDirectory: string;
  readonly nodeName: string;
  readonly bridge: string;
  /** The node, the API server, DNS, and the gateway of every pod. */
  readonly nodeAddress: string;
  readonly networkCidr: string;
  readonly podCidr: string;
  readonly serviceCidr: string;
  /** VIP of the API server's Service. */
  readonly apiServiceAddress: string;
  readonly apiPort: number;
  readonly containerdSocket: string;
  readonly kubeconfig: string;
  file(...names: string[]): string;
  logFile(daemon: string): string;
}

const defaultNetwork = '10.213';
const networkFile = path.join(clusterDirectory, 'network');

/**
 * The settings of this machine's one node cluster. `KADRE_CLUSTER_NETWORK` holds the first two bytes of its addresses, for a
 * machine where the default, `10.213`, is taken; once there is a cluster, it keeps its addresses.
 *
 * Throws an Error when the variable has another form, or contradicts the cluster that there is.
 */
export function nodeSettings(): NodeSettings {
  const wish = process.env['KADRE_CLUSTER_NETWORK'];
  const kept = existsSync(networkFile) ? readFileSync(networkFile, 'utf8') : undefined;
  const network = kept ?? wish ?? defaultNetwork;
  if (wish !== undefined && wish !== network) {
    throw new Error(
      `the cluster has addresses in ${network}; take it down before you give it others (KADRE_CLUSTER_NETWORK)`,
    );
  }
  const bytes = /^(\d{1,3})\.(\d{1,3})$/.exec(network);
  if (!bytes?.slice(1).every((byte) => Number(byte) < 256)) {
    throw new Error(
      `KADRE_CLUSTER_NETWORK must be the first two bytes of IPv4 addresses, such as 10.213, not "${network}"`,
    );
  }
  return settingsFor(network);
}

/** Has every later command use these addresses too, until `down`. */
export function keepNetwork({ nodeAddress }: NodeSettings): void {
  writeFileSync(networkFile, nodeAddress.split('.').slice(0, 2).join('.'));
}

function settingsFor(network: string): NodeSettings {
  const file = (...names: string[]): string => path.join(clusterDirectory, ...names);
  const runDirectory = '/run/kadre-cluster';
  return {
    directory: clusterDirectory,
    runDirectory,
    nodeName: 'kadre',
    bridge: 'kadre0',
    nodeAddress: `${network}.0.1`,
    networkCidr: `${network}.0.0/16`,
    podCidr: `${network}.0.0/24`,
    serviceCidr: `${network}.64.0/20`,
    apiServiceAddress: `${network}.64.1`,
    apiPort: 6443,
    containerdSocket: path.join(runDirectory, 'containerd.sock'),
    kubeconfig: file('kubeconfig'),
    file,
    logFile: (daemon) => file('logs', `${daemon}.log`),
  };
}
