// Makes a plan of a workflow: names resolved, expressions compiled, order known. All mistakes are found here.
import { nanoUsd, type RunLimits, type WorkflowSpec } from '@kadre/crds';
import { compileTemplate, compileText, type Report } from '../expression/template.ts';
import { anyType, type Type } from '../expression/types.ts';
import type { Limits, Plan, Problem } from '../plan.ts';
import { compileBlock } from './block.ts';
import type { Callees } from './callee.ts';
import { compileDuration } from './durations.ts';
import { endOf, outlineOf, type Outline } from './outline.ts';
import { parseSpec } from './parse.ts';
import { EnoughProblems, Problems } from './problems.ts';
import { scopeAt } from './scope.ts';
import { reportUnknownFields } from './unknown-fields.ts';
import { finalVariables, runVariables, type Variables } from './variables.ts';
import { oversize } from './walk.ts';

export interface Compiled {
  plan: Plan;
  /** What is known of the output. */
  output: Type;
}

/** The plan, or why there is none. `spec`: a WorkflowSpec as it comes from the API server or from a file. */
export function compileWorkflow(
  spec: unknown,
  name: string,
  callees: Callees = () => undefined,
): Compiled | { problems: Problem[] } {
  const tooLarge = oversize(spec);
  if (tooLarge) return { problems: [tooLarge] };
  const problems = new Problems();
  const mistyped = new Set<string>();
  const parsed = parseSpec(spec);
  let compiled: Compiled | undefined;
  try {
    reportUnknownFields(spec, problems.report, mistyped);
    if ('problems' in parsed) parsed.problems.forEach(({ path, message }) => problems.report(path, message));
    else compiled = new Compiler(parsed.spec, problems, callees, mistyped).compile(name);
  } catch (error) {
    if (!(error instanceof EnoughProblems)) throw error;
  }
  const { list } = problems;
  return compiled && list.length === 0 ? compiled : { problems: list };
}

class Compiler {
  readonly #spec: WorkflowSpec;
  readonly #problems: Problems;
  readonly #report: Report;
  readonly #outline: Outline;
  readonly #variables: Variables;
  readonly #shared: { outline: Outline; callees: Callees; mistyped: ReadonlySet<string> };

  constructor(spec: WorkflowSpec, problems: Problems, callees: Callees, mistyped: ReadonlySet<string>) {
    this.#spec = spec;
    this.#problems = problems;
    this.#outline = outlineOf(spec, problems.part());
    this.#report = problems.report;
    this.#variables = runVariables(spec);
    this.#shared = { outline: this.#outline, callees, mistyped };
  }

  compile(name: string): Compiled {
    const { output: template, input } = this.#spec;
    const { steps: main } = this.#outline;
    const last = this.#problems;
    const limits = compileLimits(this.#spec.limits, 'limits', this.#report);
    const steps = compileBlock(main, { ...this.#shared, variables: this.#variables, ...this.#bound(limits) });
    const scope = scopeAt(this.#outline, endOf(main), this.#variables);
    const output = template === undefined ? undefined : compileTemplate(template, 'output', scope, last.report);
    const end = this.#outline.finally;
    const variables = finalVariables(this.#variables);
    const atTheEnd = end && compileBlock(end, { ...this.#shared, variables });
    const concurrency = this.#concurrency();
    const plan = {
      name,
      steps,
      ...(atTheEnd && { finally: atTheEnd }),
      ...(output && { output }),
      ...(input && { inputSchema: input.schema }),
      limits: { steps: MAX_STARTED, ...limits },
      ...(concurrency && { concurrency }),
    };
    return { plan, output: output?.type ?? main.sites.at(-1)?.output ?? anyType };
  }

  #bound({ duration }: Limits) {
    const text = this.#spec.limits?.duration;
    return duration && text ? { bound: { milliseconds: duration, by: 'limits.duration', text } } : {};
  }

  #concurrency(): Plan['concurrency'] {
    const { concurrency } = this.#spec;
    if (!concurrency) return undefined;
    const missing = 'no step has run yet when a run looks for its place: use input or run';
    const { sites } = this.#outline;
    const steps = { get: (name: string) => (sites.has(name) ? { missing } : undefined), keys: () => [].values() };
    const scope = { variables: this.#variables, steps };
    return { ...concurrency, key: compileText(concurrency.key, 'concurrency.key', scope, this.#report) };
  }
}

/** How many steps a run may start if nothing is said. */
const MAX_STARTED = 100_000;

/** Those of a Workflow or of a Run. */
export function compileLimits(limits: RunLimits | undefined, path: string, report: Report): Limits {
  const { duration, costUsd, tokens, steps } = limits ?? {};
  return {
    ...(duration !== undefined && { duration: compileDuration(duration, `${path}.duration`, report) }),
    ...(costUsd !== undefined && { costNanoUsd: nanoUsd(costUsd) }),
    ...(tokens !== undefined && { tokens }),
    ...(steps !== undefined && { steps }),
  };
}
