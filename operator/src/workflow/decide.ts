// What to say about a Workflow. Nothing is made for it: each Run pins it when it starts.
import { countSteps } from '../build/references.ts';
import { conditionsOf, news } from '../build/readiness.ts';
import type { WorkflowSnapshot } from './observe.ts';
import type { WorkflowStatus } from '@kadre/crds';
import type { Health } from '../kube/conditions.ts';
import type { Plan } from '../kube/plan.ts';

const SHOWN_ISSUES = 10;

export function decideWorkflow(snapshot: WorkflowSnapshot, now: Date): Plan {
  const { metadata, spec, status: before } = snapshot.workflow;
  if (metadata.deletionTimestamp !== undefined) return {};
  const health = invalid(snapshot) ?? missing(snapshot) ?? ready;
  const { generation } = metadata;
  const conditions = conditionsOf(snapshot.workflow, health, [], now);
  const status: WorkflowStatus = { observedGeneration: generation, steps: countSteps(spec), conditions };
  return { status: { ...status }, ...news(before?.conditions, conditions) };
}

const ready: Health = { state: 'ready', reason: 'Valid', message: 'The workflow can be run.' };

function invalid({ issues }: WorkflowSnapshot): Health | undefined {
  if (issues.length === 0) return undefined;
  const shown = issues.slice(0, SHOWN_ISSUES).map(({ path, message }) => `${path}: ${message}`);
  const more = issues.length > SHOWN_ISSUES ? [`and ${issues.length - SHOWN_ISSUES} more`] : [];
  return { state: 'stalled', reason: 'InvalidExpression', message: [...shown, ...more].join('; ') };
}

function missing({ workflow, missing: { agents, tools, workflows, pools } }: WorkflowSnapshot): Health | undefined {
  const where = `Not in namespace ${workflow.metadata.namespace ?? ''}`;
  return (
    absent('AgentNotFound', where, 'Agent', agents) ??
    absent('ToolNotFound', where, 'Tool', tools) ??
    absent('WorkflowNotFound', where, 'Workflow', workflows) ??
    absent('GpuPoolNotFound', 'Not in this cluster', 'GpuPool', pools)
  );
}

function absent(reason: string, where: string, kind: string, names: string[]): Health | undefined {
  if (names.length === 0) return undefined;
  return { state: 'stalled', reason, message: `${where}: ${names.map((name) => `${kind} ${name}`).join(', ')}.` };
}
