// Writes an image as an OCI layout in a tar file. A manifest.json in Docker's own format stands beside the layout's index, so
// that `docker load` and `podman load` of any age read the file too.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { link, mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { once } from 'node:events';
import type { Layer } from './layer.ts';

/** The part of the OCI image configuration that says how to run it. */
export interface ImageConfig {
  User: string;
  WorkingDir: string;
  Entrypoint: string[];
  Env: string[];
  Labels: Record<string, string>;
}

interface Descriptor {
  mediaType: string;
  digest: string;
  size: number;
}

const TYPE = 'application/vnd.oci.image';
const EPOCH = '1970-01-01T00:00:00Z';

/**
 * @param ref name and tag, such as kadre:0.1.0
 * @param layers from the bottom; their files must be on the same file system as `file`
 */
export async function writeArchive(
  file: string,
  ref: string,
  layers: Layer[],
  config: ImageConfig,
): Promise<{ digest: string; compressedBytes: number }> {
  const layout = `${file}.${process.pid}`;
  const blobs = join(layout, 'blobs', 'sha256');
  await mkdir(blobs, { recursive: true });
  try {
    for (const layer of layers) await link(layer.file, join(blobs, hex(layer.digest)));
    const put = (mediaType: string, value: unknown) => putJson(blobs, mediaType, value);
    const image = await put(`${TYPE}.config.v1+json`, imageOf(layers, config));
    const manifest = await put(`${TYPE}.manifest.v1+json`, {
      schemaVersion: 2,
      mediaType: `${TYPE}.manifest.v1+json`,
      config: image,
      layers: layers.map(({ digest, bytes }) => ({ mediaType: `${TYPE}.layer.v1.tar+gzip`, digest, size: bytes })),
    });
    await writeEntrances(layout, ref, layers, image, manifest);
    await tar(layout, `${layout}.tar`);
    await rename(`${layout}.tar`, file);
    return {
      digest: manifest.digest,
      compressedBytes: layers.reduce((sum, { bytes }) => sum + bytes, image.size + manifest.size),
    };
  } finally {
    await rm(layout, { recursive: true, force: true });
    await rm(`${layout}.tar`, { force: true });
  }
}

function imageOf(layers: Layer[], config: ImageConfig) {
  return {
    created: EPOCH,
    architecture: process.arch === 'x64' ? 'amd64' : process.arch,
    os: 'linux',
    config,
    rootfs: { type: 'layers', diff_ids: layers.map(({ diffId }) => diffId) },
    history: layers.map(() => ({ created: EPOCH, created_by: 'make image' })),
  };
}

async function writeEntrances(
  layout: string,
  ref: string,
  layers: Layer[],
  image: Descriptor,
  manifest: Descriptor,
): Promise<void> {
  const annotations = {
    // containerd takes the name to import under from here; other tools take the tag.
    'io.containerd.image.name': `docker.io/library/${ref}`,
    'org.opencontainers.image.ref.name': ref.split(':')[1],
  };
  const files = {
    'oci-layout': { imageLayoutVersion: '1.0.0' },
    'index.json': { schemaVersion: 2, mediaType: `${TYPE}.index.v1+json`, manifests: [{ ...manifest, annotations }] },
    'manifest.json': [
      { Config: blobPath(image.digest), RepoTags: [ref], Layers: layers.map(({ digest }) => blobPath(digest)) },
    ],
  };
  for (const [name, value] of Object.entries(files)) await writeFile(join(layout, name), JSON.stringify(value));
}

async function putJson(blobs: string, mediaType: string, value: unknown): Promise<Descriptor> {
  const bytes = Buffer.from(JSON.stringify(value));
  const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
  await writeFile(join(blobs, hex(digest)), bytes);
  return { mediaType, digest, size: bytes.length };
}

async function tar(folder: string, file: string): Promise<void> {
  const child = spawn(
    'tar',
    ['--sort=name', '--mtime=@0', '--owner=0', '--group=0', '--numeric-owner', '-cf', file, '-C', folder, '.'],
    {
      stdio: ['ignore', 'ignore', 'inherit'],
    },
  );
  const [code] = (await once(child, 'close')) as [number | null];
  if (code !== 0) throw new Error(`writing ${file} failed: tar ended with code ${code ?? 'unknown'}`);
}

const hex = (digest: string) => digest.replace('sha256:', '');
const blobPath = (digest: string) => `blobs/sha256/${hex(digest)}`;
