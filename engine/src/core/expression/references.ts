// `steps.<name>.output`, `.failure`, `.phase` and `.winner`, resolved when the expression is compiled, so that a wrong
// name is found before a run starts.
import { stepPhases } from '@kadre/crds';
import type { ASTNode } from '@marcbachmann/cel-js';
import { ExpressionError } from './errors.ts';
import type { Context, Node, Scope, StepField, VisibleStep } from './node.ts';
import { meant } from './suggest.ts';
import { failureType, nullable, oneOf, type Type } from './types.ts';
import { choices } from './values.ts';

const fieldTypes: Record<StepField, (step: VisibleStep) => Type> = {
  output: ({ output }) => output,
  failure: () => failureType,
  phase: () => oneOf(stepPhases),
  winner: ({ racers }) => {
    if (racers) return nullable(oneOf(racers));
    throw new ExpressionError('only a race has a winner, and one without forEach: the name of the step that won');
  },
};

/** The node for a field of a step; undefined if the expression isn't about a step. */
export function stepReference(ast: ASTNode & { op: '.' | '[]' }, { scope, locals }: Context): Node | undefined {
  if (locals.has('steps')) return undefined;
  const bare = stepName(ast);
  if (bare !== undefined)
    throw new ExpressionError(`a step is not a value: write ${spelled(knownStep(bare, scope).name)}`);
  const written = stepName(ast.args[0]);
  if (written === undefined) return undefined;
  const { name, step } = knownStep(written, scope);
  if ('missing' in step) throw new ExpressionError(step.missing);
  const field = fieldName(ast);
  if (field === undefined || !isStepField(field))
    throw new ExpressionError(`a step has no field '${field ?? '…'}'${choices(fieldsOf(step))}`);
  scope.uses?.add(`steps.${name}`);
  return { type: fieldTypes[field](step), run: (frame) => frame.values.step(name, field) };
}

function fieldsOf({ racers }: VisibleStep): string[] {
  return Object.keys(fieldTypes).filter((field) => racers ?? field !== 'winner');
}

function isStepField(name: string): name is StepField {
  return Object.hasOwn(fieldTypes, name);
}

/** The name in `steps.a` or `steps['a']`. */
function stepName(ast: ASTNode): string | undefined {
  if (ast.op !== '.' && ast.op !== '[]') return undefined;
  const [object] = ast.args;
  return object.op === 'id' && object.args === 'steps' ? fieldName(ast) : undefined;
}

function fieldName({ args: [, key] }: ASTNode & { op: '.' | '[]' }): string | undefined {
  if (typeof key === 'string') return key;
  return key.op === 'value' && typeof key.args === 'string' ? key.args : undefined;
}

/** CEL reads a dash as minus, so steps.fact_check stands for the step fact-check; no step's name has an underscore. */
function knownStep(written: string, scope: Scope) {
  for (const name of [written, written.replaceAll('_', '-')]) {
    const step = scope.steps.get(name);
    if (step) return { name, step };
  }
  throw new ExpressionError(`there is no step ${written}${hint(written, scope)}`);
}

function hint(written: string, { steps }: Scope): string {
  const dashed = [...steps.keys()].find((name) => name.startsWith(`${written}-`));
  if (dashed !== undefined) return `; a name with dashes is written ${spelled(dashed)}`;
  return meant(written, steps.keys()) || choices(steps.keys());
}

/** How an expression names the output of a step. */
export function spelled(name: string): string {
  return name.includes('-') ? `steps['${name}'].output` : `steps.${name}.output`;
}
