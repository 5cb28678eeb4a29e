import type { Clock } from './executor.ts';

export interface ToolboxOptions {
  /** On a laptop, tools may be served on the same machine. */
  allowLoopback?: boolean;
  clock?: Clock;
  mcp?: {
    /** Connections that are kept. 64 if absent. */
    maxClients?: number;
    /** Unused for so long, a connection is closed. 5 minutes if absent. */
    idleMs?: number;
  };
}
