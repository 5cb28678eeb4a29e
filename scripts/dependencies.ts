// Installs the npm packages if those in node_modules are not the ones that the lock file names. A changed time stamp
// alone, as after `git checkout`, costs nothing.
import { spawnSync } from 'node:child_process';
import { readFileSync, utimesSync } from 'node:fs';

const INSTALLED = 'node_modules/.package-lock.json';

interface Locked {
  version?: string;
  integrity?: string;
  optional?: boolean;
}

function packages(file: string): Record<string, Locked> {
  try {
    return (JSON.parse(readFileSync(file, 'utf8')) as { packages: Record<string, Locked> }).packages;
  } catch {
    return {};
  }
}

/** Optional packages are for certain platforms, so their absence says nothing. */
function upToDate(): boolean {
  const wanted = Object.entries(packages('package-lock.json')).filter(([path]) => path !== '');
  const installed = packages(INSTALLED);
  return wanted.every(([path, { version, integrity, optional }]) => {
    const found = installed[path];
    if (!found) return optional === true || !path.includes('node_modules/');
    return found.version === version && found.integrity === integrity;
  });
}

if (upToDate()) {
  const now = new Date();
  utimesSync(INSTALLED, now, now);
} else {
  console.error('Installing the npm packages that package-lock.json names ...');
  const { status } = spawnSync('npm', ['ci', '--loglevel=error'], { stdio: 'inherit' });
  process.exitCode = status ?? 1;
}
