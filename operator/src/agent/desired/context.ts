import { labels, type Agent } from '@kadre/crds';
import { agentChildName, controllerOf, managedLabels } from '../../build/metadata.ts';
import type { Devices } from '../../build/devices.ts';
import type { KubeObject } from '../../kube/plan.ts';
import type { Settings } from '../../build/settings.ts';

export type Serving = NonNullable<Agent['spec']['serving']>;
export type Expose = NonNullable<Serving['expose']>;

/** What the builders of an agent's children are given. */
export interface Build {
  agent: Agent;
  settings: Settings;
  devices: Devices;
}

/** A child's metadata: deterministic name, Kadre's labels, the agent as its controller. */
export function childMetadata(agent: Agent, name = agentChildName(agent.metadata.name)): KubeObject['metadata'] {
  return {
    name,
    namespace: agent.metadata.namespace ?? '',
    labels: { ...managedLabels('agent'), [labels.agent]: agent.metadata.name },
    ownerReferences: [controllerOf(agent)],
  };
}
