import { randomInt } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type Api, createApi } from './api.ts';
import { type Binaries, ensureBinaries } from './binaries.ts';
import { apiServerArguments, controllerManagerArguments, etcdArguments, schedulerArguments } from './components.ts';
import { type FakeNode, addFakeNode } from './fake-node.ts';
import { tailOf } from './log.ts';
import { type Pki, controlPlaneIdentities, ensurePki, kubeconfigFor } from './pki.ts';
import type { Report } from './report.ts';
import { TetheredGroup } from './tethered-group.ts';

export interface ControlPlaneOptions {
  /** Run the controllers: Deployments make ReplicaSets and Pods, Jobs make Pods, garbage is collected. Default true. */
  readonly controllerManager?: boolean;
  /** Run the scheduler, which places pods on nodes from `addNode`. Default true. */
  readonly scheduler?: boolean;
  /** More flags for kube-apiserver, such as `--feature-gates=…`. They win over ours. */
  readonly apiServerFlags?: readonly string[];
  /** More flags for kube-controller-manager. */
  readonly controllerManagerFlags?: readonly string[];
  /** Hears about a build that takes long. Default: silence. */
  readonly report?: Report;
}

/**
 * A real control plane without a kubelet: objects are validated, stored, watched, reconciled and scheduled, but no container
 * ever starts, and a Pod's phase stays Pending until somebody writes its status.
 */
export interface ControlPlane {
  /** `https://127.0.0.1:PORT`; stays the same when the API server is restarted. */
  readonly url: string;
  /** An administrator's kubeconfig as YAML text. */
  readonly kubeconfig: string;
  /** The same as a file, for kubectl. */
  readonly adminKubeconfigPath: string;
  /** The programs, for a test that wants kubectl: `binaries.kadreCluster kubectl …`. */
  readonly binaries: Binaries;
  /** JSON requests as an administrator. */
  readonly api: Api;
  /** Registers a node that no kubelet stands behind, with any capacity, for instance GPUs. */
  addNode(node?: FakeNode): Promise<void>;
  /** Kills the API server with SIGKILL. etcd keeps what was written. */
  killApiServer(): Promise<void>;
  /** Starts the API server again after `killApiServer` and waits until it is ready. */
  startApiServer(): Promise<void>;
  /** `killApiServer`, then `startApiServer`. */
  restartApiServer(): Promise<void>;
  /** Ends every process and removes every file. May be called twice. */
  stop(): Promise<void>;
}

const readyWithinMs = 120_000;

/**
 * Starts etcd and kube-apiserver, and unless told otherwise kube-controller-manager and kube-scheduler, on loopback, with files
 * in a new temporary directory. Any number may run at once. All of it ends with this process, even if this process is killed.
 *
 * The first call on a machine builds the programs, which takes minutes; `node test/cluster/main.ts build` does so beforehand.
 *
 * Throws an Error with the end of the API server's log when it does not become ready.
 */
export async function startControlPlane(options: ControlPlaneOptions = {}): Promise<ControlPlane> {
  const binaries = await ensureBinaries(options.report);
  const group = new TetheredGroup(binaries, 'kadre-control-plane-');
  try {
    group.start(etcdArguments(path.join(group.directory, 'etcd')));
    const identities = controlPlaneIdentities(['127.0.0.1', 'localhost']);
    const pki = await ensurePki(binaries.kadreCluster, path.join(group.directory, 'pki'), identities);
    const port = await unusedPort();
    const controlPlane = new RunningControlPlane(group, binaries, pki, port, options.apiServerFlags ?? []);
    await controlPlane.startApiServer();
    startApiClients(group, pki, controlPlane.url, options);
    return controlPlane;
  } catch (error) {
    await group.stop();
    throw error;
  }
}

class RunningControlPlane implements ControlPlane {
  readonly url: string;
  readonly kubeconfig: string;
  readonly adminKubeconfigPath: string;
  readonly binaries: Binaries;
  readonly api: Api;
  readonly #group: TetheredGroup;
  readonly #apiServer: readonly string[];

  constructor(group: TetheredGroup, binaries: Binaries, pki: Pki, port: number, apiServerFlags: readonly string[]) {
    this.url = `https://127.0.0.1:${port}`;
    this.kubeconfig = kubeconfigFor(this.url, pki, 'admin');
    this.adminKubeconfigPath = writeKubeconfig(group, 'admin', this.kubeconfig);
    this.binaries = binaries;
    this.api = createApi({ url: this.url, authority: pki.authority, ...pki.credential('admin') });
    this.#group = group;
    // Nobody reaches the API server through a Service here, and a loopback address would be refused as its endpoint.
    const address = { address: '127.0.0.1', port, serviceCidr: '10.213.64.0/20' };
    this.#apiServer = [
      ...apiServerArguments({ pki, ...address }),
      '--endpoint-reconciler-type=none',
      ...apiServerFlags,
    ];
  }

  async addNode(node?: FakeNode): Promise<void> {
    await addFakeNode(this.api, node);
  }

  async startApiServer(): Promise<void> {
    this.#group.start(this.#apiServer);
    const deadline = Date.now() + readyWithinMs;
    while (!(await isReady(this.api))) {
      if (!this.#group.isRunning('kube-apiserver') || Date.now() > deadline) {
        const log = this.#group.logFile('kube-apiserver');
        throw new Error(`kube-apiserver did not become ready; the end of its log:\n${tailOf(log)}`);
      }
      await delay(50);
    }
  }

  async killApiServer(): Promise<void> {
    await this.#group.kill('kube-apiserver');
  }

  async restartApiServer(): Promise<void> {
    await this.killApiServer();
    await this.startApiServer();
  }

  async stop(): Promise<void> {
    await this.#group.stop();
  }
}

function startApiClients(group: TetheredGroup, pki: Pki, url: string, options: ControlPlaneOptions): void {
  const { controllerManager = true, scheduler = true, controllerManagerFlags = [] } = options;
  const kubeconfig = (name: string): string => writeKubeconfig(group, name, kubeconfigFor(url, pki, name));
  if (controllerManager) {
    const plugins = path.join(group.directory, 'volume-plugins');
    const args = controllerManagerArguments(pki, kubeconfig('kube-controller-manager'), plugins);
    // Nobody renews the leases of fake nodes.
    group.start([...args, '--node-monitor-grace-period=8760h', ...controllerManagerFlags]);
  }
  if (scheduler) group.start(schedulerArguments(kubeconfig('kube-scheduler')));
}

function writeKubeconfig(group: TetheredGroup, identity: string, text: string): string {
  const file = path.join(group.directory, `${identity}.kubeconfig`);
  writeFileSync(file, text, { mode: 0o600 });
  return file;
}

async function isReady(api: Api): Promise<boolean> {
  return await api.call('GET', '/readyz').then(
    ({ status }) => status === 200,
    () => false,
  );
}

/** A port below the range from which the kernel takes ports for connections, so that it is still free after a restart. */
async function unusedPort(): Promise<number> {
  for (;;) {
    const port = randomInt(20_000, 32_000);
    if (await isUnused(port)) return port;
  }
}

async function isUnused(port: number): Promise<boolean> {
  const server = createServer();
  return await new Promise((resolve) => {
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
