// What the server is given. It knows neither Kubernetes nor a kubeconfig: whoever starts it brings these.
import type { Trigger } from '@kadre/crds';
import type { RunManifest } from '@kadre/engine';
import type { Store } from '@kadre/store';
import type { Logger } from 'pino';
import type { Registry } from 'prom-client';
import type { McpOptions } from './mcp/options.ts';

/** The Triggers of the cluster, from a cache: answers at once and never throws. */
export interface TriggerSource {
  get(namespace: string, name: string): Trigger | undefined;
}

export interface SecretSource {
  /** The decoded data of a Secret; `undefined` if it is not there. Throws if that cannot be found out. */
  read(namespace: string, name: string): Promise<Record<string, string> | undefined>;
}

/** exists: the Trigger started it before. taken: a Run of that name is somebody else's. refused: it will never be taken. */
export type Started = { state: 'created' | 'exists' | 'taken' } | { state: 'refused'; message: string };

export interface RunStarter {
  /** Creates the Run unless it is there. Throws if that cannot be done now. */
  start(run: RunManifest): Promise<Started>;
}

export interface Clock {
  /** Milliseconds since 1970. */
  now(): number;
}

export interface Limits {
  /** Bytes of a request's body. */
  requestBytes: number;
  /** Milliseconds in which a sender must have sent its whole request. */
  requestMs: number;
  /** Requests in flight; more are turned away with 503. */
  concurrentRequests: number;
  /** For a Trigger that sets no rateLimit. */
  requestsPerMinute: number;
}

export const defaultLimits: Limits = {
  requestBytes: 1024 * 1024,
  requestMs: 30_000,
  concurrentRequests: 128,
  requestsPerMinute: 600,
};

export interface ServerOptions {
  triggers: TriggerSource;
  secrets: SecretSource;
  runs: RunStarter;
  store: Pick<Store, 'publishEvent'>;
  /** What is offered over MCP, and to whom. Absent: nothing. */
  mcp?: McpOptions;
  logger: Logger;
  /** Absent: no metrics are kept. */
  registry?: Registry;
  clock?: Clock;
  limits?: Partial<Limits>;
  /** Whether what the server rests on (caches) is there. Until then requests are answered 503. Absent: always. */
  ready?: () => boolean;
}
