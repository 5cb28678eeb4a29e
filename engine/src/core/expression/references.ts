// `steps.<name>.output`, resolved when the expression is compiled, so that a wrong name is found before a run starts.
import type { ASTNode } from '@marcbachmann/cel-js';
import { ExpressionError } from './errors.ts';
import type { Context, Node, Scope } from './node.ts';
import { choices } from './values.ts';

/** The node for a step's output; undefined if the expression isn't about a step. */
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
  if (field !== 'output') throw new ExpressionError(`a step has no field '${field ?? '…'}'; there is: output`);
  return { type: step.output, run: (frame) => frame.values.output(name) };
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
  const name = scope.steps.has(written) ? written : written.replaceAll('_', '-');
  const step = scope.steps.get(name);
  if (step) return { name, step };
  throw new ExpressionError(`there is no step ${written}${hint(written, scope)}`);
}

function hint(written: string, { steps }: Scope): string {
  const dashed = [...steps.keys()].find((name) => name.startsWith(`${written}-`));
  return dashed === undefined ? choices(steps.keys()) : `; a name with dashes is written ${spelled(dashed)}`;
}

function spelled(name: string): string {
  return name.includes('-') ? `steps['${name}'].output` : `steps.${name}.output`;
}
