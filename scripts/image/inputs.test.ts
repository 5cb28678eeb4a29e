import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { fingerprint } from './fingerprint.ts';
import { thirdPartyLicenses } from './licenses.ts';
import { nodeVersion } from './node-layer.ts';

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
