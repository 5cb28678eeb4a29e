// The way out to providers: one pool of connections, bounded in time and size, that does not lead everywhere.
import { lookup as resolve, type LookupAddress } from 'node:dns';
import { BlockList, isIP, type LookupFunction } from 'node:net';
import { Agent, type Dispatcher } from 'undici';
import type { Limits } from '../options.ts';

/** Somebody points at an address that the gateway must not call on anybody's behalf. */
export class AddressRefusedError extends Error {
  override name = 'AddressRefusedError';
}

export interface UpstreamRequest {
  url: URL;
  headers: Record<string, string>;
  /** Absent: a GET. */
  body?: string;
  signal: AbortSignal;
}

export type UpstreamResponse = Pick<Dispatcher.ResponseData, 'statusCode' | 'headers' | 'body'>;

export interface Upstream {
  /** To providers. Redirects are answers like any other: following them would carry the API key along. */
  send: (request: UpstreamRequest) => Promise<UpstreamResponse>;
  /** To addresses that stand in a conversation: the public Internet alone, and no more than `imageBytes`. */
  fetchPublic: (request: UpstreamRequest) => Promise<UpstreamResponse>;
  close(): Promise<void>;
}

const CONNECT_MS = 10_000;

type UpstreamLimits = Pick<Limits, 'answerBytes' | 'imageBytes' | 'silenceMs' | 'allowLoopback'>;

/**
 * Private networks are open to providers, for models are served there. Link-local addresses are not: cloud machines hand
 * out their credentials at 169.254.169.254.
 */
export function createUpstream(limits: UpstreamLimits): Upstream {
  const { allowLoopback, answerBytes, imageBytes } = limits;
  const providers = way(closedToAll(allowLoopback), limits, answerBytes);
  const open = way(closedToConversations(allowLoopback), limits, imageBytes);
  return {
    send: providers.send,
    fetchPublic: open.send,
    close: async () => {
      await Promise.all([providers.agent.destroy(), open.agent.destroy()]);
    },
  };
}

function way(
  closed: BlockList,
  { silenceMs }: UpstreamLimits,
  maxResponseSize: number,
): { agent: Agent; send: Upstream['send'] } {
  const agent = new Agent({
    connect: { timeout: CONNECT_MS, lookup: guardedLookup(closed) },
    headersTimeout: silenceMs,
    bodyTimeout: silenceMs,
    maxResponseSize,
    connections: 1024,
    pipelining: 1,
  });
  const send: Upstream['send'] = ({ url, headers, body, signal }) => {
    const host = url.hostname.startsWith('[') ? url.hostname.slice(1, -1) : url.hostname;
    if (isIP(host) !== 0 && isClosed(closed, host)) return Promise.reject(refusal(host));
    return agent.request({
      origin: url.origin,
      path: `${url.pathname}${url.search}`,
      method: body === undefined ? 'GET' : 'POST',
      headers,
      body: body ?? null,
      signal,
    });
  };
  return { agent, send };
}

function closedToAll(allowLoopback: boolean): BlockList {
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

/** What a model or a user writes must not make the gateway look around in the cluster. */
function closedToConversations(allowLoopback: boolean): BlockList {
  const list = closedToAll(allowLoopback);
  list.addSubnet('10.0.0.0', 8);
  list.addSubnet('172.16.0.0', 12);
  list.addSubnet('192.168.0.0', 16);
  list.addSubnet('100.64.0.0', 10);
  list.addSubnet('192.0.0.0', 24);
  list.addSubnet('198.18.0.0', 15);
  list.addSubnet('224.0.0.0', 3);
  list.addSubnet('fc00::', 7, 'ipv6');
  list.addSubnet('fec0::', 10, 'ipv6');
  list.addSubnet('ff00::', 8, 'ipv6');
  // Addresses of IPv4 in the clothes of IPv6 (NAT64, 6to4) would lead past the lines above.
  list.addSubnet('64:ff9b::', 96, 'ipv6');
  list.addSubnet('64:ff9b:1::', 48, 'ipv6');
  list.addSubnet('2002::', 16, 'ipv6');
  return list;
}

const isClosed = (list: BlockList, address: string): boolean =>
  list.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4');

const refusal = (host: string): AddressRefusedError =>
  new AddressRefusedError(`leads to ${host}, which the gateway does not call.`);

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
