// The CEL rules of the kinds, evaluated here as the API server does: x-kubernetes-validations of each part of the schema
// over the part of the object that it describes.
import type { StructuralSchema, ValidationRule } from '@kadre/crds';
import { Environment } from '@marcbachmann/cel-js';
import { parsePath, type Path } from './path.ts';
import type { SchemaProblem } from './schema.ts';

type Compiled = (context: { self: unknown }) => unknown;

/**
 * What the rules refuse in an object that `checkSchema` has settled. Rules about changes (`oldSelf`) have nothing to say of
 * an object alone. Parts that the schema refuses already are left out: a rule counts on types.
 */
export function checkRules(
  schema: StructuralSchema,
  value: unknown,
  path: Path,
  refused: readonly SchemaProblem[],
): SchemaProblem[] {
  const problems: SchemaProblem[] = [];
  walk(schema, value, path, (rule, part, at) => {
    if (/\boldSelf\b/.test(rule.rule)) return;
    const broken = refused.some((problem) => at.every((segment, depth) => problem.path[depth] === segment));
    const message = verdict(rule, part, broken);
    if (message !== undefined) problems.push({ path: [...at, ...parsePath(rule.fieldPath ?? '')], message });
  });
  return problems;
}

type Visit = (rule: ValidationRule, part: unknown, at: Path) => void;

function walk(schema: StructuralSchema, value: unknown, at: Path, visit: Visit): void {
  if (value === null || value === undefined) return;
  const rules = schema['x-kubernetes-validations'] ?? [];
  if (rules.length > 0) {
    const part = celValue(value);
    for (const rule of rules) visit(rule, part, at);
  }
  if (Array.isArray(value)) {
    const { items } = schema;
    if (items) value.forEach((item, index) => walk(items, item, [...at, index], visit));
  } else if (typeof value === 'object') {
    for (const [name, field] of Object.entries(value)) {
      const known = schema.properties?.[name] ?? schema.additionalProperties;
      if (known) walk(known, field, [...at, name], visit);
    }
  }
}

/** What to say if the rule does not hold. */
function verdict(rule: ValidationRule, self: unknown, broken: boolean): string | undefined {
  try {
    if (compiled(rule.rule)({ self }) === true) return undefined;
    return rule.messageExpression === undefined ? rule.message : messageOf(rule, self);
  } catch (error) {
    if (broken) return undefined;
    return `${rule.message} (${error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error)})`;
  }
}

function messageOf({ message, messageExpression = '' }: ValidationRule, self: unknown): string {
  try {
    const text = compiled(messageExpression)({ self });
    return typeof text === 'string' && text !== '' ? text : message;
  } catch {
    return message;
  }
}

let environment: Environment | undefined;
const programs = new Map<string, Compiled>();

function compiled(rule: string): Compiled {
  const known = programs.get(rule);
  if (known) return known;
  environment ??= kubernetesEnvironment();
  // Here every value is dyn, and `has` wants a plain field.
  const program = environment.parse(rule.replace(/\bdyn\(self\)/g, 'self')) as Compiled;
  programs.set(rule, program);
  return program;
}

/** What Kubernetes adds to CEL, as far as Kadre's rules use it. */
function kubernetesEnvironment(): Environment {
  const made = new Environment({ unlistedVariablesAreDyn: true });
  made.registerFunction('string.replace(string, string): string', (text: string, from: string, to: string) =>
    text.replaceAll(from, () => to),
  );
  made.registerFunction('list.sum(): int', (list: bigint[]) => list.reduce((sum, one) => sum + one, 0n));
  made.registerFunction('list.indexOf(dyn): int', (list: unknown[], item: unknown) => BigInt(list.indexOf(item)));
  return made;
}

/** JSON as CEL sees it: whole numbers are its ints. */
function celValue(value: unknown): unknown {
  if (typeof value === 'number') return Number.isSafeInteger(value) ? BigInt(value) : value;
  if (Array.isArray(value)) return value.map(celValue);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, celValue(field)]));
}
