// Google's older words for schemas: those of OpenAPI, with types in capitals and some numbers as texts.
import type { JsonSchema } from '../../conversation/request.ts';
import type { Fields } from '../fields.ts';

const MAX_DEPTH = 64;
const numbers = new Set(['minItems', 'maxItems', 'minLength', 'maxLength', 'minProperties', 'maxProperties']);
const googles = new Set(['nullable', 'propertyOrdering', 'example', 'format']);

/** The schema in a field, in words of JSON Schema. */
export function jsonSchemaOf(fields: Fields, name: string): JsonSchema | undefined {
  const schema = fields.record(name);
  if (!schema) return undefined;
  return converted(schema, () => fields.wrong(name, `must not be nested deeper than ${MAX_DEPTH} levels`), 0);
}

function converted(value: unknown, tooDeep: () => Error, depth: number): JsonSchema {
  if (depth > MAX_DEPTH) throw tooDeep();
  if (typeof value !== 'object' || value === null) return {};
  const inner = (one: unknown): JsonSchema => converted(one, tooDeep, depth + 1);
  const schema: JsonSchema = {};
  for (const [key, said] of Object.entries(value as Record<string, unknown>)) {
    if (googles.has(key)) continue;
    if (key === 'type') schema[key] = typeOf(said, (value as { nullable?: unknown }).nullable === true);
    else if (key === 'items') schema[key] = inner(said);
    else if (key === 'anyOf' && Array.isArray(said)) schema[key] = said.map(inner);
    else if (key === 'properties' && typeof said === 'object' && said !== null) schema[key] = mapped(said, inner);
    else schema[key] = numbers.has(key) && typeof said === 'string' ? Number(said) : said;
  }
  return schema;
}

const mapped = (properties: object, inner: (one: unknown) => JsonSchema): JsonSchema =>
  Object.fromEntries(Object.entries(properties).map(([name, one]) => [name, inner(one)]));

function typeOf(type: unknown, nullable: boolean): unknown {
  const plain = typeof type === 'string' ? type.toLowerCase() : type;
  return nullable ? [plain, 'null'] : plain;
}
