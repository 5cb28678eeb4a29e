import { writeFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { capture, succeeds } from '../command.ts';
import type { NodeSettings } from './settings.ts';

interface Link {
  readonly ifname: string;
  readonly addr_info: readonly { readonly local?: string }[];
}

/** Our own nftables table; kube-proxy has two more. */
const table = 'kadre-cluster';
const proxyTables = [
  ['ip', 'kube-proxy'],
  ['ip6', 'kube-proxy'],
] as const;

/**
 * Gives the node its address, on a bridge without ports, and lets pods reach the world.
 *
 * Each pod has a wire and a route of its own (the `ptp` plugin), so all its traffic passes the host's routing. On a shared
 * bridge, answers between two pods would pass by the connection tracking that turns a Service's VIP back.
 */
export async function ensureNetwork(settings: NodeSettings): Promise<void> {
  const { bridge, nodeAddress } = settings;
  if (!(await succeeds('ip', ['link', 'show', bridge]))) {
    await refuseTakenNetwork(settings);
    await capture('ip', ['link', 'add', bridge, 'type', 'bridge']);
  }
  await capture('ip', ['address', 'replace', `${nodeAddress}/32`, 'dev', bridge]);
  await capture('ip', ['link', 'set', bridge, 'up']);
  writeFileSync('/proc/sys/net/ipv4/ip_forward', '1');
  await capture('nft', [masquerading(settings)]);
}

// Adding a table that exists changes nothing; flushing it makes the rules the only ones.
function masquerading({ podCidr, networkCidr }: NodeSettings): string {
  return `
    add table ip ${table}
    flush table ip ${table}
    table ip ${table} {
      chain postrouting {
        type nat hook postrouting priority srcnat; policy accept;
        ip saddr ${podCidr} ip daddr != ${networkCidr} masquerade
      }
    }`;
}

async function refuseTakenNetwork({ networkCidr }: NodeSettings): Promise<void> {
  const routes = await capture('ip', ['route', 'show', 'root', networkCidr]);
  if (routes.trim() === '') return;
  throw new Error(
    `the machine routes ${networkCidr} elsewhere already (${routes.trim()}); ` +
      'choose two other bytes with KADRE_CLUSTER_NETWORK, for instance KADRE_CLUSTER_NETWORK=10.214',
  );
}

/** Removes every interface, route and rule of the cluster. Pods' ends of the wires must be gone or unused. */
export async function removeNetwork(settings: NodeSettings): Promise<void> {
  for (const [family, name] of [['ip', table], ...proxyTables] as const) {
    // "destroy" would not mind a missing table, but older nft do not know it.
    if (await succeeds('nft', ['list', 'table', family, name])) await capture('nft', ['delete', 'table', family, name]);
  }
  // The kernel takes a namespace's wires down in its own time; whatever is left is taken down here.
  for (let links = await ownLinks(settings); links.length > 0; links = await ownLinks(settings)) {
    for (const link of links) await succeeds('ip', ['link', 'delete', link]);
    await delay(20);
  }
}

async function ownLinks({ nodeAddress, bridge }: NodeSettings): Promise<string[]> {
  const links = JSON.parse(await capture('ip', ['-json', 'address', 'show'])) as Link[];
  return links
    .filter(({ ifname, addr_info }) => ifname === bridge || addr_info.some(({ local }) => local === nodeAddress))
    .map(({ ifname }) => ifname);
}
