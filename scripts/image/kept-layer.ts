// Layers that are packed once, and again only when what they are made of has changed.
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { lstat, mkdir, readFile, readlink, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { packLayer, type Layer } from './layer.ts';

export interface Making {
  /** What is said while it is made. */
  title: string;
  /** All that it is made of, with the script that makes it. */
  from: readonly string[];
  /** Makes the folder, which is not there yet. */
  assemble(tree: string): Promise<void>;
}

/** @param folder keeps the layer from one build to the next */
export async function keptLayer(folder: string, making: Making): Promise<Layer> {
  const name = join(folder, await fingerprintOf(making.from));
  const known = await readLayer(`${name}.json`);
  if (known) return known;

  console.log(`${making.title} ...`);
  const tree = join(folder, `rootfs.${process.pid}`);
  try {
    await mkdir(tree, { recursive: true });
    await making.assemble(tree);
    const layer = await packLayer(tree, `${name}.tar.gz`);
    await writeFile(`${name}.json`, JSON.stringify(layer));
    return layer;
  } finally {
    await rm(tree, { recursive: true, force: true });
  }
}

async function fingerprintOf(files: readonly string[]): Promise<string> {
  const hash = createHash('sha256');
  for (const file of files) {
    const link = (await lstat(file)).isSymbolicLink();
    hash.update(`${file}\0`).update(link ? await readlink(file) : await readFile(file));
  }
  return hash.digest('hex').slice(0, 16);
}

async function readLayer(description: string): Promise<Layer | undefined> {
  try {
    const layer = JSON.parse(await readFile(description, 'utf8')) as Layer;
    return existsSync(layer.file) ? layer : undefined;
  } catch {
    return undefined;
  }
}
