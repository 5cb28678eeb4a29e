// Who we are to the API server. client-node knows all the ways: in-cluster token files, client certificates, exec plugins.
import { createHash } from 'node:crypto';
import type { RequestOptions } from 'node:https';
import type { ConnectionOptions } from 'node:tls';
import { KubeConfig } from '@kubernetes/client-node';
import { Agent, ProxyAgent } from 'undici';
import type { Dispatcher } from 'undici';
import { systemClock } from './clock.ts';
import type { Clock } from './clock.ts';

/** What one request needs. */
interface Access {
  /** Base URL of the API server, without a slash at the end. */
  server: string;
  headers: Record<string, string>;
  dispatcher: Dispatcher;
}

export interface Credentials {
  access(): Promise<Access>;
  /** Called after a 401: reads everything anew at the next request. */
  invalidate(): void;
  /** Closes idle connections and, when `force`, those in use. */
  close(): Promise<void>;
}

export interface CredentialsOptions {
  /** Reads the configuration; called again after a 401. Default: KUBECONFIG, ~/.kube/config, then in-cluster. */
  load?: () => KubeConfig;
  clock?: Clock;
}

/** Token and certificate files are looked at this often (ms); kubelet replaces tokens long before they expire. */
const maxAge = 10_000;

/** Credentials of the given kubeconfig file. */
export const kubeconfigFile = (path: string): CredentialsOptions => ({
  load: () => {
    const config = new KubeConfig();
    config.loadFromFile(path);
    return config;
  },
});

function loadDefault(): KubeConfig {
  const config = new KubeConfig();
  config.loadFromDefault();
  return config;
}

type TlsMaterial = Pick<
  ConnectionOptions,
  'ca' | 'cert' | 'key' | 'pfx' | 'passphrase' | 'servername' | 'rejectUnauthorized'
>;

/** Credentials with one pool of connections, which is replaced only when certificates change. */
export function createCredentials(options: CredentialsOptions = {}): Credentials {
  const { load = loadDefault, clock = systemClock } = options;
  let config: KubeConfig | undefined;
  let current: { access: Promise<Access>; readAt: number } | undefined;
  let pool: { key: string; dispatcher: Dispatcher } | undefined;
  let closed = false;

  const poolFor = (tls: TlsMaterial, proxy: string | undefined): Dispatcher => {
    const key = digest([tls, proxy]);
    if (pool?.key === key) return pool.dispatcher;
    // Requests and watches that are under way finish on the old connections.
    void pool?.dispatcher.close().catch(() => undefined);
    pool = { key, dispatcher: connect(tls, proxy) };
    return pool.dispatcher;
  };

  const read = async (): Promise<Access> => {
    if (closed) throw new Error('The client is closed');
    config ??= load();
    const cluster = config.getCurrentCluster();
    if (!cluster)
      throw new Error('The kubeconfig has no current context: choose one with "kubectl config use-context"');
    const settings: RequestOptions & TlsMaterial = { headers: {} };
    await config.applyToHTTPSOptions(settings);
    const { ca, cert, key, pfx, passphrase, servername, rejectUnauthorized } = settings;
    const tls = defined({ ca, cert, key, pfx, passphrase, servername, rejectUnauthorized });
    return {
      server: cluster.server.replace(/\/+$/, ''),
      headers: headersOf(settings),
      dispatcher: poolFor(tls, cluster.proxyUrl),
    };
  };

  return {
    access: () => {
      if (current && clock.monotonic() - current.readAt < maxAge) return current.access;
      const access = read();
      current = { access, readAt: clock.monotonic() };
      // A failure is not remembered: the next request tries again.
      access.catch(() => (current = undefined));
      return access;
    },
    invalidate: () => {
      config = undefined;
      current = undefined;
    },
    close: async () => {
      closed = true;
      current = undefined;
      await pool?.dispatcher.destroy();
      pool = undefined;
    },
  };
}

function connect(tls: TlsMaterial, proxy: string | undefined): Dispatcher {
  // Without keep-alive probes a connection that a firewall forgot looks alive for ever.
  const connection = { ...tls, keepAlive: true, keepAliveInitialDelay: 30_000, timeout: 10_000 };
  const limits = { keepAliveTimeout: 30_000, connections: 256, bodyTimeout: 0, headersTimeout: 0 };
  if (proxy?.startsWith('socks')) throw new Error(`SOCKS proxies are not supported: ${new URL(proxy).host}`);
  if (proxy) return new ProxyAgent({ uri: proxy, requestTls: connection, ...limits });
  return new Agent({ connect: connection, ...limits });
}

function headersOf(settings: RequestOptions): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(settings.headers ?? {})) {
    // A token file may end in a newline, which no header may.
    if (value !== undefined) headers[name.toLowerCase()] = String(value).trim();
  }
  if (settings.auth) headers['authorization'] = `Basic ${Buffer.from(settings.auth).toString('base64')}`;
  return headers;
}

const defined = (fields: { [Name in keyof TlsMaterial]: TlsMaterial[Name] | undefined }): TlsMaterial =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));

const digest = (value: unknown) => createHash('sha256').update(JSON.stringify(value)).digest('base64');
