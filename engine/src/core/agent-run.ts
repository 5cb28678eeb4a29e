import type { RunSpec, WorkflowSpec } from '@kadre/crds';
import { reservedStepNames } from './compile/outline.ts';
import { escape } from './expression/scan.ts';

/**
 * The workflow of a Run that asks a single agent: one step, named after the agent unless steps cannot have its name.
 * Throws for a Run of a workflow.
 */
export function agentRunWorkflow(run: Pick<RunSpec, 'agent' | 'input'>): WorkflowSpec {
  const { agent, input } = run;
  if (!agent) throw new Error('the run asks no agent: use the spec of its workflow');
  const step = {
    name: reservedStepNames.includes(agent.name) ? 'agent' : agent.name,
    // The question is the user's own text; what looks like an expression in it is none.
    agent: { name: agent.name, prompt: escape(agent.prompt), ...(input !== undefined && { input: '$(input)' }) },
  };
  return { steps: [step] };
}
