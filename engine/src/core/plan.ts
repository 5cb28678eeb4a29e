// A workflow made ready to run: names resolved, expressions compiled, order known. All mistakes are found here.
import { workflowSpec, type FailureReason, type Step, type WorkflowSpec } from '@kadre/crds';
import { parseDuration } from './duration.ts';
import type { Scope } from './expression/node.ts';
import { compileTemplate, type Report, type Template } from './expression/template.ts';
import { numberType, stringType, typeOfSchema, type Type } from './expression/types.ts';
import { order, type Order } from './order.ts';
import { compileTask, type Task } from './task.ts';

/** A mistake in a workflow: the path of the field, and what is wrong and how to mend it. */
export interface Problem {
  path: string;
  message: string;
}

export interface Plan {
  steps: PlannedStep[];
  /** The position of each step by its name. */
  positions: ReadonlyMap<string, number>;
  /** Absent: the output of the last step. */
  output?: Template;
}

export interface PlannedStep {
  index: number;
  name: string;
  needs: readonly number[];
  /** The steps that need this one. */
  dependents: readonly number[];
  when?: Template;
  forEach?: { items: Template; as: string; parallelism: number };
  retry: RetryPolicy;
  /** Milliseconds for each attempt. */
  timeout?: number;
  task: Task;
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

/** Words that expressions and CEL keep for themselves. */
const RESERVED = new Set(
  'input steps run index true false null in as break const continue else for function if import let loop package namespace return var void while'.split(
    ' ',
  ),
);
const RUN: Type = {
  kind: 'map',
  closed: true,
  fields: new Map(['name', 'namespace', 'uid'].map((name) => [name, stringType])),
};

/** The plan of a run that never starts. */
export const emptyPlan: Plan = { steps: [], positions: new Map() };

/** The plan, or why there is none. `spec`: a WorkflowSpec as it comes from the API server or from a file. */
export function planOf(spec: unknown): { plan: Plan } | { problems: Problem[] } {
  const parsed = workflowSpec.safeParse(spec);
  if (!parsed.success) {
    return { problems: parsed.error.issues.map(({ path, message }) => ({ path: pathText(path), message })) };
  }
  const problems: Problem[] = [];
  const plan = compilePlan(parsed.data, (path, message) => problems.push({ path, message }));
  return problems.length > 0 ? { problems } : { plan };
}

function compilePlan(spec: WorkflowSpec, report: Report): Plan {
  const ordered = order(spec.steps, report);
  const scopes = new Scopes(spec, ordered);
  const steps = spec.steps.map((step, index) => compileStep(step, index, ordered, scopes, report));
  const positions = new Map(steps.map(({ name, index }) => [name, index]));
  if (spec.output === undefined) return { steps, positions };
  return { steps, positions, output: compileTemplate(spec.output, 'output', scopes.atTheEnd(), report) };
}

function compileStep(step: Step, index: number, ordered: Order, scopes: Scopes, report: Report): PlannedStep {
  const path = `steps[${index}]`;
  const scope = scopes.of(index);
  const when = step.when === undefined ? undefined : compileWhen(step.when, `${path}.when`, scope, report);
  const forEach = step.forEach && compileForEach(step.forEach, `${path}.forEach`, scope, report);
  const inner = forEach ? scopes.inside(scope, forEach.as, forEach.items.type) : scope;
  const timeout = step.timeout === undefined ? undefined : compileDuration(step.timeout, `${path}.timeout`, report);
  return {
    index,
    name: step.name,
    needs: ordered.needs[index] ?? [],
    dependents: ordered.dependents[index] ?? [],
    ...(when && { when }),
    ...(forEach && { forEach }),
    ...(timeout !== undefined && { timeout }),
    retry: compileRetry(step.retry, `${path}.retry`, report),
    task: compileTask(step, path, inner, report),
  };
}

function compileWhen(when: string, path: string, scope: Scope, report: Report): Template {
  const template = compileTemplate(when, path, scope, report);
  const { kind } = template.type;
  if (kind !== 'any' && kind !== 'bool')
    report(path, 'takes an expression that is true or false, such as $(input.n > 3)');
  return template;
}

function compileForEach(forEach: NonNullable<Step['forEach']>, path: string, scope: Scope, report: Report) {
  const items = compileTemplate(forEach.items, `${path}.items`, scope, report);
  const { kind } = items.type;
  if (kind !== 'any' && kind !== 'list') report(`${path}.items`, 'takes a list, such as $(input.topics)');
  if (RESERVED.has(forEach.as))
    report(`${path}.as`, `${forEach.as} has a meaning in expressions already: choose another name`);
  return { items, as: forEach.as, parallelism: forEach.parallelism ?? Infinity };
}

function compileRetry(retry: Step['retry'], path: string, report: Report): RetryPolicy {
  const { initial, factor, max } = { initial: '1s', factor: 2, max: '5m', ...retry?.backoff };
  return {
    limit: retry?.limit ?? 0,
    initial: compileDuration(initial, `${path}.backoff.initial`, report),
    factor,
    max: compileDuration(max, `${path}.backoff.max`, report),
    ...(retry?.reasons && { reasons: new Set(retry.reasons) }),
  };
}

function compileDuration(text: string, path: string, report: Report): number {
  const length = parseDuration(text);
  if (length !== undefined && length > 0) return length;
  report(path, `${text} is not a length of time up to a year such as 300ms, 90s, 5m, 2h or 1d`);
  return 0;
}

/** Which names each step's expressions may use. */
class Scopes {
  readonly #spec: WorkflowSpec;
  readonly #ordered: Order;
  readonly #variables: ReadonlyMap<string, Type>;

  constructor(spec: WorkflowSpec, ordered: Order) {
    this.#spec = spec;
    this.#ordered = ordered;
    this.#variables = new Map([
      ['input', typeOfSchema(spec.input?.schema)],
      ['run', RUN],
    ]);
  }

  of(index: number): Scope {
    const own = this.#spec.steps[index]?.name ?? '';
    const before = this.#ordered.ancestors[index];
    return this.#scope((other, step) => {
      if (before?.has(other)) return { output: outputType(step) };
      if (other === index) return { missing: `step ${own} cannot use its own output` };
      return {
        missing: `the output of ${step.name} isn't there yet when ${own} starts: add ${step.name} to its needs`,
      };
    });
  }

  atTheEnd(): Scope {
    return this.#scope((_, step) => ({ output: outputType(step) }));
  }

  inside(scope: Scope, as: string, items: Type): Scope {
    const element = items.element ?? { kind: 'any' };
    return { ...scope, variables: new Map([...scope.variables, [as, element], ['index', numberType]]) };
  }

  #scope(of: (index: number, step: Step) => { output: Type } | { missing: string }): Scope {
    return {
      variables: this.#variables,
      steps: new Map(this.#spec.steps.map((step, index) => [step.name, of(index, step)])),
    };
  }
}

function outputType(step: Step): Type {
  // A step that was skipped has the output null, so that a list is certain only without `when`.
  return step.forEach && step.when === undefined ? { kind: 'list' } : { kind: 'any' };
}

function pathText(path: PropertyKey[]): string {
  return path.reduce<string>((text, key) => {
    if (typeof key === 'number') return `${text}[${key}]`;
    return text === '' ? String(key) : `${text}.${String(key)}`;
  }, '');
}
