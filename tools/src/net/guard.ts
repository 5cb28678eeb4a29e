// Keeps connections from leading where nobody may be sent, whoever asks and however often it is redirected.
import { lookup as resolve, type LookupAddress, type LookupAllOptions } from 'node:dns';
import { isIP, type BlockList, type LookupFunction } from 'node:net';
import { buildConnector } from 'undici';
import { isClosed } from './addresses.ts';

/** Somebody points at an address that must not be called on anybody's behalf. */
export class AddressRefusedError extends Error {
  override name = 'AddressRefusedError';
}

/** There is no connection, so nothing was sent. What went wrong is its cause. */
export class NotConnectedError extends Error {
  override name = 'NotConnectedError';
  readonly code: string | undefined;

  constructor(cause: Error & { code?: unknown }) {
    super(cause.message, { cause });
    this.code = typeof cause.code === 'string' ? cause.code : undefined;
  }
}

export interface GuardOptions {
  closed: BlockList;
  connectMs: number;
  /** Whether HTTP/2 is spoken where the server offers it. */
  allowH2?: boolean;
  lookup?: Lookup;
}

type Lookup = (
  hostname: string,
  options: LookupAllOptions,
  callback: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void,
) => void;

/**
 * For undici's Agents. The check is of the address that is really connected to, so that a name cannot change its mind after
 * the check, and it is made for each connection, so that no redirect leads around it. Fails with NotConnectedError.
 */
export function guardedConnector(options: GuardOptions): buildConnector.connector {
  const { closed, connectMs, allowH2 = true, lookup = resolve } = options;
  const connect = buildConnector({ timeout: connectMs, lookup: guardedLookup(closed, lookup), allowH2 });
  return (target, callback) => {
    const host = target.hostname.replace(/^\[|\]$/g, '');
    // An address is connected to without being looked up.
    if (isIP(host) !== 0 && isClosed(closed, host)) {
      callback(new NotConnectedError(refusal(host)), null);
      return;
    }
    connect(target, (...[error, socket]) => {
      if (error) callback(new NotConnectedError(error), null);
      else callback(null, socket);
    });
  };
}

function guardedLookup(closed: BlockList, lookup: Lookup): LookupFunction {
  return (hostname, options, callback) => {
    lookup(hostname, { ...options, all: true }, (error, found: LookupAddress[] | undefined) => {
      const [first] = found ?? [];
      if (error || !found || !first) callback(error ?? new Error(`no address for ${hostname}`), '', 0);
      else if (found.some(({ address }) => isClosed(closed, address))) callback(refusal(hostname), '', 0);
      else if (options.all) callback(null, found);
      else callback(null, first.address, first.family);
    });
  };
}

const refusal = (host: string): AddressRefusedError =>
  new AddressRefusedError(`leads to ${host}, which the gateway does not call.`);
