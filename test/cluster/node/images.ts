import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Binaries } from '../binaries.ts';
import { capture } from '../command.ts';
import { pauseImage } from './configuration.ts';
import type { NodeSettings } from './settings.ts';

const ctr = async (settings: NodeSettings, ...args: readonly string[]): Promise<string> =>
  await capture('ctr', ['-a', settings.containerdSocket, '-n', 'k8s.io', 'images', ...args]);

/** Imports an archive, in Docker's or in the OCI format, into the node. Returns what containerd says about it. */
export async function importImage(settings: NodeSettings, archive: string): Promise<string> {
  try {
    return await ctr(settings, 'import', archive);
  } catch (error) {
    // containerd cleans up beside it, and may take away a layer of the image before that this one builds upon.
    if (!String(error).includes('parent snapshot')) throw error;
    return await ctr(settings, 'import', archive);
  }
}

/** Makes the image that holds each pod's namespaces, unless the node has it. */
export async function ensurePauseImage(settings: NodeSettings, binaries: Binaries): Promise<void> {
  const names = (await ctr(settings, 'list', '-q')).split('\n');
  if (names.includes(pauseImage)) return;
  const directory = mkdtempSync(path.join(tmpdir(), 'kadre-image-'));
  try {
    const archive = path.join(directory, 'pause.tar');
    const image = ['-name', pauseImage, '-binary', binaries.pause, '-output', archive];
    await capture(binaries.kadreCluster, ['image', ...image]);
    await importImage(settings, archive);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
