import type { Agent, GpuPool, Knowledge, Model, Tool } from '@kadre/crds';
import type { KubeObject } from '../kube/plan.ts';
import type { Pod } from '../build/wire.ts';
import type { Settings } from '../build/settings.ts';

/** All that a decision about an agent rests on. */
export interface AgentSnapshot {
  agent: Agent;
  settings: Settings;
  /** The Model that the agent names, if it is there. */
  model?: Model;
  /** The Tools that the agent is granted, those that are there. */
  tools: Tool[];
  /** What the agent may search, as far as it is there. */
  knowledge: Knowledge[];
  /** The Agents that the agent may ask, those that are there. */
  others: Agent[];
  /** The GpuPool that the agent names, if it is there. */
  pool?: GpuPool;
  /** The ServiceAccount that the spec names is not there. */
  accountMissing: boolean;
  /** What this agent controls. */
  children: KubeObject[];
  /** Objects of others that bear the name of a child, as `Kind/name`. */
  foreign: string[];
  /** The pods that serve the agent. */
  pods: Pod[];
  /** Whether the cluster knows HTTPRoute. */
  routes: boolean;
}
