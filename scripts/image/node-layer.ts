// The layer that all images share, packed once for each version of Node and of the libraries below it.
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { keptLayer } from './kept-layer.ts';
import type { Layer } from './layer.ts';
import { assemble, piecesFor } from './rootfs.ts';

const run = promisify(execFile);

export interface NodeBase {
  /** Node as it is on this machine, unstripped. */
  binary: string;
  layer: Layer;
}

/**
 * Takes Node from npm's package for this platform, in the version that the Dockerfile names, and libraries and certificates
 * from this machine.
 *
 * @param root of the repository
 * @param folder keeps the layer from one build to the next
 * @throws with what to do about it where the machine is not a Linux with glibc
 */
export async function nodeBase(root: string, folder: string): Promise<NodeBase> {
  if (process.platform !== 'linux') {
    throw new Error('`make image` works on Linux. Elsewhere use Docker: docker build --target kadre -t kadre .');
  }
  const version = nodeVersion(await readFile(join(root, 'Dockerfile'), 'utf8'));
  const binary = await fetchNode(root, version);
  const pieces = await piecesFor(binary);
  const layer = await keptLayer(folder, {
    title: `Packing Node ${version} as the layer that all images share`,
    from: [fileURLToPath(new URL('./rootfs.ts', import.meta.url)), ...pieces.map(({ from }) => from)],
    assemble: (tree) => assemble(pieces, tree),
  });
  return { binary, layer };
}

/** The Dockerfile is the one place that names the version. */
export function nodeVersion(dockerfile: string): string {
  const version = /^ARG NODE_VERSION=(\d+\.\d+\.\d+)$/m.exec(dockerfile)?.[1];
  if (!version) throw new Error('The Dockerfile has no line such as `ARG NODE_VERSION=26.10.0`.');
  return version;
}

async function fetchNode(root: string, version: string): Promise<string> {
  const name = `node-linux-${process.arch}`;
  const home = join(root, '.cache', 'node', version);
  const binary = join(home, 'node_modules', name, 'bin', 'node');
  if (existsSync(binary)) return binary;
  console.log(`Fetching Node ${version} for the images (about 50 MB, once) ...`);
  const fresh = `${home}.${process.pid}`;
  try {
    await mkdir(fresh, { recursive: true });
    await run('npm', ['install', '--prefix', fresh, '--no-save', '--loglevel=error', `${name}@${version}`]);
    await rm(home, { recursive: true, force: true });
    await rename(fresh, home);
  } finally {
    await rm(fresh, { recursive: true, force: true });
  }
  return binary;
}
