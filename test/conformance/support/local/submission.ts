// What the operator hands to the engine when it meets a Run: everything that the run needs, as it is at that moment.
import { agentRunWorkflow, calledWorkflows } from '@kadre/engine';
import type { Run, WorkflowSpec } from '@kadre/crds';
import type { RunSubmission, Store } from '@kadre/store';
import type { Case, Named } from '../case.ts';

const NAMESPACE = 'conformance';

export async function submissionOf(one: Case, run: Named<Run>, store: Store): Promise<RunSubmission> {
  const { name } = run.metadata;
  const { fork, limits, requestedBy, priority, input } = run.spec;
  const original = fork && (await store.submission(fork.run));
  if (fork && !original) throw new Error(`run ${name} forks ${fork.run}, which is not known`);
  const named = run.spec.workflow?.name;
  const workflow = workflowOf(one, run) ?? (original?.workflow as WorkflowSpec);
  const from = fork?.from;
  const prompt = fork?.prompt;
  return {
    uid: name,
    namespace: NAMESPACE,
    name,
    subject: named ?? run.spec.agent?.name ?? original?.subject ?? name,
    workflow,
    workflows: original?.workflows ?? closure(one, workflow),
    input: input === undefined ? (original?.input ?? null) : input,
    ...(limits && { limits }),
    ...(requestedBy !== undefined && { requestedBy }),
    ...(priority !== undefined && { priority }),
    ...(fork && {
      fork: { run: fork.run, ...(from !== undefined && { from }), ...(prompt !== undefined && { prompt }) },
    }),
  };
}

export function workflowOf(one: Case, { spec }: Named<Run>): WorkflowSpec | undefined {
  if (spec.agent) return agentRunWorkflow(spec);
  if (spec.inline) return spec.inline as unknown as WorkflowSpec;
  const name = spec.workflow?.name;
  return one.workflows.find(({ metadata }) => metadata.name === name)?.spec;
}

/** All workflows that the steps call, directly or not. */
function closure(one: Case, workflow: WorkflowSpec): Record<string, WorkflowSpec> {
  const found: Record<string, WorkflowSpec> = {};
  const look = (calling: WorkflowSpec): void => {
    for (const name of calledWorkflows(calling)) {
      const spec = one.workflows.find(({ metadata }) => metadata.name === name)?.spec;
      if (!spec || Object.hasOwn(found, name)) continue;
      found[name] = spec;
      look(spec);
    }
  };
  look(workflow);
  return found;
}
