// What the supervisor (main thread) and a role (worker thread) say to each other.
import type { MetricObject } from 'prom-client';
import type { Config } from './config.ts';
import type { RoleName } from './role-name.ts';

/** `workerData` of a role's thread. */
export interface RoleData {
  role: RoleName;
  config: Config;
  /** The fence: one 64-bit integer, see fence.ts. */
  fence: SharedArrayBuffer;
}

export type ToRole = { type: 'stop' } | { type: 'metrics'; id: number };

export type FromRole =
  | { type: 'ready' }
  /** Sent every second: silence means that the role's event loop is blocked. Lag in milliseconds since the last one. */
  | { type: 'heartbeat'; lagP99: number; lagMax: number }
  | { type: 'metrics'; id: number; metrics: MetricObject[] }
  | { type: 'stopped' }
  | { type: 'failed'; message: string };

/** A role that is at work. `stop` finishes what is in hand, records it, and resolves. */
export interface RunningRole {
  stop(): Promise<void>;
}
