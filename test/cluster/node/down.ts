import { readFileSync, readdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { capture, succeeds } from '../command.ts';
import { withLock } from '../lock.ts';
import type { Report } from '../report.ts';
import { cgroupProcesses, removePodCgroups } from './cgroups.ts';
import { killUntilGone, stopAllDaemons, stopDaemon } from './daemons.ts';
import { hostIsRecorded, recordFile, restoreHost } from './host-record.ts';
import { removeNetwork } from './network.ts';
import type { NodeSettings } from './settings.ts';
import { nodeClusterLock } from './up.ts';

/**
 * Takes the node cluster away: processes, containers, mounts, interfaces, rules, kernel parameters, files. Works from any state
 * and may be repeated. Throws an Error, and keeps the files, when something stays mounted below them.
 */
export async function takeNodeClusterDown(settings: NodeSettings, report: Report): Promise<void> {
  await withLock(nodeClusterLock, report, async () => {
    if (!hostIsRecorded(settings)) {
      report('there is no cluster');
      return;
    }
    // The kubelet first, since it would start containers anew.
    await stopDaemon(settings, 'kubelet');
    await killUntilGone(cgroupProcesses);
    await stopAllDaemons(settings);
    report('stopped all processes');
    removePodCgroups();
    await unmountBelow(settings.directory);
    await unmountBelow(settings.runDirectory);
    await removeNetwork(settings);
    restoreHost(settings);
    removeState(settings);
    report('the cluster is gone');
  });
}

async function unmountBelow(directory: string): Promise<void> {
  const deadline = Date.now() + 10_000;
  for (let mounts = mountsBelow(directory); mounts.length > 0; mounts = mountsBelow(directory)) {
    for (const mount of mounts) await succeeds('umount', [mount]);
    if (Date.now() > deadline) await capture('umount', ['--recursive', ...mountsBelow(directory)]);
    await delay(20);
  }
}

/** Mount points below a directory, the latest first. */
function mountsBelow(directory: string): string[] {
  const points = readFileSync('/proc/self/mountinfo', 'utf8').split('\n');
  const decode = (text: string): string =>
    text.replace(/\\(\d{3})/g, (_, octal: string) => String.fromCharCode(parseInt(octal, 8)));
  return points
    .map((line) => decode(line.split(' ')[4] ?? ''))
    .filter((point) => point.startsWith(directory + path.sep))
    .reverse();
}

// The record of what the machine was like goes last: until then an interrupted `down` can be repeated.
function removeState(settings: NodeSettings): void {
  const { directory } = settings;
  const last = path.basename(recordFile(settings));
  for (const entry of readdirSync(directory)) {
    if (entry !== last) rmSync(path.join(directory, entry), { recursive: true, force: true });
  }
  rmSync(directory, { recursive: true, force: true });
}
