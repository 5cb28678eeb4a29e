// Which addresses nobody may be sent to.
import { BlockList, isIP } from 'node:net';

/**
 * `administrator`: an address that whoever may write Tools and Models has written. Private networks are open to it, for
 * models and tools are served there. `stranger`: one that a model or a user has written. It must not make Kadre look around
 * in the cluster, so it leads to the public Internet alone.
 */
export type WrittenBy = 'administrator' | 'stranger';

type Subnet = readonly [address: string, prefix: number];

/** Cloud machines hand out their credentials at such addresses; two of them lie in no reserved network. */
const METADATA: readonly Subnet[] = [
  ['169.254.0.0', 16],
  ['168.63.129.16', 32],
  ['100.100.100.200', 32],
  ['192.0.0.192', 32],
];
const METADATA_6: readonly Subnet[] = [
  ['fe80::', 10],
  ['fd00:ec2::', 32],
  ['fd20:ce::254', 128],
  ['fd00:42::42', 128],
];

const LOOPBACK: readonly Subnet[] = [
  ['127.0.0.0', 8],
  ['0.0.0.0', 8],
];
const LOOPBACK_6: readonly Subnet[] = [
  ['::1', 128],
  ['::', 128],
];

const NOT_PUBLIC: readonly Subnet[] = [
  ['10.0.0.0', 8],
  ['172.16.0.0', 12],
  ['192.168.0.0', 16],
  ['100.64.0.0', 10],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 3],
];
const NOT_PUBLIC_6: readonly Subnet[] = [
  ['fc00::', 7],
  ['fec0::', 10],
  ['ff00::', 8],
  ['100::', 64],
  ['2001:db8::', 32],
  // What these stand for cannot be read off them: Teredo, and NAT64 with a prefix of any length.
  ['2001::', 32],
  ['64:ff9b:1::', 48],
];

export function closedTo(writtenBy: WrittenBy, allowLoopback: boolean): BlockList {
  const list = new BlockList();
  const close = (four: readonly Subnet[], six: readonly Subnet[]) => {
    for (const [address, prefix] of four) closeInAllClothes(list, address, prefix);
    for (const [address, prefix] of six) list.addSubnet(address, prefix, 'ipv6');
  };
  close(METADATA, METADATA_6);
  if (!allowLoopback) close(LOOPBACK, LOOPBACK_6);
  if (writtenBy === 'stranger') close(NOT_PUBLIC, NOT_PUBLIC_6);
  return list;
}

/** Addresses of IPv4 in the clothes of IPv6 lead to the same machines: NAT64, 6to4, and the old compatible form. */
function closeInAllClothes(list: BlockList, address: string, prefix: number): void {
  list.addSubnet(address, prefix);
  const hex = address
    .split('.')
    .map((byte) => Number(byte).toString(16).padStart(2, '0'))
    .join('');
  const embedded = `${hex.slice(0, 4)}:${hex.slice(4)}`;
  list.addSubnet(`64:ff9b::${embedded}`, 96 + prefix, 'ipv6');
  list.addSubnet(`2002:${embedded}::`, 16 + prefix, 'ipv6');
  // ::1 and :: are of IPv6 itself, and closed under their own names.
  if (address !== '0.0.0.0') list.addSubnet(`::${embedded}`, 96 + prefix, 'ipv6');
}

/** Of an address in any spelling that DNS or a URL may bring, with a zone or without. */
export function isClosed(list: BlockList, address: string): boolean {
  const [bare = ''] = address.split('%');
  const family = isIP(bare);
  // What is not understood is not called.
  return family === 0 || list.check(bare, family === 6 ? 'ipv6' : 'ipv4');
}
