// What a workflow names. Nested steps come as people wrote them, so anything may stand in their place.
import type { WorkflowSpec } from '@kadre/crds';
import { walkSteps } from '@kadre/engine';

/** What is read of a step. */
interface AnyStep {
  agent?: { name?: unknown; gpu?: { pool?: unknown } };
  tool?: { name?: unknown };
  container?: { gpu?: { pool?: unknown } };
  approval?: { otherThanRequester?: unknown };
}

/** All steps at all levels: groups, races, fallbacks, and those at the end. */
function allSteps(spec: WorkflowSpec): AnyStep[] {
  return [...walkSteps(spec)].map(({ step }) => step as AnyStep);
}

export function countSteps(spec: WorkflowSpec): number {
  return allSteps(spec).length;
}

/** Names of the Agents that the steps ask, each once, sorted. */
export function agentsOf(spec: WorkflowSpec): string[] {
  return unique(allSteps(spec).map(({ agent }) => agent?.name));
}

/** Names of the Tools that the steps call, each once, sorted. */
export function toolsOf(spec: WorkflowSpec): string[] {
  return unique(allSteps(spec).map(({ tool }) => tool?.name));
}

/** Names of the GpuPools that the steps name, each once, sorted. */
export function poolsOf(spec: WorkflowSpec): string[] {
  return unique(allSteps(spec).map(({ agent, container }) => (agent ?? container)?.gpu?.pool));
}

/** Whether somebody else than whoever asked for a run must decide something. */
export function needsRequester(spec: WorkflowSpec): boolean {
  return allSteps(spec).some(({ approval }) => approval?.otherThanRequester === true);
}

function unique(names: unknown[]): string[] {
  return [...new Set(names.filter((name) => typeof name === 'string'))].sort();
}
