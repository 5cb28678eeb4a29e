import { existsSync, globSync, readFileSync, readdirSync } from 'node:fs';
import { capture } from './command.ts';
import { rootDirectory } from './places.ts';

/** What a cluster on the machine itself may leave behind, as sorted lines. Two of these are compared by a test. */
export interface MachineSnapshot {
  readonly mounts: readonly string[];
  readonly addresses: readonly string[];
  readonly routes: readonly string[];
  readonly packetRules: readonly string[];
  readonly networkNamespaces: readonly string[];
  readonly kernelParameters: readonly string[];
  readonly podCgroups: readonly string[];
  readonly directories: readonly string[];
  readonly processes: readonly string[];
}

const directories = [
  '/etc/cni',
  '/etc/kubernetes',
  '/opt/cni',
  '/opt/containerd',
  '/run/containerd',
  '/run/kadre-cluster',
  '/run/xtables.lock',
  '/usr/libexec/kubernetes',
  '/var/lib/cni',
  '/var/lib/containerd',
  '/var/lib/kubelet',
  '/var/log/containers',
  '/var/log/pods',
  `${rootDirectory}/.cluster`,
];

const kernelParameters = [
  'kernel/keys/*',
  'kernel/panic*',
  'net/ipv[46]/conf/all/{arp,forw,route,rp,send,accept}*',
  'net/ipv4/ip_forward',
  'vm/overcommit*',
  'vm/panic*',
];

export async function takeMachineSnapshot(): Promise<MachineSnapshot> {
  const nft = await capture('nft', ['list', 'ruleset']).catch(() => '');
  return {
    mounts: lines(readFileSync('/proc/self/mountinfo', 'utf8')).map((line) => line.split(' ').slice(3, 6).join(' ')),
    addresses: withoutLifetimes(await capture('ip', ['-oneline', 'address', 'show'])),
    routes: lines(await capture('ip', ['route', 'show', 'table', 'all'])),
    packetRules: lines(nft),
    networkNamespaces: existsSync('/run/netns') ? readdirSync('/run/netns') : [],
    kernelParameters: kernelParameters
      .flatMap((pattern) => globSync(`/proc/sys/${pattern}`))
      .map(withContent)
      .sort(),
    podCgroups: globSync('/sys/fs/cgroup/{,*/}kubepods'),
    directories: directories.filter((directory) => existsSync(directory)),
    processes: lines(await capture('ps', ['-eo', 'args'])).filter((line) =>
      /\.cluster\/|kadre-cluster\/containerd/.test(line),
    ),
  };
}

const lines = (text: string): string[] => text.split('\n').filter(Boolean).sort();

const withContent = (file: string): string => `${file} ${readFileSync(file, 'utf8').trim()}`;

function withoutLifetimes(text: string): string[] {
  return lines(text.replace(/valid_lft.*/g, '').replace(/^\d+: /gm, ''));
}
