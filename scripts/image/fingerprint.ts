// A fingerprint of all that the images are made from, so that nothing is built twice.
import { createHash } from 'node:crypto';
import { glob, readFile } from 'node:fs/promises';
import { join } from 'node:path';

const INPUTS = [
  '*/src/**/*.{ts,json,sql}',
  'sandbox/runner/*.py',
  '*/package.json',
  'package.json',
  'package-lock.json',
  'Dockerfile',
  'scripts/{bundle,image}*.ts',
  'scripts/image/*.ts',
];

/** @returns a hash of names and contents; tests don't count */
export async function fingerprint(root: string): Promise<string> {
  const files: string[] = [];
  for await (const file of glob(INPUTS, { cwd: root, exclude: ['node_modules', 'test', '**/*.test.ts'] }))
    files.push(file);
  const hash = createHash('sha256').update(process.arch);
  for (const file of files.sort()) hash.update(`${file}\0`).update(await readFile(join(root, file)));
  return hash.digest('hex');
}
