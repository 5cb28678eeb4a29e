// Whether an address that a model has written may be called, and how far it may lead.
import type { WrittenBy } from '../net/addresses.ts';

/**
 * A host that is listed by its full name is the administrator's own word, so it may lie in a private network; what a
 * wildcard lets in is still a stranger's. Without a port, an entry stands for that of the scheme.
 *
 * @returns undefined if it is none of them
 */
export function permits(hosts: readonly string[], url: URL): WrittenBy | undefined {
  const name = url.hostname.replace(/\.$/, '').toLowerCase();
  let found: WrittenBy | undefined;
  for (const entry of hosts) {
    const [host, port] = splitPort(entry);
    if (port === undefined ? url.port !== '' : port !== portOf(url)) continue;
    if (host === name) return 'administrator';
    if (host.startsWith('*.') && name.endsWith(host.slice(1)) && name.length > host.length - 1) found = 'stranger';
  }
  return found;
}

const portOf = ({ port, protocol }: URL): string => (port !== '' ? port : protocol === 'https:' ? '443' : '80');

function splitPort(entry: string): [host: string, port: string | undefined] {
  const [, host = '', port] = /^(.*?)(?::(\d+))?$/.exec(entry) ?? [];
  return [host, port];
}
