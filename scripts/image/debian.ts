// What Debian's packages on this machine are made of.
import { execFile } from 'node:child_process';
import { access } from 'node:fs/promises';
import { promisify } from 'node:util';

const run = promisify(execFile);
const BIG = { maxBuffer: 64 * 1024 * 1024 };

/** @returns whether it could be done: only root can, and only on Debian */
export async function installPackages(packages: readonly string[]): Promise<boolean> {
  const possible = await access('/usr/bin/apt-get').then(
    () => process.getuid?.() === 0,
    () => false,
  );
  if (!possible) return false;
  console.error(`Installing ${packages.join(', ')} ...`);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  await run('apt-get', ['update', '-qq'], { env, ...BIG });
  await run('apt-get', ['install', '-qq', '-y', '--no-install-recommends', ...packages], { env, ...BIG });
  return true;
}

/**
 * @returns the paths of all files of these packages, and of their folders
 * @throws with what to do about it where one is not there and cannot be installed
 */
export async function filesOfPackages(packages: readonly string[]): Promise<string[]> {
  const list = () => run('dpkg', ['-L', ...packages], BIG).then(({ stdout }) => stdout);
  const listed = await list().catch(async (error: unknown) => {
    if (await installPackages(packages)) return list();
    const message = `The image of the sandbox is made of Debian's packages. As root: apt-get install ${packages.join(' ')}`;
    throw new Error(message, { cause: error });
  });
  return [...new Set(listed.split('\n').filter((line) => line.startsWith('/')))].sort();
}

/** The packages that these files belong to. What none of them has is passed over. */
export async function packagesOf(files: readonly string[]): Promise<string[]> {
  // Since /lib became a link into /usr, the packages say one, and programs the other.
  const either = files.flatMap((file) => [file, file.startsWith('/usr/') ? file.slice(4) : `/usr${file}`]);
  const { stdout } = await run('dpkg', ['-S', ...either], BIG).catch((error: unknown) => error as { stdout: string });
  const names = stdout.split('\n').flatMap((line) => /^([a-z0-9][a-z0-9+.-]+)(:[a-z0-9]+)?: \//.exec(line)?.[1] ?? []);
  return [...new Set(names)].sort();
}
