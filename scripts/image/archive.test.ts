import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gunzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { packLayer } from './layer.ts';
import { writeArchive, type ImageConfig } from './oci.ts';

const run = promisify(execFile);

let folder: string;
beforeEach(async () => (folder = await mkdtemp(join(tmpdir(), 'kadre-image-'))));
afterEach(async () => rm(folder, { recursive: true, force: true }));

const sha256 = (bytes: Buffer) => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

const config: ImageConfig = {
  User: '65532:65532',
  WorkingDir: '/app',
  Entrypoint: ['/usr/bin/node', '/app/main.js'],
  Env: ['PATH=/usr/bin'],
  Labels: {},
};

async function tree(name: string, text: string): Promise<string> {
  const root = join(folder, name);
  await mkdir(join(root, 'app'), { recursive: true, mode: 0o700 });
  await writeFile(join(root, 'app', 'main.js'), text, { mode: 0o600 });
  return root;
}

describe('a layer', () => {
  test('is the same for the same contents, whenever and by whomever it is packed', async () => {
    const one = await packLayer(await tree('a', 'x'), join(folder, 'a.tar.gz'));
    const other = await tree('b', 'x');
    await utimes(join(other, 'app', 'main.js'), 1, 1);
    const two = await packLayer(other, join(folder, 'b.tar.gz'));
    expect({ ...two, file: '' }).toEqual({ ...one, file: '' });
  });

  test('differs for other contents', async () => {
    const one = await packLayer(await tree('a', 'x'), join(folder, 'a.tar.gz'));
    const two = await packLayer(await tree('b', 'y'), join(folder, 'b.tar.gz'));
    expect(two.digest).not.toBe(one.digest);
  });

  test('can be read by the user of the image, and belongs to root', async () => {
    const { file } = await packLayer(await tree('a', 'x'), join(folder, 'a.tar.gz'));
    const { stdout } = await run('tar', ['--numeric-owner', '-tvf', file]);
    expect(stdout.split('\n').map((line) => line.split(/\s+/).slice(0, 2).join(' '))).toEqual([
      'drwxr-xr-x 0/0',
      'drwxr-xr-x 0/0',
      '-rw-r--r-- 0/0',
      '',
    ]);
  });

  test('of a folder that is not there is an error, and leaves what was there', async () => {
    const file = join(folder, 'a.tar.gz');
    await writeFile(file, 'older');
    await expect(packLayer(join(folder, 'absent'), file)).rejects.toThrow(/packing .*absent failed/);
    expect(await readFile(file, 'utf8')).toBe('older');
  });
});

describe('an archive', () => {
  async function unpacked() {
    const layers = [
      await packLayer(await tree('a', 'below'), join(folder, 'a.tar.gz')),
      await packLayer(await tree('b', 'above'), join(folder, 'b.tar.gz')),
    ];
    const built = await writeArchive(join(folder, 'image.tar'), 'kadre:1.2.3', layers, config);
    const out = join(folder, 'out');
    await mkdir(out);
    await run('tar', ['-xf', join(folder, 'image.tar'), '-C', out]);
    const blob = async (digest: string) => {
      const bytes = await readFile(join(out, 'blobs', 'sha256', digest.replace('sha256:', '')));
      expect(sha256(bytes)).toBe(digest);
      return bytes;
    };
    const json = async (path: string) => JSON.parse(await readFile(join(out, path), 'utf8')) as unknown;
    return { built, layers, blob, json };
  }

  interface Descriptor {
    digest: string;
    size: number;
    annotations?: Record<string, string>;
  }

  test('is an OCI layout whose every digest and size is right', async () => {
    const { built, layers, blob, json } = await unpacked();
    const index = (await json('index.json')) as { manifests: [Descriptor] };
    expect(index.manifests[0].digest).toBe(built.digest);
    expect(index.manifests[0].annotations).toMatchObject({
      'io.containerd.image.name': 'docker.io/library/kadre:1.2.3',
      'org.opencontainers.image.ref.name': '1.2.3',
    });
    const manifest = JSON.parse((await blob(built.digest)).toString()) as { config: Descriptor; layers: Descriptor[] };
    const image = JSON.parse((await blob(manifest.config.digest)).toString()) as {
      config: ImageConfig;
      rootfs: { diff_ids: string[] };
    };
    expect(image.config).toEqual(config);
    expect(manifest.layers.map(({ digest }) => digest)).toEqual(layers.map(({ digest }) => digest));
    for (const [i, { digest, size }] of manifest.layers.entries()) {
      const bytes = await blob(digest);
      expect(bytes).toHaveLength(size);
      expect(sha256(gunzipSync(bytes))).toBe(image.rootfs.diff_ids[i]);
    }
  });

  test("names the same image in Docker's own format", async () => {
    const { layers, blob, json } = await unpacked();
    const [entry] = (await json('manifest.json')) as [{ Config: string; RepoTags: string[]; Layers: string[] }];
    expect(entry.RepoTags).toEqual(['kadre:1.2.3']);
    expect(entry.Layers).toEqual(layers.map(({ digest }) => `blobs/sha256/${digest.replace('sha256:', '')}`));
    await blob(entry.Config.replace('blobs/sha256/', 'sha256:'));
  });

  test('has the same digest when it is built again', async () => {
    const layer = await packLayer(await tree('a', 'x'), join(folder, 'a.tar.gz'));
    const one = await writeArchive(join(folder, '1.tar'), 'kadre:1', [layer], config);
    const two = await writeArchive(join(folder, '2.tar'), 'kadre:1', [layer], config);
    expect(two).toEqual(one);
    expect(await readFile(join(folder, '2.tar'))).toEqual(await readFile(join(folder, '1.tar')));
  });
});
