import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compressedSize, containerEngine } from './engine.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kadre-engine-'));
});
afterEach(() => rm(folder, { recursive: true }));
const chosen = (env: NodeJS.ProcessEnv = {}) => containerEngine({ PATH: `${folder}:/bin:/usr/bin`, ...env });

/** A program of that name that notes what it is asked for. */
async function install(name: string, body: string): Promise<void> {
  await writeFile(join(folder, name), `#!/bin/sh\necho "$@" >> ${folder}/asked\n${body}\n`);
  await chmod(join(folder, name), 0o755);
}

describe('which engine builds', () => {
  test('docker, where its engine answers', async () => {
    await install('docker', 'exit 0');
    await install('buildah', 'exit 0');
    expect(await chosen()).toMatchObject({ name: 'docker', required: false });
  });

  test('buildah, where only the client of docker is there', async () => {
    await install('docker', 'exit 1');
    await install('buildah', 'exit 0');
    expect(await chosen()).toMatchObject({ name: 'buildah', required: false });
  });

  test('none, where neither works', async () => {
    await install('docker', 'exit 1');
    await install('buildah', 'exit 1');
    expect(await chosen()).toBeUndefined();
  });

  test.each([['docker'], ['buildah']])('%s, where it is asked for by name, and then it must', async (name) => {
    expect(await chosen({ KADRE_IMAGE_BUILDER: name })).toMatchObject({ name, required: true });
  });

  test('none, where that is asked for', async () => {
    await install('docker', 'exit 0');
    expect(await chosen({ KADRE_IMAGE_BUILDER: 'none' })).toBeUndefined();
  });

  test('anything else is refused with what there is', async () => {
    await expect(chosen({ KADRE_IMAGE_BUILDER: 'podman' })).rejects.toThrow(/docker, buildah or none.*podman/);
  });
});

test('docker is asked for the target, and gives its archive and digest', async () => {
  await install('docker', 'case "$1" in save) echo bytes > "$3";; image) echo sha256:abc;; esac');
  const engine = await chosen({ KADRE_IMAGE_BUILDER: 'docker' });
  const archive = join(folder, 'image.tar');
  expect(await engine?.build(folder, 'kadre', 'kadre:1', archive)).toBe('sha256:abc');
  expect(await readFile(join(folder, 'asked'), 'utf8')).toContain('build --target kadre --tag kadre:1 .');
  expect(await compressedSize(archive)).toBeGreaterThan(0);
});

test("a build that fails says why in the engine's words, and what else there is", async () => {
  await install('buildah', 'echo "no such base image" >&2; exit 125');
  const engine = await chosen({ KADRE_IMAGE_BUILDER: 'buildah' });
  await expect(engine?.build(folder, 'kadre', 'kadre:1', join(folder, 'x'))).rejects.toThrow(
    /no such base image[^]*KADRE_IMAGE_BUILDER=none/,
  );
});
