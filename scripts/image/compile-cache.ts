// The program as V8 compiled it, so that a pod does not compile it again: that is a fifth of the agent-runtime's start. Node
// takes it only with the very version, flags, processor features and source that it was made with, and else does without.
import { execFile } from 'node:child_process';
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Where it lies in the image: beside the program, because it knows the files by their paths relative to itself. */
export const CACHE_FOLDER = '/app/.compile-cache';

/** Variables that tell Node to look there. */
export const CACHE_ENV = [`NODE_COMPILE_CACHE=${CACHE_FOLDER}`, 'NODE_COMPILE_CACHE_PORTABLE=1'];

/** Importing a file compiles it; the entry would start the program, so that is only asked for its help. */
const IMPORT_ALL = `
import { readdirSync } from 'node:fs';
for (const file of readdirSync('.')) if (file.endsWith('.js') && file !== 'main.js') await import(process.cwd() + '/' + file);
`;

/**
 * @param node the binary that the image has
 * @param flags with which the image starts it
 * @param app the bundled program
 * @returns the folder that holds it, inside `app`
 */
export async function compileCache(node: string, flags: readonly string[], app: string): Promise<string> {
  const folder = join(app, '.compile-cache');
  await mkdir(folder, { recursive: true });
  const options = {
    cwd: app,
    timeout: 60_000,
    env: { NODE_ENV: 'production', NODE_COMPILE_CACHE: folder, NODE_COMPILE_CACHE_PORTABLE: '1' },
  };
  await run(node, [...flags, '--input-type=module', '--eval', IMPORT_ALL], options);
  // What it prints and how it ends is its own affair; the cache is written either way.
  await run(node, [...flags, 'main.js', '--help'], options).catch(() => undefined);
  if ((await readdir(folder)).length === 0) throw new Error(`Node compiled nothing of ${app}.`);
  return folder;
}
