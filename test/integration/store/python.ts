// Python with libraries from PyPI: what Kadre writes is read with those that its users have.
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { capture } from '../../cluster/command.ts';
import { withLock } from '../../cluster/lock.ts';
import { installPackages } from '../../cluster/node/packages.ts';
import { cacheDirectory } from '../../cluster/places.ts';

const report = (line: string): void => void process.stderr.write(`${line}\n`);

/** `complete`: the packages are all that is needed, so nobody has to find out what they need: much faster with many. */
interface PythonOptions {
  complete?: boolean;
}

/**
 * Puts the libraries from PyPI under .cache, once for each choice of them: some 20 seconds, for 200 of them some three
 * minutes. Returns the path of the interpreter that has them.
 *
 * Throws an Error that says what to do when there is no Python 3.11 or newer with venv.
 */
export async function ensurePython(packages: string[], options: PythonOptions = {}): Promise<string> {
  const version = await pythonVersion();
  const hash = createHash('sha256').update(JSON.stringify([version, packages]));
  const directory = path.join(cacheDirectory, 'python', hash.digest('hex').slice(0, 16));
  if (!existsSync(directory)) {
    await withLock(directory, report, async () => {
      if (!existsSync(directory)) await install(directory, packages, options);
    });
  }
  return path.join(directory, 'bin', 'python');
}

async function install(directory: string, packages: string[], { complete = false }: PythonOptions): Promise<void> {
  report(`installing ${packages.join(', ')} from PyPI; the first time takes ${complete ? '3 minutes' : '20 seconds'}`);
  // Made aside and renamed, so that a directory that exists is complete.
  const draft = `${directory}.${process.pid}`;
  await mkdir(path.dirname(directory), { recursive: true });
  try {
    await capture('python3', ['-m', 'venv', draft]);
    const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--only-binary', ':all:'];
    // Only what is imported gets compiled, when it is.
    if (complete) pip.push('--no-deps', '--no-compile');
    await capture(path.join(draft, 'bin', 'python'), [...pip, ...packages]);
    await rename(draft, directory);
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
}

/** Also sees to it that there is a Python which can make environments. */
async function pythonVersion(): Promise<string> {
  const ask = (): Promise<string> => capture('python3', ['-c', 'import ensurepip, venv, sys; print(sys.version)']);
  const found = await ask().catch(installPython);
  const version = found ?? (await ask());
  const minor = Number(/^3\.(\d+)/.exec(version)?.[1]);
  if (minor >= 11) return version;
  throw new Error(`Python 3.11 or newer is needed (https://www.python.org/downloads); "python3" on PATH is ${version}`);
}

async function installPython(): Promise<undefined> {
  await installPackages(['python3-venv'], 'reading archives', report);
}
