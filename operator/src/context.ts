import type { Store } from '@kadre/store';
import type { Toolbox } from '@kadre/tools';
import type { WorkflowSpec } from '@kadre/crds';
import type { Caches } from './caches.ts';
import type { Clock, Log, Manager } from './kube/index.ts';
import type { Settings } from './build/settings.ts';

/** What every controller is given. */
export interface Context {
  manager: Manager;
  caches: Caches;
  store: Store;
  settings: Settings;
  /** What the engine finds wrong with a workflow. */
  validateWorkflow: (spec: WorkflowSpec) => { path: string; message: string }[];
  /** What the gateway finds wrong with the rule of a route; undefined if nothing. */
  ruleProblem: (rule: string) => Promise<string | undefined>;
  /** Asks Tools what they can do. */
  toolbox: Pick<Toolbox, 'describe'>;
  readSecret: (namespace: string, name: string) => Promise<Record<string, string> | undefined>;
  clock: Clock;
  log: Log;
}
