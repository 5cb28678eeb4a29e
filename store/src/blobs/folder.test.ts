import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { StoreUnusableError } from '../errors.ts';
import { describeObjects, namesIn } from './describe-objects.ts';
import { openFolder } from './folder.ts';

describeObjects('objects in a folder', async () => {
  const root = await mkdtemp(join(tmpdir(), 'kadre-objects-'));
  return {
    objects: await openFolder(root),
    second: await openFolder(root),
    cleanUp: () => rm(root, { recursive: true }),
  };
});

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'kadre-objects-'));
});
afterEach(() => rm(root, { recursive: true }));

test('only the owner may read what is in the folder', async () => {
  const objects = await openFolder(join(root, 'made'));
  await objects.put('a/b', new Uint8Array(3));
  const mode = async (path: string): Promise<number> => (await stat(join(root, 'made', path))).mode & 0o777;
  expect([await mode(''), await mode('a'), await mode('a/b')]).toEqual([0o700, 0o700, 0o600]);
});

test('a folder that cannot be used is refused with a word on what to check', async () => {
  await writeFile(join(root, 'file'), '');
  await expect(openFolder(join(root, 'file'))).rejects.toThrow(StoreUnusableError);
  await expect(openFolder(join(root, 'file'))).rejects.toThrow(/check the volume/);
});

test('where no room is left the old object stays, and nothing of the new one', async () => {
  const objects = await openFolder(root);
  await objects.put('a', new Uint8Array([1]));
  const put = `
    import { openFolder } from ${JSON.stringify(new URL('folder.ts', import.meta.url).href)};
    const objects = await openFolder(process.argv[1]);
    await objects.put('a', new Uint8Array(1_000_000)).catch((error) => console.log(error.name + ': ' + error.message));
  `;
  // No file may have more than so many blocks.
  const shell = ['-c', 'ulimit -f 100; exec "$0" --input-type=module -e "$1" "$2"', process.execPath, put, root];
  const child = spawn('sh', shell, { stdio: ['ignore', 'pipe', 'inherit'] });
  const said = (await child.stdout.toArray()).join('');
  expect(said).toBe(`StoreFullError: no room left in ${root}: free some space there\n`);
  expect(Array.from(await objects.get('a'))).toEqual([1]);
  expect(await readdir(join(root, '.drafts'))).toEqual([]);
});

test('directories that became empty are removed', async () => {
  const objects = await openFolder(root);
  await objects.put('run/a', new Uint8Array(1));
  await objects.delete('run/a');
  expect(await readdir(root)).toEqual(['.drafts']);
});

describe('a process that was killed', () => {
  test('leaves drafts that nobody sees, and that are dropped once no writer can still be at them', async () => {
    await mkdir(join(root, '.drafts'));
    for (const name of ['old', 'young']) await writeFile(join(root, '.drafts', name), 'half a');
    await utimes(join(root, '.drafts', 'old'), 0, 0);
    expect(await namesIn(await openFolder(root), '')).toEqual([]);
    expect(await readdir(join(root, '.drafts'))).toEqual(['young']);
  });

  // Puts objects whose names are the hashes of their contents, several at once, and tells of each that is safe.
  const writer = `
    import { createHash, randomBytes } from 'node:crypto';
    import { openFolder } from ${JSON.stringify(new URL('folder.ts', import.meta.url).href)};
    const objects = await openFolder(process.argv[1]);
    const work = async () => {
      for (;;) {
        const bytes = randomBytes(300_000);
        const name = createHash('sha256').update(bytes).digest('hex');
        await objects.put(name.slice(0, 2) + '/' + name, bytes);
        process.stdout.write(name + '\\n');
      }
    };
    await Promise.all([work(), work(), work(), work()]);
  `;

  test.each([1, 2, 5, 17])('after %d puts has lost none of them and left nothing that is not whole', async (puts) => {
    const child = spawn(process.execPath, ['--input-type=module', '-e', writer, root], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const safe: string[] = [];
    const ended = once(child, 'exit');
    for await (const line of createInterface(child.stdout)) if (safe.push(line) === puts) child.kill('SIGKILL');
    await ended;
    const objects = await openFolder(root);
    const left = await namesIn(objects, '');
    expect(left).toEqual(expect.arrayContaining(safe.map((name) => `${name.slice(0, 2)}/${name}`)));
    for (const name of left) {
      const hash = createHash('sha256')
        .update(await objects.get(name))
        .digest('hex');
      expect(name.slice(3)).toBe(hash);
    }
  });
});
