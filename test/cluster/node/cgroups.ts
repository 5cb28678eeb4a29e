import { existsSync, globSync, readFileSync, rmdirSync } from 'node:fs';
import path from 'node:path';

/**
 * The kubelet's directory in each cgroup hierarchy: one with cgroup v2, one for each controller with v1.
 */
function podCgroups(): string[] {
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8').split('\n');
  return mounts.flatMap((line) => {
    const [before = '', after = ''] = line.split(' - ');
    const mountPoint = before.split(' ')[4] ?? '';
    const directory = path.join(mountPoint, 'kubepods');
    return /^cgroup2? /.test(after) && existsSync(directory) ? [directory] : [];
  });
}

/** All processes in pods. */
export function cgroupProcesses(): { readonly pid: number }[] {
  const files = podCgroups().flatMap((cgroup) =>
    globSync('**/cgroup.procs', { cwd: cgroup }).map((file) => path.join(cgroup, file)),
  );
  const pids = files.flatMap((file) => {
    try {
      return readFileSync(file, 'utf8').split('\n').filter(Boolean).map(Number);
    } catch {
      return []; // The pod has gone meanwhile.
    }
  });
  return [...new Set(pids)].map((pid) => ({ pid }));
}

/** Removes the pods' cgroups, which must be empty of processes. */
export function removePodCgroups(): void {
  for (const cgroup of podCgroups()) {
    const below = globSync('**/', { cwd: cgroup }).map((directory) => path.join(cgroup, directory));
    // Children before their parents.
    for (const directory of [...below, cgroup].sort((a, b) => b.length - a.length)) {
      if (existsSync(directory)) rmdirSync(directory);
    }
  }
}
