// Fields that take an expression which is true or false.
import type { Scope } from '../expression/node.ts';
import { compileTemplate, type Report, type Template } from '../expression/template.ts';
import type { Json } from '../expression/values.ts';

export interface Condition {
  template: Template;
  /** The names that it uses: `input`, `steps.draft`. */
  uses: ReadonlySet<string>;
  /** It uses none, and so is the same always. */
  constant?: Json;
}

export function compileCondition(text: string, path: string, scope: Scope, report: Report): Condition {
  const uses = new Set<string>();
  const mistakes: string[] = [];
  const template = compileTemplate(text, path, { ...scope, uses }, (at, message) => {
    mistakes.push(message);
    report(at, message);
  });
  const { kind } = template.type;
  if (kind !== 'any' && kind !== 'bool') {
    report(path, 'takes an expression that is true or false, such as $(input.n > 3)');
    return { template, uses };
  }
  const constant = mistakes.length === 0 && uses.size === 0 ? constantOf(template) : undefined;
  return { template, uses, ...(constant !== undefined && { constant }) };
}

function constantOf(template: Template): Json | undefined {
  const never = (): never => {
    throw new Error('a constant has no names');
  };
  try {
    return template.evaluate({ variable: never, step: never });
  } catch {
    return undefined;
  }
}
