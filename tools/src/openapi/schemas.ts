// Schemas of an OpenAPI document as models read them: references put in their place, within bounds.

export class DocumentError extends Error {
  override name = 'DocumentError';
}

const MAX_NODES = 5000;
const MAX_DEPTH = 24;
/** Of OpenAPI alone, or of no use to a model. */
const DROPPED = new Set(['xml', 'discriminator', 'externalDocs', 'example', 'examples', 'nullable', '$schema', '$id']);
/** What stands below these is not a schema but names of schemas. */
const MAPS = new Set(['properties', 'patternProperties', '$defs', 'definitions', 'dependentSchemas']);

export type Json = Record<string, unknown>;

export const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

export interface Document {
  root: Json;
  /** Whether `nullable` and exclusive bounds that are true or false mean what they did before 3.1. */
  old: boolean;
}

/**
 * Follows references within the document.
 *
 * @throws DocumentError
 */
export function resolved({ root }: Document, value: unknown): Json {
  let next = value;
  for (let hops = 0; isObject(next) && typeof next['$ref'] === 'string'; hops++) {
    if (hops >= 16) throw new DocumentError('a reference leads in a circle');
    next = follow(root, next['$ref']);
  }
  if (!isObject(next)) throw new DocumentError('something is not an object where one is wanted');
  return next;
}

function follow(root: Json, reference: string): unknown {
  if (!reference.startsWith('#/')) throw new DocumentError(`${reference.slice(0, 100)} lies outside of the document`);
  let next: unknown = root;
  for (const step of reference.slice(2).split('/')) {
    const name = decode(step).replaceAll('~1', '/').replaceAll('~0', '~');
    const inside = typeof next === 'object' && next !== null && Object.hasOwn(next, name);
    next = inside ? (next as Json)[name] : undefined;
  }
  if (next === undefined) throw new DocumentError(`${reference.slice(0, 100)} is not in the document`);
  return next;
}

function decode(step: string): string {
  try {
    return decodeURIComponent(step);
  } catch {
    return step;
  }
}

/**
 * A schema that stands alone. Where it holds itself, the inner one is any value.
 *
 * @throws DocumentError if it grows too large
 */
export function standalone(document: Document, schema: unknown): Json {
  let nodes = 0;
  const read = (value: unknown, seen: readonly unknown[], depth: number): unknown => {
    if (++nodes > MAX_NODES || depth > MAX_DEPTH) throw new DocumentError('its schema is too large');
    if (!isObject(value)) return value;
    const target = resolved(document, value);
    if (seen.includes(target)) return {};
    const whole = '$ref' in value && !document.old ? { ...target, ...without(value, '$ref') } : target;
    const path = '$ref' in value ? [...seen, target] : seen;
    const inner = (one: unknown) => read(one, path, depth + 1);
    const entries = Object.entries(whole).flatMap(([key, one]): [string, unknown][] => {
      if (DROPPED.has(key) || key.startsWith('x-')) return [];
      if (MAPS.has(key) && isObject(one)) return [[key, mapped(one, inner)]];
      if (Array.isArray(one) && isObject(one[0])) return [[key, one.map(inner)]];
      return [[key, isObject(one) && key !== 'default' && key !== 'const' ? inner(one) : one]];
    });
    return document.old ? modern(Object.fromEntries(entries), whole) : Object.fromEntries(entries);
  };
  const result = read(schema, [], 0);
  if (result === true || result === undefined) return {};
  if (!isObject(result)) throw new DocumentError('a schema is not an object');
  return result;
}

const without = (schema: Json, key: string): Json =>
  Object.fromEntries(Object.entries(schema).filter(([name]) => name !== key));

const mapped = (names: Json, inner: (one: unknown) => unknown): Json =>
  Object.fromEntries(Object.entries(names).map(([name, one]) => [name, inner(one)]));

/** What OpenAPI 3.0 writes otherwise than JSON Schema. */
function modern(schema: Json, original: Json): Json {
  let result = schema;
  for (const [exclusive, bound] of [
    ['exclusiveMinimum', 'minimum'],
    ['exclusiveMaximum', 'maximum'],
  ] as const) {
    if (typeof result[exclusive] !== 'boolean') continue;
    const { [exclusive]: isExclusive, [bound]: value, ...others } = result;
    result = { ...others, ...(value === undefined ? {} : { [isExclusive ? exclusive : bound]: value }) };
  }
  if (original['nullable'] !== true || typeof result['type'] !== 'string') return result;
  const values: unknown = result['enum'];
  return {
    ...result,
    type: [result['type'], 'null'],
    ...(Array.isArray(values) && !values.includes(null) ? { enum: [...(values as unknown[]), null] } : {}),
  };
}
