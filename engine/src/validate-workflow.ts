import type { Callee, Callees } from './core/compile/callee.ts';
import { compileWorkflow } from './core/compile/compile-workflow.ts';
import { oversize, walkSteps } from './core/compile/walk.ts';
import { meant } from './core/expression/suggest.ts';
import { isLiteral } from './core/expression/template.ts';
import { anyType, isRecord } from './core/expression/types.ts';
import { choices } from './core/expression/values.ts';
import type { Problem } from './core/plan.ts';
import { inputProblem } from './driver/input.ts';
import { schemasOf, schemaMistakes } from './schemas.ts';

export interface ValidateOptions {
  /** Specs of all Workflows that steps may call, by name. Absent: what is called is not looked at. */
  workflows?: Readonly<Record<string, unknown>>;
}

/**
 * All mistakes in a WorkflowSpec, as it comes from the API server or from a file: each with the path of the field in its
 * manifest, such as `spec.steps[2].agent.prompt`, and what is wrong and how to mend it. Empty for a workflow that can run.
 */
export function validateWorkflow(spec: unknown, { workflows }: ValidateOptions = {}): Problem[] {
  const callees = workflows ? calleesAmong(workflows) : () => undefined;
  const compiled = compileWorkflow(spec, '', callees);
  const problems = 'problems' in compiled ? compiled.problems : [];
  const more = oversize(spec) ? [] : schemaMistakes(schemasOf(spec));
  const inputs = problems.length === 0 && more.length === 0 ? literalInputs(spec, callees) : [];
  return [...problems, ...more, ...inputs].map(({ path, message }) => ({
    path: path === '' ? 'spec' : `spec.${path}`,
    message,
  }));
}

/** Workflows may call each other in a circle, which ends at run time at the latest; so deep they are followed. */
const MAX_DEPTH = 16;

function calleesAmong(workflows: Readonly<Record<string, unknown>>): Callees {
  const known = new Map<string, Callee>();
  const atWork = new Set<string>();
  const callees: Callees = (name) => {
    const callee = known.get(name);
    if (callee || atWork.has(name) || atWork.size >= MAX_DEPTH) return callee;
    atWork.add(name);
    const found = calleeOf(name, workflows, callees);
    atWork.delete(name);
    known.set(name, found);
    return found;
  };
  return callees;
}

function calleeOf(name: string, workflows: Readonly<Record<string, unknown>>, callees: Callees): Callee {
  if (!Object.hasOwn(workflows, name)) {
    const names = Object.keys(workflows);
    return { problem: `there is no Workflow ${name}${meant(name, names) || choices(names)}`, output: anyType };
  }
  const compiled = compileWorkflow(workflows[name], name, callees);
  if ('problems' in compiled) {
    const [first] = compiled.problems;
    return {
      problem: `the Workflow ${name} has a mistake itself: spec.${first?.path ?? ''}: ${first?.message ?? ''}`,
      output: anyType,
    };
  }
  const { inputSchema } = compiled.plan;
  return { output: compiled.output, ...(inputSchema && { inputSchema }) };
}

/** Inputs of called Workflows without expressions inside can be held against the schema as they are. */
function literalInputs(spec: unknown, callees: Callees): Problem[] {
  return [...walkSteps(spec)].flatMap(({ step, path }) => {
    if (!isRecord(step.workflow)) return [];
    const { name, input = null } = step.workflow;
    const schema = typeof name === 'string' ? callees(name)?.inputSchema : undefined;
    if (!schema || !isLiteral(input)) return [];
    const message = misfit(schema, input);
    if (message === undefined) return [];
    const absent = step.workflow.input === undefined;
    return [
      {
        path: `${path}.workflow${absent ? '' : '.input'}`,
        message: `the Workflow ${String(name)} does not take ${absent ? 'no input' : 'this'}: ${message}`,
      },
    ];
  });
}

function misfit(schema: Record<string, unknown>, input: unknown): string | undefined {
  try {
    return inputProblem(schema, input);
  } catch {
    // The schema is a mistake in the other Workflow.
    return undefined;
  }
}
