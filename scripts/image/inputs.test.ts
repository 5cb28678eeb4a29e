import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { filesOfPackages, packagesOf } from './debian.ts';
import { fingerprint } from './fingerprint.ts';
import { thirdPartyLicenses } from './licenses.ts';
import { nodeVersion } from './node-layer.ts';
import { SANDBOX_ENTRYPOINT } from './sandbox-rootfs.ts';

let root: string;
beforeEach(async () => (root = await mkdtemp(join(tmpdir(), 'kadre-inputs-'))));
afterEach(async () => rm(root, { recursive: true, force: true }));

async function write(path: string, text: string): Promise<void> {
  await mkdir(dirname(join(root, path)), { recursive: true });
  await writeFile(join(root, path), text);
}

describe('the fingerprint of what the images are made from', () => {
  beforeEach(async () => {
    await write('engine/src/core/decide.ts', 'one');
    await write('engine/src/core/decide.test.ts', 'one');
    await write('package-lock.json', '{}');
    await write('node_modules/x/src/index.ts', 'one');
  });

  test.each([
    ['a source changes', 'engine/src/core/decide.ts', true],
    ['a source is added', 'gateway/src/new.ts', true],
    ['the runner of the sandbox changes', 'sandbox/runner/program.py', true],
    ['a dependency changes', 'package-lock.json', true],
    ['the way of building changes', 'scripts/image/oci.ts', true],
    ['a test changes', 'engine/src/core/decide.test.ts', false],
    ['a page of the documentation changes', 'docs/README.md', false],
  ])('when %s', async (_what, path, changes) => {
    const before = await fingerprint(root);
    await write(path, 'two');
    const after = await fingerprint(root);
    expect(after !== before).toBe(changes);
  });
});

test('the licences of a bundle are those of the packages in it, each once', async () => {
  await write('node_modules/a/package.json', '{"name":"a","version":"1.0.0","license":"MIT"}');
  await write('node_modules/a/LICENSE', 'Copyright A');
  await write('node_modules/@s/b/package.json', '{"name":"@s/b","version":"2.0.0","license":"Apache-2.0"}');
  await write('node_modules/@s/b/LICENSE.md', 'Copyright B');
  await write('node_modules/@s/b/NOTICE', 'Notice of B');
  await write('node_modules/unused/package.json', '{"name":"unused","version":"1.0.0"}');
  const sources = ['node_modules/a/x.js', 'node_modules/a/y.js', 'node_modules/@s/b/lib/z.js', 'cli/src/main.ts'];
  const text = await thirdPartyLicenses(root, sources);
  for (const part of ['a 1.0.0 (MIT)', 'Copyright A', '@s/b 2.0.0 (Apache-2.0)', 'Copyright B', 'Notice of B']) {
    expect(text.split(part)).toHaveLength(2);
  }
  expect(text).not.toContain('unused');
});

describe('the version of Node', () => {
  test('is the one that the Dockerfile names', () => {
    expect(nodeVersion('# x\nARG NODE_VERSION=26.10.0\nFROM scratch\n')).toBe('26.10.0');
  });

  test('must be exact', () => {
    expect(() => nodeVersion('ARG NODE_VERSION=26\n')).toThrow(/ARG NODE_VERSION/);
  });
});

describe('a container engine', () => {
  const read = (name: string) => readFile(join(import.meta.dirname, '..', '..', name), 'utf8');

  test('is given all parts, for they import one another', async () => {
    const { workspaces } = JSON.parse(await read('package.json')) as { workspaces: string[] };
    const given = (await read('.dockerignore')).split('\n');
    expect(workspaces.filter((part) => !given.includes(`!${part}`))).toEqual([]);
  });

  test('starts the sandbox as the image does that is made without one', async () => {
    const entrypoint = `ENTRYPOINT ${JSON.stringify(SANDBOX_ENTRYPOINT).replaceAll(',', ', ')}`;
    expect(await read('Dockerfile')).toContain(entrypoint);
  });
});

const onDebian = existsSync('/usr/bin/dpkg') ? describe : describe.skip;

onDebian("of Debian's packages", () => {
  test('it is known what they hold, and of which one a file is', async () => {
    const files = await filesOfPackages(['dash']);
    expect(files).toContain('/usr/share/doc/dash/copyright');
    const shell = files.filter((file) => file.endsWith('/bin/dash'));
    expect(await packagesOf([...shell, '/nowhere'])).toEqual(['dash']);
  });
});
