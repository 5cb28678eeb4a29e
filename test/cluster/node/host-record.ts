import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import type { NodeSettings } from './settings.ts';

/** What the machine was like before the cluster came, so that `down` can put it back. */
interface HostRecord {
  readonly sysctls: Readonly<Record<string, string>>;
  readonly absentPaths: readonly string[];
}

// The kernel parameters that kubelet, kube-proxy, the network plugin and we ourselves set.
const sysctls = [
  'kernel.keys.root_maxbytes',
  'kernel.keys.root_maxkeys',
  'kernel.panic',
  'kernel.panic_on_oops',
  'net.ipv4.conf.all.route_localnet',
  'net.ipv4.ip_forward',
  'vm.overcommit_memory',
  'vm.panic_on_oom',
];

// Directories that kubelet and containerd make at paths that cannot be configured.
const fixedPaths = [
  '/run/containerd',
  '/run/kadre-cluster',
  '/var/lib/cni',
  '/var/lib/kubelet',
  '/var/log/containers',
  '/var/log/pods',
];

/** Where the record is kept. */
export const recordFile = (settings: NodeSettings): string => settings.file('host-record.json');
const sysctlFile = (name: string): string => `/proc/sys/${name.replaceAll('.', '/')}`;

/** Whether an `up` has begun here that no `down` has finished. */
export const hostIsRecorded = (settings: NodeSettings): boolean => existsSync(recordFile(settings));

/** Writes down what the machine is like, unless an earlier `up` has. */
export function recordHost(settings: NodeSettings): void {
  const file = recordFile(settings);
  if (hostIsRecorded(settings)) return;
  const present = sysctls.filter((name) => existsSync(sysctlFile(name)));
  const record: HostRecord = {
    sysctls: Object.fromEntries(present.map((name) => [name, readFileSync(sysctlFile(name), 'utf8').trim()])),
    absentPaths: fixedPaths.filter((path) => !existsSync(path)),
  };
  mkdirSync(settings.directory, { recursive: true });
  writeFileSync(`${file}.draft`, JSON.stringify(record, undefined, 2));
  renameSync(`${file}.draft`, file);
}

/** Puts back what `recordHost` saw. Nothing happens where there is no record. */
export function restoreHost(settings: NodeSettings): void {
  const file = recordFile(settings);
  if (!hostIsRecorded(settings)) return;
  const record = JSON.parse(readFileSync(file, 'utf8')) as HostRecord;
  for (const [name, value] of Object.entries(record.sysctls)) writeFileSync(sysctlFile(name), value);
  for (const path of record.absentPaths) rmSync(path, { recursive: true, force: true });
}
