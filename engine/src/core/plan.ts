// A workflow made ready to run: names resolved, expressions compiled, order known. `compile/` makes it.
import type { AgentStep, ApprovalStep, CodeStep, ContainerStep, FailureReason, ToolStep } from '@kadre/crds';
import type { Template, TextTemplate } from './expression/template.ts';

export interface Plan {
  /** Name of the workflow; of an inline spec or an agent's run, its subject. */
  name: string;
  steps: Block;
  finally?: Block;
  /** Absent: the output of the last step. */
  output?: Template;
  inputSchema?: Record<string, unknown>;
  limits: Limits;
  concurrency?: { key: TextTemplate; limit: number; onConflict: 'queue' | 'cancel' | 'reject' };
}

/** Steps that depend on each other alone. */
export interface Block {
  steps: readonly PlannedStep[];
  /** The position of each step by its name; those inside groups are not among them. */
  positions: ReadonlyMap<string, number>;
  /** How many steps without steps of their own there are, all levels counted: what progress counts. */
  weight: number;
}

export interface PlannedStep {
  /** Position in its block. */
  index: number;
  name: string;
  /** Path of its field in the spec, such as steps[2].steps[0]. */
  path: string;
  /** Positions in the block. */
  needs: readonly number[];
  /** The steps that need this one. */
  dependents: readonly number[];
  when?: Template;
  forEach?: { items: Template; as: string; parallelism: number; until?: Template };
  repeat?: { until?: Template; max: number; onMax: 'fail' | 'continue' };
  retry: RetryPolicy;
  /** Milliseconds for each attempt. */
  timeout?: number;
  onError?: 'continue' | { fallback: Block };
  /** `ttl`: milliseconds. */
  cache?: { key: TextTemplate; ttl: number };
  action: Action;
  /** See {@link Block.weight}; of one element and one round. */
  weight: number;
}

export type Action =
  | AgentAction
  | ToolAction
  | CodeAction
  | ContainerAction
  | { kind: 'value'; value: Template }
  | { kind: 'fail'; message: TextTemplate }
  | { kind: 'steps'; block: Block; output?: Template }
  | { kind: 'race'; block: Block }
  | { kind: 'workflow'; name: string; input?: Template }
  | { kind: 'timer'; duration: number }
  | { kind: 'timer'; until: TextTemplate }
  | { kind: 'event'; name: string; filter?: Template }
  | ApprovalAction;

export interface AgentAction {
  kind: 'agent';
  agent: AgentStep;
  prompt?: TextTemplate;
  input?: Template;
}

export interface ToolAction {
  kind: 'tool';
  tool: ToolStep;
  args?: Template;
}

export interface CodeAction {
  kind: 'code';
  code: CodeStep;
  input?: Template;
  files: { path: string; content: Template }[];
}

export interface ContainerAction {
  kind: 'container';
  container: ContainerStep;
  command?: TextTemplate[];
  args?: TextTemplate[];
  env?: { name: string; value: TextTemplate }[];
  input?: Template;
}

export interface ApprovalAction {
  kind: 'approval';
  approval: ApprovalStep;
  message: TextTemplate;
  /** Milliseconds. */
  timeout?: number;
}

export interface RetryPolicy {
  limit: number;
  /** Milliseconds. */
  initial: number;
  factor: number;
  /** Milliseconds. */
  max: number;
  /** Absent: any. */
  reasons?: ReadonlySet<FailureReason>;
}

export interface Limits {
  /** Milliseconds. */
  duration?: number;
  costNanoUsd?: number;
  tokens?: number;
  steps?: number;
}

/** A mistake in a workflow: the path of the field, and what is wrong and how to mend it. */
export interface Problem {
  path: string;
  message: string;
}

/** The plan of a run that never starts. */
export const emptyPlan: Plan = {
  name: '',
  steps: { steps: [], positions: new Map(), weight: 0 },
  limits: {},
};
