// What serving MCP takes.
import type { Agent, Workflow } from '@kadre/crds';
import type { Store } from '@kadre/store';

export interface McpUser {
  username: string;
  uid: string;
  groups: string[];
  extra: Record<string, string[]>;
}

export interface McpSource {
  /** Those that are offered, from a cache: answers at once and never throws. */
  workflows: { list(namespace: string): Workflow[] };
  agents: { list(namespace: string): Agent[] };
  /** `undefined`: the token is not valid here. Throws if that cannot be found out. */
  authenticate(token: string): Promise<McpUser | undefined>;
  /** Throws if that cannot be found out. */
  mayCreateRuns(user: McpUser, namespace: string): Promise<boolean>;
}

export type McpStore = Pick<Store, 'requestRun' | 'runRequest' | 'cancelRunRequest' | 'projection' | 'subscribe'>;

export type McpOptions = McpSource & { store: McpStore };

/** How often one user may call a tool. */
export const CALLS_PER_MINUTE = 120;
