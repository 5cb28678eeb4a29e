import type { WorkflowSpec } from '@kadre/crds';

/** Names of the Agents that the steps ask, each once, sorted. */
export function agentsOf(spec: WorkflowSpec): string[] {
  return unique(spec.steps.map(({ agent }) => agent?.name));
}

/** Names of the GpuPools that the steps name, each once, sorted. */
export function poolsOf(spec: WorkflowSpec): string[] {
  return unique(spec.steps.map(({ agent, container }) => (agent ?? container)?.gpu?.pool));
}

function unique(names: (string | undefined)[]): string[] {
  return [...new Set(names.filter((name) => name !== undefined))].sort();
}
