// JSON Schemas in a workflow: of its input, and of the forms of its approvals.
import { walkSteps } from './core/compile/walk.ts';
import { isRecord } from './core/expression/types.ts';
import type { Problem } from './core/plan.ts';
import { schemaProblem, schemaProblems } from './driver/input.ts';

interface LocatedSchema {
  schema: Record<string, unknown>;
  path: string;
}

/** Each costs milliseconds to compile; nobody holds up the operator with thousands. */
const MAX_SCHEMAS = 50;
const MAX_DEFAULTS = 100;
const MAX_DEPTH = 32;

export function schemasOf(spec: unknown): LocatedSchema[] {
  if (!isRecord(spec)) return [];
  const forms = [...walkSteps(spec)].flatMap(({ step: { approval }, path }) =>
    isRecord(approval) && isRecord(approval.form)
      ? [{ schema: approval.form.schema, path: `${path}.approval.form.schema` }]
      : [],
  );
  const input = isRecord(spec.input) ? [{ schema: spec.input.schema, path: 'input.schema' }] : [];
  // What is no object at all is refused elsewhere.
  return [...input, ...forms].flatMap(({ schema, path }) => (isRecord(schema) ? [{ schema, path }] : []));
}

export function schemaMistakes(schemas: readonly LocatedSchema[]): Problem[] {
  const wrong = new Map<string, string | undefined>();
  const problems: Problem[] = [];
  for (const located of schemas) {
    const { schema, path } = located;
    const text = textOf(schema);
    if (!wrong.has(text) && wrong.size === MAX_SCHEMAS) {
      const message = `a workflow has at most ${MAX_SCHEMAS} different forms: let approvals share them`;
      return [...problems, { path, message }];
    }
    if (!wrong.has(text)) wrong.set(text, schemaProblems(schema)[0]?.message);
    const message = wrong.get(text);
    problems.push(...(message === undefined ? defaultMistakes(located) : [{ path, message }]));
  }
  return problems;
}

function textOf(schema: Record<string, unknown>): string {
  try {
    return JSON.stringify(schema);
  } catch {
    // It nests too deep; which is what will be said of it.
    return '';
  }
}

function defaultMistakes(schema: LocatedSchema): Problem[] {
  return [...defaultsIn(schema, 0)].slice(0, MAX_DEFAULTS).flatMap(({ schema: one, path }) => {
    const message = misfit(one);
    return message === undefined
      ? []
      : [{ path: `${path}.default`, message: `does not fit its own schema: ${message}` }];
  });
}

function* defaultsIn({ schema, path }: LocatedSchema, depth: number): Generator<LocatedSchema> {
  if (depth > MAX_DEPTH) return;
  if ('default' in schema) yield { schema, path };
  const properties = isRecord(schema.properties) ? Object.entries(schema.properties) : [];
  for (const [name, one] of properties)
    if (isRecord(one)) yield* defaultsIn({ schema: one, path: `${path}.properties.${name}` }, depth + 1);
  if (isRecord(schema.items)) yield* defaultsIn({ schema: schema.items, path: `${path}.items` }, depth + 1);
}

function misfit(schema: Record<string, unknown>): string | undefined {
  try {
    return schemaProblem(schema, schema.default, 'it');
  } catch {
    // A part of a schema may refer to another part, and means nothing alone.
    return undefined;
  }
}
