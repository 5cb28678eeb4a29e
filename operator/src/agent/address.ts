// Under which addresses an agent answers.
import type { Agent } from '@kadre/crds';
import { agentUrl } from '../build/metadata.ts';
import type { Settings } from '../build/settings.ts';

export function internalUrl(agent: Agent, settings: Settings): string {
  return agentUrl(agent.metadata.namespace ?? '', agent.metadata.name, settings.clusterDomain);
}

/** The path prefix without a slash at the end; empty for the root. */
export function exposedPath(agent: Agent): string {
  return (agent.spec.serving?.expose?.path ?? '/').replace(/\/+$/, '');
}

/**
 * What the runtime must take off each path. A plain Ingress has no portable way to rewrite paths; an HTTPRoute does it
 * itself, so behind one there is nothing left to take off.
 */
export function basePath(agent: Agent): string | undefined {
  const path = exposedPath(agent);
  return agent.spec.serving?.expose?.ingress !== undefined && path !== '' ? path : undefined;
}

/**
 * Where callers outside the cluster reach the agent. An Ingress says itself whether it serves TLS. A Gateway does not tell
 * without the right to read it, so HTTPS is taken for granted unless the listener is named `http`, as is the custom.
 */
export function externalUrl(agent: Agent): string | undefined {
  const expose = agent.spec.serving?.expose;
  if (!expose) return undefined;
  const plain = expose.gateway ? expose.gateway.sectionName === 'http' : expose.ingress?.tls === undefined;
  return `${plain ? 'http' : 'https'}://${expose.host}${exposedPath(agent)}`;
}
