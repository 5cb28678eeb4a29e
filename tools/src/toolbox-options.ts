import type { ToolSpec } from '@kadre/crds';
import type { BuiltinSpec } from './builtin/builtin-spec.ts';
import type { Clock, Executor } from './executor.ts';

/** For Tools that need more than a way out: the store, or other parts of the control plane. */
export interface HomeExecutors {
  kinds?: Partial<Record<keyof ToolSpec | 'knowledge', Executor>>;
  builtins?: Partial<Record<keyof BuiltinSpec, Executor>>;
}

export interface ToolboxOptions {
  /** On a laptop, tools may be served on the same machine. */
  allowLoopback?: boolean;
  clock?: Clock;
  /** Such as cluster.local, for servers that Kadre runs. Absent: their names end in .svc. */
  clusterDomain?: string;
  /** What the control plane carries out itself, each under the name of its kind. Whoever opens the toolbox brings it along. */
  home?: HomeExecutors;
  mcp?: {
    /** Connections that are kept. 64 if absent. */
    maxClients?: number;
    /** Unused for so long, a connection is closed. 5 minutes if absent. */
    idleMs?: number;
  };
}
