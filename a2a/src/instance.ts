// An agent says which of its replicas holds a task. Whoever asked calls that address later, so it must not be led astray.
import { BlockList, isIP } from 'node:net';

const elsewhere = new BlockList();
elsewhere.addSubnet('0.0.0.0', 8);
elsewhere.addSubnet('169.254.0.0', 16);
elsewhere.addSubnet('224.0.0.0', 3);
elsewhere.addSubnet('fe80::', 10, 'ipv6');
elsewhere.addSubnet('ff00::', 8, 'ipv6');
elsewhere.addAddress('::', 'ipv6');

const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8);
loopback.addAddress('::1', 'ipv6');

/**
 * The base URL if it may be a replica of the agent at `service`: plain HTTP to an IP address that a pod can have. On a
 * laptop, where the service itself is on this machine, the replica is too.
 */
export function replicaUrl(instance: string, service: string): string | undefined {
  const [replica, front] = [URL.parse(instance), URL.parse(service)];
  if (!replica || !front || replica.protocol !== 'http:' || replica.username !== '' || replica.pathname !== '/')
    return undefined;
  const host = bare(replica.hostname);
  const family = isIP(host);
  if (family === 0) return undefined;
  const kind = family === 4 ? 'ipv4' : 'ipv6';
  if (elsewhere.check(host, kind)) return undefined;
  if (loopback.check(host, kind) && !isLoopback(bare(front.hostname))) return undefined;
  return replica.origin;
}

function isLoopback(host: string): boolean {
  const family = isIP(host);
  return host === 'localhost' || (family !== 0 && loopback.check(host, family === 4 ? 'ipv4' : 'ipv6'));
}

function bare(hostname: string): string {
  return hostname.replace(/^\[|\]$/g, '');
}
