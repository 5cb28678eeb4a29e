// Puts the peers under `.cache/bench`, in the versions that their lock files name. Nothing of them enters the project's own
// packages.
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, existsSync, globSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { cacheDirectory } from '../../cluster/places.ts';

const run = promisify(execFile);
export const benchCache = join(cacheDirectory, 'bench');
const shared = join(import.meta.dirname, 'serve.ts');

/** A copy of the peer's folder with its npm packages. No install script runs. */
export function withNpmPackages(peer: string): Promise<string> {
  return once(peer, (folder) =>
    run('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'], { cwd: folder }),
  );
}

/** A copy of the peer's folder with its Python packages in `venv`. */
export function withPythonPackages(peer: string): Promise<string> {
  return once(peer, async (folder) => {
    await run('python3', ['-m', 'venv', join(folder, 'venv')]);
    const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check'];
    const only = ['--require-hashes', '--only-binary=:all:', '-r', join(folder, 'requirements.txt')];
    await run(join(folder, 'venv', 'bin', 'python'), [...pip, ...only]);
  });
}

/** Made aside and renamed, so that a folder that exists is complete. */
async function once(peer: string, fill: (folder: string) => Promise<unknown>): Promise<string> {
  const source = join(import.meta.dirname, peer);
  const folder = join(benchCache, `${peer}-${hashOf(source)}`);
  if (existsSync(folder)) return folder;
  console.error(`Installing ${peer} under ${benchCache} ...`);
  const draft = `${folder}.${process.pid}`;
  try {
    mkdirSync(draft, { recursive: true });
    cpSync(source, draft, { recursive: true });
    cpSync(shared, join(draft, 'serve.ts'));
    await fill(draft);
    renameSync(draft, folder);
    return folder;
  } finally {
    rmSync(draft, { recursive: true, force: true });
  }
}

function hashOf(source: string): string {
  const hash = createHash('sha256').update(JSON.stringify([process.platform, process.arch, process.versions.modules]));
  for (const file of globSync('*.*', { cwd: source }).sort())
    hash.update(file).update(readFileSync(join(source, file)));
  return hash.update(readFileSync(shared)).digest('hex').slice(0, 12);
}
