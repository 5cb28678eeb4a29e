// The server of a Tool, where Kadre runs it: what to do about it, and whether it is there to be asked.
import type { Tool } from '@kadre/crds';
import { rolloutHealth } from '../build/rollout.ts';
import type { Settings } from '../build/settings.ts';
import { childKey, isInPlace, unwanted } from '../build/wanted.ts';
import type { Health } from '../kube/conditions.ts';
import type { KubeObject, Plan } from '../kube/plan.ts';
import { desiredServer } from './desired/server.ts';
import { deploymentOf, type ServerParts } from './snapshot.ts';

export function serverChildren(tool: Tool, settings: Settings): KubeObject[] {
  const server = tool.spec.mcp?.server;
  return server ? desiredServer(tool, server, settings) : [];
}

/** `health`: why the server cannot be asked just now; undefined where it can, or where somebody else runs it. */
export function decideServer(
  tool: Tool,
  parts: ServerParts,
  settings: Settings,
): Pick<Plan, 'apply' | 'delete'> & { health: Health | undefined } {
  const wanted = serverChildren(tool, settings);
  const apply = wanted.filter((child) => !parts.foreign.includes(childKey(child)));
  const health = wanted.length === 0 ? undefined : (nameConflict(parts) ?? serverHealth(parts, apply));
  return { apply, delete: unwanted(parts.children, wanted), health };
}

function nameConflict({ foreign }: ServerParts): Health | undefined {
  if (foreign.length === 0) return undefined;
  const message = `${foreign.join(', ')} belongs to somebody else. Delete it, or rename the Tool.`;
  return { state: 'stalled', reason: 'NameConflict', message };
}

function serverHealth(parts: ServerParts, apply: KubeObject[]): Health | undefined {
  const pending = apply.filter((child) => !isInPlace(parts.children, child)).map(childKey);
  if (pending.length > 0)
    return { state: 'progressing', reason: 'Applying', message: `Being brought up to date: ${pending.join(', ')}.` };
  const deployment = deploymentOf(parts);
  if (deployment?.spec?.replicas === 0)
    return { state: 'stalled', reason: 'Paused', message: 'mcp.server.replicas is 0, so no server runs.' };
  return deployment && rolloutHealth(deployment, parts.pods);
}
