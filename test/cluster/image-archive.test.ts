import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { capture } from './command.ts';
import { fullName, withImageArchive } from './image-archive.ts';

describe('the full name of an image', () => {
  test.each([
    ['kadre', 'docker.io/library/kadre:latest'],
    ['kadre:dev', 'docker.io/library/kadre:dev'],
    ['acme/kadre:dev', 'docker.io/acme/kadre:dev'],
    ['localhost/kadre:dev', 'localhost/kadre:dev'],
    ['example.com/kadre', 'example.com/kadre:latest'],
    ['example.com:5000/kadre', 'example.com:5000/kadre:latest'],
  ])('of %s is %s', (name, full) => expect(fullName(name)).toBe(full));
});

describe('an image archive', () => {
  let directory: string;
  let layout: string;
  beforeEach(() => {
    directory = mkdtempSync(path.join(tmpdir(), 'kadre-layout-'));
    layout = path.join(directory, 'layout');
    mkdirSync(path.join(layout, 'blobs'), { recursive: true });
    writeFileSync(path.join(layout, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
    const image = (tag: string): object => ({ digest: tag, annotations: { 'org.opencontainers.image.ref.name': tag } });
    writeFileSync(path.join(layout, 'index.json'), JSON.stringify({ manifests: [image('one'), image('two')] }));
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  test('made of a layout holds the tagged image alone, under the name given', async () => {
    const index = await withArchive(`${layout}:two`, 'kadre:dev', (archive) =>
      capture('tar', ['-xOf', archive, 'index.json']),
    );
    expect(JSON.parse(index)).toEqual({
      manifests: [
        {
          digest: 'two',
          annotations: {
            'io.containerd.image.name': 'docker.io/library/kadre:dev',
            'org.opencontainers.image.ref.name': 'dev',
          },
        },
      ],
    });
  });

  test('is used as it is when it is one already', async () => {
    const file = path.join(directory, 'image.tar');
    writeFileSync(file, '');
    await expect(withArchive(file, undefined, (archive) => Promise.resolve(archive))).resolves.toBe(file);
  });

  test('is refused with a reason that says what to do', async () => {
    const refusal = (source: string, name?: string): Promise<string> =>
      withArchive(source, name, () => Promise.resolve(''));
    await expect(refusal(layout)).rejects.toThrow('say also what its image is called');
    await expect(refusal(`${layout}:three`, 'kadre')).rejects.toThrow('no image with the tag "three"');
    await expect(refusal(layout, 'kadre')).rejects.toThrow('holds several images');
    await expect(refusal(`${layout}-none`, 'kadre')).rejects.toThrow('neither an image archive nor an OCI layout');
  });
});

async function withArchive(
  source: string,
  name: string | undefined,
  use: (archive: string) => Promise<string>,
): Promise<string> {
  let result = '';
  await withImageArchive(source, name, async (archive) => {
    result = await use(archive);
  });
  return result;
}
