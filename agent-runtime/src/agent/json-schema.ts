// JSON Schema checks. Ajv is loaded only by agents that have a schema.
import type { ErrorObject, ValidateFunction } from 'ajv';

/** Says in one line what is wrong with a value, or undefined if it matches. */
export type SchemaCheck = (value: unknown) => string | undefined;

const MAX_PROBLEMS = 10;

/** @throws {Error} if the schema itself is wrong; the message says how. */
export async function compileSchema(schema: Record<string, unknown>): Promise<SchemaCheck> {
  // `format` is an annotation by default since draft 2019-09, and unknown keywords are to be ignored.
  const options = { strict: false, allErrors: true, validateFormats: false, logger: false } as const;
  const { Ajv, Ajv2020 } = await import('./ajv.ts');
  const validate: ValidateFunction = isOldDraft(schema)
    ? new Ajv(options).compile(schema)
    : new Ajv2020(options).compile(schema);
  return (value) => (validate(value) ? undefined : describe(validate.errors ?? []));
}

function isOldDraft({ $schema }: Record<string, unknown>): boolean {
  return typeof $schema === 'string' && /draft-0[67]/.test($schema);
}

function describe(errors: ErrorObject[]): string {
  const lines = errors.slice(0, MAX_PROBLEMS).map((error) => {
    const { allowedValues, additionalProperty } = error.params as Record<string, unknown>;
    const detail = allowedValues ?? additionalProperty;
    const suffix = detail === undefined ? '' : ` (${JSON.stringify(detail)})`;
    return `${error.instancePath || '(the whole)'} ${error.message ?? 'is invalid'}${suffix}`;
  });
  const more = errors.length - lines.length;
  return lines.join('; ') + (more > 0 ? `; and ${more} more` : '');
}
