import type { Workflow } from '@kadre/crds';

/** All that a decision about a Workflow rests on. */
export interface WorkflowSnapshot {
  workflow: Workflow;
  /** What the engine finds wrong with the spec. */
  issues: { path: string; message: string }[];
  /** What the steps name and is not there. */
  missing: { agents: string[]; tools: string[]; workflows: string[]; pools: string[] };
}
