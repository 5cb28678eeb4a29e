// Puts the peers under `.cache/bench`, in the versions that their lock files name. Nothing of them enters the project's own
// packages.
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, existsSync, globSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { cacheDirectory } from '../cluster/places.ts';

const run = promisify(execFile);
export const benchCache = join(cacheDirectory, 'bench');

/** A peer that cannot be had on this machine. */
export interface Absent {
  name: string;
  why: string;
}

/** All that can be had, and why the others cannot. */
export async function gather<T>(
  all: [name: string, make: () => T | Promise<T>][],
): Promise<{ present: T[]; absent: Absent[] }> {
  const present: T[] = [];
  const absent: Absent[] = [];
  for (const [name, make] of all) {
    try {
      present.push(await make());
    } catch (error) {
      absent.push({ name, why: reasonOf(error) });
    }
  }
  return { present, absent };
}

/** In one line. */
function reasonOf(error: unknown): string {
  const { message = String(error), stderr = '' } = error as { message?: string; stderr?: string };
  const lines = (stderr.trim() || message).split('\n');
  return lines.find((line) => /error|needed/i.test(line)) ?? lines[0] ?? '';
}

/** A copy of the peer's folder, and of the files that it shares with others, with its npm packages. No install script runs. */
export function withNpmPackages(peer: string, shared: string[] = []): Promise<string> {
  return once(peer, shared, (folder) =>
    run('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'], { cwd: folder }),
  );
}

/** A copy of the peer's folder, and of the files that it shares with others, with its Python packages in `venv`. */
export function withPythonPackages(peer: string, shared: string[] = []): Promise<string> {
  return once(peer, shared, async (folder) => {
    await run('python3', ['-m', 'venv', join(folder, 'venv')]);
    const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check'];
    const only = ['--require-hashes', '--only-binary=:all:', '-r', join(folder, 'requirements.txt')];
    await run(join(folder, 'venv', 'bin', 'python'), [...pip, ...only]);
  });
}

/** As installed. */
export function npmVersion(folder: string, name: string): string {
  const file = join(folder, 'node_modules', name, 'package.json');
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
}

/** As pinned. */
export function pythonVersion(folder: string, name: string): string {
  const requirements = readFileSync(join(folder, 'requirements.txt'), 'utf8');
  return new RegExp(`^${name}(?:\\[\\w+\\])?==(\\S+)`, 'm').exec(requirements)?.[1] ?? '';
}

/** Made aside and renamed, so that a folder that exists is complete. */
async function once(source: string, shared: string[], fill: (folder: string) => Promise<unknown>): Promise<string> {
  const peer = basename(source);
  const folder = join(benchCache, `${peer}-${hashOf(source, shared)}`);
  if (existsSync(folder)) return folder;
  console.error(`Installing ${peer} under ${benchCache} ...`);
  const draft = `${folder}.${process.pid}`;
  try {
    mkdirSync(draft, { recursive: true });
    cpSync(source, draft, { recursive: true });
    for (const file of shared) cpSync(file, join(draft, basename(file)));
    await fill(draft);
    renameSync(draft, folder);
    return folder;
  } finally {
    rmSync(draft, { recursive: true, force: true });
  }
}

function hashOf(source: string, shared: string[]): string {
  const hash = createHash('sha256').update(JSON.stringify([process.platform, process.arch, process.versions.modules]));
  for (const file of globSync('*.*', { cwd: source }).sort())
    hash.update(file).update(readFileSync(join(source, file)));
  for (const file of shared) hash.update(readFileSync(file));
  return hash.digest('hex').slice(0, 12);
}
