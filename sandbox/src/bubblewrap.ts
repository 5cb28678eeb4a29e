// What a program on a laptop finds around it: the system's programs, to be read, and a folder that is gone with it. No
// network, no home, no other processes.
import { existsSync, lstatSync, readlinkSync, realpathSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { PROGRAM_PATH, type SandboxLimits } from './protocol.ts';

export const PYTHON = '/usr/bin/python3';
export const NOBODYS_ID = 65532;

const MIB = 1024 * 1024;
const SHARED_MEMORY_BYTES = 16 * MIB;

/** Beside the sources, or beside the bundled program. */
const RUNNERS = ['../runner', './sandbox-runner'];

/** Only where to find libraries and programs: nothing that says whose machine this is. */
const OF_ETC = ['/etc/alternatives', '/etc/ld.so.cache'];

export function bubblewrapArguments(limits: SandboxLimits): string[] {
  return [
    ...['--unshare-user', '--unshare-all', '--die-with-parent', '--new-session', '--as-pid-1', '--clearenv'],
    ...['--uid', String(NOBODYS_ID), '--gid', String(NOBODYS_ID), '--cap-drop', 'ALL', '--hostname', 'sandbox'],
    ...system(),
    ...['--ro-bind', runnerFolder(), '/runner', '--ro-bind', realpathSync(process.execPath), `${PROGRAM_PATH}/node`],
    ...['--proc', '/proc', '--dev', '/dev', '--size', String(SHARED_MEMORY_BYTES), '--tmpfs', '/dev/shm'],
    // The runner stops a program that fills it; this holds where it is too fast for that.
    ...['--size', String(limits.fileBytes + 64 * MIB), '--tmpfs', '/work', '--symlink', 'work/tmp', '/tmp'],
    ...['--remount-ro', '/dev', '--remount-ro', '/', '--chdir', '/work'],
    ...[PYTHON, '-I', '-B', '/runner', '--stdio', '--work', '/work'],
  ];
}

function system(): string[] {
  const top = ['/bin', '/sbin', '/lib', '/lib32', '/lib64', '/libx32'].filter((path) => existsSync(path));
  const entries = top.flatMap((path) =>
    lstatSync(path).isSymbolicLink() ? ['--symlink', readlinkSync(path), path] : ['--ro-bind', path, path],
  );
  return ['--ro-bind', '/usr', '/usr', ...entries, ...OF_ETC.flatMap((path) => ['--ro-bind-try', path, path])];
}

function runnerFolder(): string {
  const folders = RUNNERS.map((path) => fileURLToPath(new URL(path, import.meta.url)));
  const found = folders.find((folder) => existsSync(folder));
  if (found === undefined) throw new Error(`The runner of the sandbox is in none of ${folders.join(', ')}.`);
  return found;
}
