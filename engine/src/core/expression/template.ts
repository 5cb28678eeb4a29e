// A value of a manifest with expressions inside.
import { compileExpression } from './compile.ts';
import { ExpressionError } from './errors.ts';
import type { Scope, Values } from './node.ts';
import { scan, type Part } from './scan.ts';
import { anyType, closedMap, commonTypeOf, isRecord, stringType, type Type } from './types.ts';
import { kindOf, type Json } from './values.ts';

/** An expression failed on the values that it met; `path` is the field that holds it. */
export class TemplateError extends Error {
  override name = 'TemplateError';
  readonly path: string;
  constructor(path: string, cause: ExpressionError) {
    super(`${path}: ${cause.message}`, { cause });
    this.path = path;
  }
}

export interface Template {
  type: Type;
  /** Throws {@link TemplateError}. */
  evaluate: (values: Values) => Json;
}

/** Like {@link Template}, but the result is always a text: other values become JSON. */
export interface TextTemplate {
  /** Of the value before it becomes a text. */
  type: Type;
  evaluate: (values: Values) => string;
}

/** Told about each mistake with the path of its field. */
export type Report = (path: string, message: string) => void;

/** How many characters a text or a value may have as JSON, so that no step is asked more than the wire carries. */
const MAX_CHARACTERS = 4 * 1024 * 1024;
const MAX_DEPTH = 64;

const nothing: Template = { type: anyType, evaluate: () => null };

/** A text that is exactly one `$(…)` gives the value itself; elsewhere `$(…)` becomes text. Objects and lists may nest. */
export function compileTemplate(value: unknown, path: string, scope: Scope, report: Report, depth = 0): Template {
  if (depth > MAX_DEPTH) {
    report(path, `nests deeper than ${MAX_DEPTH} levels`);
    return nothing;
  }
  const inside = (one: unknown, at: string): Template => compileTemplate(one, at, scope, report, depth + 1);
  if (typeof value === 'string') return textOrValue(value, path, scope, report);
  if (Array.isArray(value)) {
    const parts = value.map((element, i) => inside(element, `${path}[${i}]`));
    return {
      type: { kind: 'list', element: commonTypeOf(parts.map(({ type }) => type)) },
      evaluate: (values) => parts.map((part) => part.evaluate(values)),
    };
  }
  if (!isRecord(value)) {
    const constant = (value ?? null) as Json;
    return { type: { kind: kindOf(constant) }, evaluate: () => constant };
  }
  const fields = Object.entries(value).map(([name, one]) => [name, inside(one, `${path}.${name}`)] as const);
  return {
    type: closedMap(fields.map(([name, { type }]) => [name, type])),
    evaluate: (values) => Object.fromEntries(fields.map(([name, field]) => [name, field.evaluate(values)])),
  };
}

/** Whether there is no expression in the value. */
export function isLiteral(value: unknown, depth = 0): boolean {
  if (depth > MAX_DEPTH) return false;
  if (typeof value === 'string') return !value.includes('$(');
  if (typeof value !== 'object' || value === null) return true;
  return Object.values(value).every((one) => isLiteral(one, depth + 1));
}

export function compileText(source: string, path: string, scope: Scope, report: Report): TextTemplate {
  const template = textOrValue(source, path, scope, report);
  return { type: template.type, evaluate: (values) => at(path, () => asText(template.evaluate(values))) };
}

function textOrValue(source: string, path: string, scope: Scope, report: Report): Template {
  try {
    const parts = scan(source).map((part) => compilePart(part, scope));
    const [only] = parts;
    if (parts.length === 1 && only)
      return { type: only.type, evaluate: (values) => at(path, () => only.evaluate(values)) };
    return {
      type: stringType,
      evaluate: (values) => at(path, () => joined(parts.map((part) => asText(part.evaluate(values))))),
    };
  } catch (error) {
    if (!(error instanceof ExpressionError)) throw error;
    report(path, error.message);
    return nothing;
  }
}

function compilePart(part: Part, scope: Scope): Template {
  if ('expression' in part) return compileExpression(part.expression, scope);
  return { type: stringType, evaluate: () => part.text };
}

function at<T>(path: string, evaluate: () => T): T {
  try {
    return evaluate();
  } catch (error) {
    if (error instanceof ExpressionError) throw new TemplateError(path, error);
    throw error;
  }
}

function asText(value: Json): string {
  if (typeof value === 'string') return value;
  checkSize(value);
  return JSON.stringify(value);
}

function joined(texts: string[]): string {
  const length = texts.reduce((sum, text) => sum + text.length, 0);
  if (length > MAX_CHARACTERS)
    throw new ExpressionError(`the text has ${length} characters; ${MAX_CHARACTERS} are allowed`);
  return texts.join('');
}

/** Throws ExpressionError for a value that is larger as JSON than a step may be asked. Looks at no more than that. */
export function checkSize(value: Json, limit = MAX_CHARACTERS): void {
  let left = limit;
  const visit = (one: Json, depth: number): void => {
    left -= 1;
    if (typeof one === 'string') left -= one.length;
    if (left < 0) throw new ExpressionError(`the value has more than ${limit} characters as JSON`);
    if (depth > 200) throw new ExpressionError('the value nests deeper than 200 levels');
    if (Array.isArray(one)) for (const element of one) visit(element, depth + 1);
    else if (isRecord(one)) {
      for (const [name, field] of Object.entries(one)) {
        left -= name.length;
        visit(field, depth + 1);
      }
    }
  };
  visit(value, 0);
}
