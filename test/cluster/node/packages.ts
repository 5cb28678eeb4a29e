import { existsSync, readFileSync } from 'node:fs';
import { capture, runVisibly } from '../command.ts';
import type { Report } from '../report.ts';

/** A Debian package and the files, any one of which shows that what we need from it is there. */
interface SystemPackage {
  readonly name: string;
  readonly files: readonly string[];
}

const programDirectories = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'];
const pluginDirectories = ['/usr/lib/cni', '/opt/cni/bin'];
const program = (name: string): string[] => programDirectories.map((directory) => `${directory}/${name}`);

const needed: readonly SystemPackage[] = [
  { name: 'containerd', files: program('containerd') },
  { name: 'runc', files: program('runc') },
  { name: 'containernetworking-plugins', files: pluginDirectories.map((directory) => `${directory}/ptp`) },
  { name: 'nftables', files: program('nft') },
  { name: 'iproute2', files: program('ip') },
  // For those who build images to load.
  { name: 'umoci', files: program('umoci') },
  { name: 'skopeo', files: program('skopeo') },
];

/** Installs with apt-get what the node cluster needs and the machine lacks. Throws an Error when the machine is no Debian. */
export async function ensurePackages(report: Report): Promise<void> {
  const missing = needed.filter(({ files }) => !files.some((file) => existsSync(file))).map(({ name }) => name);
  if (missing.length === 0) return;
  await installPackages(missing, 'the node cluster', report);
}

/** Installs packages with apt-get. Throws an Error that says what to do when the machine is no Debian, or we are not root. */
export async function installPackages(names: readonly string[], what: string, report: Report): Promise<void> {
  if (!isDebian()) {
    throw new Error(`${what} needs ${names.join(', ')}, which are only installed by themselves on Debian and Ubuntu`);
  }
  if (process.getuid?.() !== 0) {
    throw new Error(`${what} needs ${names.join(', ')}: run this as root, or apt-get install ${names.join(' ')}`);
  }
  report(`installing with apt-get: ${names.join(', ')}`);
  const environment = { DEBIAN_FRONTEND: 'noninteractive' };
  // An apt-get that was interrupted leaves packages half configured.
  await capture('dpkg', ['--configure', '-a'], environment);
  const apt = ['-q', '-y', '-o', 'DPkg::Lock::Timeout=600', '-o', 'Dpkg::Use-Pty=0', '-o', 'APT::Acquire::Retries=3'];
  await runVisibly('apt-get', [...apt, 'update'], environment, report);
  await runVisibly('apt-get', [...apt, 'install', '--no-install-recommends', ...names], environment, report);
}

function isDebian(): boolean {
  return (
    existsSync('/etc/os-release') && /^ID(_LIKE)?=.*(debian|ubuntu)/m.test(readFileSync('/etc/os-release', 'utf8'))
  );
}

/** The directory that holds the network plugins, once the packages are installed. */
export function networkPlugins(): string {
  return pluginDirectories.find((directory) => existsSync(`${directory}/ptp`)) ?? '';
}

/** The absolute path of containerd, once the packages are installed. */
export function containerdProgram(): string {
  return program('containerd').find((file) => existsSync(file)) ?? '';
}
