import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { cgroupProcesses } from './cgroups.ts';
import { runningDaemons } from './daemons.ts';
import { hostIsRecorded } from './host-record.ts';
import type { NodeSettings } from './settings.ts';

/** A machine has one bridge `kadre0` and one `/kubepods`; this file says whose they are. */
const ownerFile = (settings: NodeSettings): string => path.join(settings.runDirectory, 'owner');

/** Throws an Error when another cluster lives on this machine: another checkout's, or one with a kubelet of its own. */
export function refuseOtherClusters(settings: NodeSettings): void {
  const owner = existsSync(ownerFile(settings)) ? readFileSync(ownerFile(settings), 'utf8') : settings.directory;
  if (owner !== settings.directory && runningDaemons({ ...settings, directory: owner }).size > 0) {
    throw new Error(`another checkout's cluster is up (${owner}); take it down there first`);
  }
  if (!hostIsRecorded(settings) && cgroupProcesses().length > 0) {
    throw new Error('another kubelet runs pods on this machine; use that cluster with KADRE_CLUSTER=existing');
  }
}

export function claimMachine(settings: NodeSettings): void {
  mkdirSync(settings.runDirectory, { recursive: true, mode: 0o711 });
  writeFileSync(ownerFile(settings), settings.directory);
}
