// Names, labels and owners of the objects that Kadre makes. Labels and annotations of users are never copied: a tracking
// label of Argo CD or Flux on a child would make them prune it.
import { GROUP, labels, MANAGER, type OwnerReference } from '@kadre/crds';

/** Tells which desired state a child was made from. */
export const APPLIED_ANNOTATION = `${GROUP}/applied`;

interface Owner {
  apiVersion: string;
  kind: string;
  metadata: { name: string; uid: string };
}

export function controllerOf(owner: Owner): OwnerReference {
  return {
    apiVersion: owner.apiVersion,
    kind: owner.kind,
    name: owner.metadata.name,
    uid: owner.metadata.uid,
    controller: true,
    blockOwnerDeletion: true,
  };
}

/** What an object is there for: to serve an agent or a tool, to run code, to carry out one step, or to ask people. */
export type Component = 'agent' | 'tool' | 'sandbox' | 'step' | 'approval';

/** Labels by which Kadre finds its own objects. */
export function managedLabels(component: Component): Record<string, string> {
  return { [labels.managedBy]: MANAGER, [labels.name]: `kadre-${component}`, [labels.component]: component };
}

/** The pods that serve an agent. Immutable once a Deployment carries it. */
export function servingSelector(agent: string): Record<string, string> {
  return { [labels.agent]: agent, [labels.component]: 'agent' };
}

/** The name of an agent's children. Its Service alone carries the agent's own name, because callers type it. */
export function agentChildName(agent: string): string {
  return `agent-${agent}`;
}

/** The ServiceAccount of an agent's pods. */
export function agentServiceAccount(agent: string, chosen: string | undefined): string {
  return chosen ?? agentChildName(agent);
}

/** `http://<agent>.<namespace>.svc`, without a slash at the end. */
export function agentUrl(namespace: string, agent: string, clusterDomain?: string): string {
  const suffix = clusterDomain === undefined ? '' : `.${clusterDomain}`;
  return `http://${agent}.${namespace}.svc${suffix}`;
}

/** Makes any text a valid label value: `research[2]` becomes `research-2`. */
export function labelValue(text: string): string {
  return text
    .replace(/[^A-Za-z0-9_.-]+/g, '-')
    .slice(0, 63)
    .replace(/^[^A-Za-z0-9]+|[^A-Za-z0-9]+$/g, '');
}
