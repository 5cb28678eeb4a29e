import { isRecord } from './core/expression/types.ts';
import { planOf, type Problem } from './core/plan.ts';
import { schemaProblems } from './driver/input.ts';

/**
 * All mistakes in a WorkflowSpec, as it comes from the API server or from a file: each with the path of the field in its
 * manifest, such as `spec.steps[2].agent.prompt`, and what is wrong and how to mend it. Empty for a workflow that can run.
 */
export function validateWorkflow(spec: unknown): Problem[] {
  const planned = planOf(spec);
  const problems = 'problems' in planned ? planned.problems : [];
  const schema = isRecord(spec) && isRecord(spec.input) ? spec.input.schema : undefined;
  const all = isRecord(schema) ? [...problems, ...schemaProblems(schema)] : problems;
  return all.map(({ path, message }) => ({ path: path === '' ? 'spec' : `spec.${path}`, message }));
}
