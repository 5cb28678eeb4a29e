// Whether the input of a run, or what somebody filled in, is what a JSON Schema asks for.
import { BoundedMap } from '@kadre/store';
import { Ajv, type ValidateFunction } from 'ajv';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { RE2JS } from 're2js';
import type { Problem } from '../core/plan.ts';

/** Runs of the same workflow share the compiled schema; that costs milliseconds to make. */
const compiled = new BoundedMap<string, ValidateFunction>(200);

/** Steps of a compiled pattern: what one character of input may cost. */
const MAX_PROGRAM = 2000;

// Patterns come from whoever writes workflows: they must not be able to hold up everybody's engine.
const linear = Object.assign(
  (pattern: string) => {
    const program = RE2JS.compile(pattern);
    if (program.programSize() > MAX_PROGRAM) throw new Error(`the pattern ${pattern.slice(0, 60)} repeats too much`);
    // Ajv tells patterns apart by their text.
    return { test: (text: string) => program.matcher(text).find(), toString: () => `re2js ${pattern}` };
  },
  { code: 're2js' },
);
const options = { strict: false, validateFormats: false, allErrors: false, code: { regExp: linear } };

/** What is wrong with the input; undefined if nothing is. Throws for a schema that is none. */
export function inputProblem(schema: Record<string, unknown>, input: unknown): string | undefined {
  return schemaProblem(schema, input, 'input', 'is not what the workflow takes');
}

/**
 * What is wrong with a value, by its schema; undefined if nothing is. Throws for a schema that is none.
 *
 * @param called how messages call the value, such as answer
 */
export function schemaProblem(
  schema: Record<string, unknown>,
  value: unknown,
  called: string,
  otherwise = 'is not what the schema asks for',
): string | undefined {
  const validate = compile(schema);
  if (validate(value)) return undefined;
  const [error] = validate.errors ?? [];
  return `${called}${error?.instancePath.replaceAll('/', '.') ?? ''} ${error?.message ?? otherwise}`;
}

/** What is wrong with the schema itself. */
export function schemaProblems(schema: Record<string, unknown>): Problem[] {
  try {
    compile(schema);
    return [];
  } catch (error) {
    return [
      {
        path: 'input.schema',
        message: `is not a JSON Schema: ${error instanceof Error ? error.message : String(error)}`,
      },
    ];
  }
}

function compile(schema: Record<string, unknown>): ValidateFunction {
  const key = JSON.stringify(schema);
  const known = compiled.get(key);
  if (known) return known;
  // A fresh instance each time: it would keep all schemas that it ever saw, and refuse a second one with the same $id.
  const draft7 = typeof schema.$schema === 'string' && schema.$schema.includes('draft-07');
  const validate = draft7 ? new Ajv(options).compile(schema) : new Ajv2020(options).compile(schema);
  compiled.set(key, validate);
  return validate;
}
