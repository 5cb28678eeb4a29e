// `steps.<name>.output`, resolved when the expression is compiled, so that a wrong name is found before a run starts.
import type { ASTNode } from '@marcbachmann/cel-js';
import { ExpressionError } from './errors.ts';
import type { Context, Node, Scope } from './node.ts';
import { choices } from './values.ts';

/** The node for a step's output; undefined if the expression isn't about a step. */
export function stepReference(ast: ASTNode & { op: '.' }, { scope, locals }: Context): Node | undefined {
  if (locals.has('steps')) return undefined;
  const written = stepName(ast.args[0]);
  if (written === undefined) return undefined;
  const name = knownName(written, scope);
  const step = scope.steps.get(name);
  if (!step) throw new ExpressionError(`there is no step ${written}${hint(written, scope)}`);
  if ('missing' in step) throw new ExpressionError(step.missing);
  if (ast.args[1] !== 'output') throw new ExpressionError(`a step has no field '${ast.args[1]}'; there is: output`);
  return { type: step.output, run: (frame) => frame.values.output(name) };
}

/** The name in `steps.a` or `steps['a']`. */
function stepName(ast: ASTNode): string | undefined {
  if (ast.op !== '.' && ast.op !== '[]') return undefined;
  const [object, key] = ast.args;
  if (object.op !== 'id' || object.args !== 'steps') return undefined;
  if (typeof key === 'string') return key;
  return key.op === 'value' && typeof key.args === 'string' ? key.args : undefined;
}

/** CEL reads a dash as minus, so steps.fact_check stands for the step fact-check; no step's name has an underscore. */
function knownName(written: string, { steps }: Scope): string {
  return steps.has(written) ? written : written.replaceAll('_', '-');
}

function hint(written: string, { steps }: Scope): string {
  const dashed = [...steps.keys()].find((name) => name.startsWith(`${written}-`));
  return dashed === undefined ? choices(steps.keys()) : `; a name with dashes is written steps['${dashed}'].output`;
}
