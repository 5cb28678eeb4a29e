import { mkdirSync, writeFileSync } from 'node:fs';
import { type Api, createApi } from '../api.ts';
import { type Binaries, ensureBinaries } from '../binaries.ts';
import { withLock } from '../lock.ts';
import { type Pki, controlPlaneIdentities, ensurePki, kubeconfigFor } from '../pki.ts';
import type { Report } from '../report.ts';
import { claimMachine, refuseOtherClusters } from './claim.ts';
import { writeConfiguration } from './configuration.ts';
import { describeDaemons } from './daemon-set.ts';
import { type Daemon, ensureDaemon, runningDaemons, stopDaemon } from './daemons.ts';
import { recordHost } from './host-record.ts';
import { ensurePauseImage } from './images.ts';
import { ensureNetwork } from './network.ts';
import { applyObjects, labelNode } from './objects.ts';
import { ensurePackages } from './packages.ts';
import { waitForApi, waitForContainerd, waitForNames, waitForNode, waitForServices } from './readiness.ts';
import { type NodeSettings, keepNetwork } from './settings.ts';

/** Held by whoever changes the node cluster. */
export const nodeClusterLock = 'node-cluster';

/**
 * Brings the node cluster to the state that is described here, whatever state it is in: absent, half started by an `up` that was
 * killed, running, or left over from before a reboot. Every step looks first whether it has been taken.
 *
 * `gpus` is the number of pretend GPUs. Throws an Error with the end of a daemon's log when that daemon does not get ready.
 */
export async function bringNodeClusterUp(settings: NodeSettings, gpus: number, report: Report): Promise<void> {
  await withLock(nodeClusterLock, report, async () => {
    requireRoot();
    refuseOtherClusters(settings);
    await ensurePackages(report);
    const binaries = await ensureBinaries(report);
    recordHost(settings);
    claimMachine(settings);
    keepNetwork(settings);
    const started = await start(settings, binaries, gpus, report);
    report(started ? 'the cluster is up' : 'the cluster is already up');
  });
}

async function start(settings: NodeSettings, binaries: Binaries, gpus: number, report: Report): Promise<boolean> {
  const pki = await ensureCertificates(settings, binaries);
  const files = writeConfiguration(settings, pki);
  await ensureNetwork(settings);

  const url = `https://${settings.nodeAddress}:${settings.apiPort}`;
  const api = createApi({ url, authority: pki.authority, ...pki.credential('admin') });
  writeKubeconfigs(settings, pki, url);

  const daemons = describeDaemons(settings, binaries, pki, files, gpus);
  const foundationStarted = await startAll(settings, daemons.foundation, report);
  await waitForContainerd(settings, report);
  await ensurePauseImage(settings, binaries);
  await waitForApi(settings, api, report);
  await applyObjects(api, settings);
  const restStarted = await startAll(settings, daemons.rest, report);
  const deviceLost = await stopSuperfluous(settings, [...daemons.foundation, ...daemons.rest]);
  await finish(settings, api, gpus, report);
  return foundationStarted || restStarted || deviceLost;
}

async function finish(settings: NodeSettings, api: Api, gpus: number, report: Report): Promise<void> {
  await waitForNode(settings, api, gpus, report);
  await labelNode(api, settings, gpus);
  await waitForServices(settings, report);
  await waitForNames(settings, report);
}

async function startAll(settings: NodeSettings, daemons: readonly Daemon[], report: Report): Promise<boolean> {
  const started = [];
  for (const daemon of daemons) if (await ensureDaemon(settings, daemon)) started.push(daemon.name);
  if (started.length > 0) report(`started ${started.join(', ')}`);
  return started.length > 0;
}

/** Stops what ran for other settings, such as the device plugin when there shall be no GPU any more. */
async function stopSuperfluous(settings: NodeSettings, wanted: readonly Daemon[]): Promise<boolean> {
  const names = new Set(wanted.map(({ name }) => name));
  const superfluous = [...runningDaemons(settings)].filter((name) => !names.has(name));
  for (const name of superfluous) await stopDaemon(settings, name);
  return superfluous.length > 0;
}

function requireRoot(): void {
  if (process.getuid?.() === 0) return;
  throw new Error(
    'the node cluster runs containers itself and therefore needs root; run it with sudo, or start Docker',
  );
}

async function ensureCertificates(settings: NodeSettings, binaries: Binaries): Promise<Pki> {
  const { nodeAddress, nodeName, apiServiceAddress } = settings;
  mkdirSync(settings.directory, { recursive: true, mode: 0o711 });
  return await ensurePki(binaries.kadreCluster, settings.file('pki'), [
    ...controlPlaneIdentities([nodeAddress, apiServiceAddress, 'localhost', '127.0.0.1']),
    {
      name: 'kubelet',
      commonName: `system:node:${nodeName}`,
      organisation: 'system:nodes',
      hosts: [nodeName, nodeAddress],
    },
    { name: 'kube-proxy', commonName: 'system:kube-proxy' },
    { name: 'coredns', commonName: 'kadre:coredns' },
  ]);
}

function writeKubeconfigs(settings: NodeSettings, pki: Pki, url: string): void {
  const write = (file: string, identity: string): void =>
    writeFileSync(file, kubeconfigFor(url, pki, identity), { mode: 0o600 });
  for (const identity of ['kube-controller-manager', 'kube-scheduler', 'kubelet', 'kube-proxy', 'coredns']) {
    write(settings.file(`${identity}.kubeconfig`), identity);
  }
  write(settings.kubeconfig, 'admin');
}
