// The way out to providers: one pool of connections, bounded in time and size, that does not lead everywhere.
import { lookup as resolve, type LookupAddress } from 'node:dns';
import { BlockList, isIP, type LookupFunction } from 'node:net';
import { Agent, fetch as undiciFetch } from 'undici';
import type { Limits } from '../options.ts';

/** A Model points at an address that the gateway must not call on anybody's behalf. */
export class AddressRefusedError extends Error {
  override name = 'AddressRefusedError';
}

export interface Upstream {
  fetch: typeof fetch;
  close(): Promise<void>;
}

const CONNECT_MS = 10_000;

type UpstreamLimits = Pick<Limits, 'answerBytes' | 'silenceMs' | 'allowLoopback'>;

/**
 * Private networks are open, for models are served there. Link-local addresses are not: cloud machines hand out their
 * credentials at 169.254.169.254. Redirects are not followed, since they would carry the API key along.
 */
export function createUpstream(limits: UpstreamLimits): Upstream {
  const closed = closedAddresses(limits.allowLoopback);
  const agent = new Agent({
    connect: { timeout: CONNECT_MS, lookup: guardedLookup(closed) },
    headersTimeout: limits.silenceMs,
    bodyTimeout: limits.silenceMs,
    maxResponseSize: limits.answerBytes,
    connections: 1024,
    pipelining: 1,
  });
  const guarded = async (input: string | URL | Request, init?: RequestInit): Promise<Response> => {
    const url = new URL(input instanceof Request ? input.url : input);
    const host = url.hostname.replace(/^\[|\]$/g, '');
    if (isIP(host) !== 0 && isClosed(closed, host)) throw refusal(host);
    // Node's fetch and undici's are the same code; their types are declared twice.
    const send = undiciFetch as unknown as (url: URL, init: object) => Promise<Response>;
    return send(url, { ...init, redirect: 'error', dispatcher: agent });
  };
  return { fetch: guarded, close: () => agent.destroy() };
}

function closedAddresses(allowLoopback: boolean): BlockList {
  const list = new BlockList();
  list.addSubnet('169.254.0.0', 16);
  list.addSubnet('fe80::', 10, 'ipv6');
  list.addAddress('fd00:ec2::254', 'ipv6');
  if (allowLoopback) return list;
  list.addSubnet('127.0.0.0', 8);
  list.addSubnet('0.0.0.0', 8);
  list.addAddress('::1', 'ipv6');
  list.addAddress('::', 'ipv6');
  return list;
}

const isClosed = (list: BlockList, address: string): boolean =>
  list.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4');

const refusal = (host: string): AddressRefusedError =>
  new AddressRefusedError(`its baseUrl leads to ${host}, which the gateway does not call.`);

/** Checks the address that is really connected to, so that a name cannot change its mind after the check. */
function guardedLookup(closed: BlockList): LookupFunction {
  return (hostname, options, callback) => {
    resolve(hostname, { ...options, all: true }, (error, found: LookupAddress[] | undefined) => {
      const [first] = found ?? [];
      if (error || !found || !first) callback(error ?? new Error(`no address for ${hostname}`), '', 0);
      else if (found.some(({ address }) => isClosed(closed, address))) callback(refusal(hostname), '', 0);
      else if (options.all) callback(null, found);
      else callback(null, first.address, first.family);
    });
  };
}
