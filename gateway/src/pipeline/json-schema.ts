// Whether a value is what a caller's JSON Schema asks for. Schemas come from agents, so they must not hold up the
// gateway: patterns run on re2js, which takes linear time, and the size is bounded.
import { BoundedMap } from '@kadre/store';
import type { ErrorObject, ValidateFunction } from 'ajv';
import { RE2JS } from 're2js';
import { invalidRequest } from '../errors.ts';
import type { JsonSchema } from '../conversation/request.ts';

/** Says what is wrong with a value; undefined if nothing is. */
export type SchemaCheck = (value: unknown) => string | undefined;

const CAPACITY = 500;
const MAX_SCHEMA = 256 * 1024;
/** Steps of a compiled pattern: what one character of input may cost. */
const MAX_PROGRAM = 2_000;
const MAX_PROBLEMS = 5;

/** Compiling takes milliseconds, and agents ask with the same schema again and again. */
const compiled = new BoundedMap<string, SchemaCheck>(CAPACITY);

/** Throws a 400 for a schema that is none. */
export async function schemaCheck(schema: JsonSchema): Promise<SchemaCheck> {
  const key = JSON.stringify(schema);
  const known = compiled.get(key);
  if (known) return known;
  if (key.length > MAX_SCHEMA) throw invalidRequest(`The JSON Schema is larger than ${MAX_SCHEMA / 1024} KiB.`);
  const check = await compile(schema);
  compiled.set(key, check);
  return check;
}

const linear = Object.assign(
  (pattern: string) => {
    const program = RE2JS.compile(pattern);
    if (program.programSize() > MAX_PROGRAM) throw new Error(`the pattern ${pattern.slice(0, 60)} repeats too much`);
    // Ajv tells patterns apart by their text.
    return { test: (text: string) => program.matcher(text).find(), toString: () => `re2js ${pattern}` };
  },
  { code: 're2js' },
);
const options = { strict: false, validateFormats: false, logger: false, code: { regExp: linear } } as const;

async function compile(schema: JsonSchema): Promise<SchemaCheck> {
  // Loaded by the first call that needs it; most gateways see none.
  const { Ajv, Ajv2020 } = await import('./ajv.ts');
  try {
    // A fresh instance each time: it would keep all schemas that it ever saw.
    const old = typeof schema.$schema === 'string' && /draft-0[67]/.test(schema.$schema);
    const validate: ValidateFunction = old ? new Ajv(options).compile(schema) : new Ajv2020(options).compile(schema);
    return (value) => (validate(value) ? undefined : describe(validate.errors ?? []));
  } catch (error) {
    throw invalidRequest(`The JSON Schema cannot be used: ${error instanceof Error ? error.message : String(error)}.`);
  }
}

const describe = (errors: ErrorObject[]): string =>
  errors
    .slice(0, MAX_PROBLEMS)
    .map(({ instancePath, message }) => `${instancePath || 'the whole'} ${message ?? 'is not valid'}.`)
    .join(' ');
