// Anthropic holds models to a part of JSON Schema. A schema is weakened to that part: what falls away is still checked by
// the gateway afterwards. A schema that would become stricter instead cannot be used that way.
import { invalidRequest, type GatewayError } from '../../errors.ts';
import type { JsonSchema } from '../../conversation/request.ts';

const kept = ['type', 'description', 'title', 'enum', 'const', 'default', 'required', '$ref'] as const;
const formats = new Set(['date-time', 'time', 'date', 'duration', 'email', 'hostname', 'uri', 'ipv4', 'ipv6', 'uuid']);

/** Whether a weakened schema admits all that the schema itself admits. */
export function canBeHeld(schema: JsonSchema): boolean {
  try {
    heldSchema(schema);
    return true;
  } catch {
    return false;
  }
}

/** Throws a 400 if there is no such schema; see `canBeHeld`. */
export function heldSchema(schema: JsonSchema): JsonSchema {
  if (!isObject(schema)) throw cannotBeHeld('a part of it is no object');
  const held: JsonSchema = {};
  for (const name of kept) if (schema[name] !== undefined) held[name] = schema[name];
  if (typeof schema.$ref === 'string' && !schema.$ref.startsWith('#/')) throw cannotBeHeld('a part of it is elsewhere');
  for (const name of ['$defs', 'definitions'] as const) {
    if (isObject(schema[name])) held[name] = mapped(schema[name]);
  }
  for (const name of ['anyOf', 'oneOf', 'allOf'] as const) {
    // One of several is at least any of them.
    if (Array.isArray(schema[name])) held[name === 'oneOf' ? 'anyOf' : name] = schema[name].map(heldSchema);
  }
  if (typeof schema['format'] === 'string' && formats.has(schema['format'])) held['format'] = schema['format'];
  if (schema['items'] !== undefined) held['items'] = heldSchema(schema['items'] as JsonSchema);
  if (schema['minItems'] === 0 || schema['minItems'] === 1) held['minItems'] = schema['minItems'];
  if (isObjectType(schema)) Object.assign(held, properties(schema));
  else if (!saysSomething(held)) throw cannotBeHeld('a part of it admits anything');
  return held;
}

const isObjectType = ({ type, properties: own }: JsonSchema): boolean =>
  type === 'object' || own !== undefined || (Array.isArray(type) && type.includes('object'));

const saysSomething = (held: JsonSchema): boolean =>
  ['type', 'enum', 'const', '$ref', 'anyOf', 'allOf'].some((name) => held[name] !== undefined);

/** Objects are closed there, so one that is open on purpose, or has no properties at all, cannot be held. */
function properties({ properties: own, additionalProperties, patternProperties }: JsonSchema): JsonSchema {
  const isOpen = additionalProperties !== undefined && additionalProperties !== false;
  if (isOpen || patternProperties !== undefined) throw cannotBeHeld('an object in it is open');
  if (additionalProperties === undefined && (!isObject(own) || Object.keys(own).length === 0)) {
    throw cannotBeHeld('an object in it names no properties');
  }
  return { properties: mapped(isObject(own) ? own : {}), additionalProperties: false };
}

const mapped = (schemas: Record<string, unknown>): JsonSchema =>
  Object.fromEntries(Object.entries(schemas).map(([name, schema]) => [name, heldSchema(schema as JsonSchema)]));

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const cannotBeHeld = (why: string): GatewayError =>
  invalidRequest(`Anthropic cannot hold a model to this JSON Schema: ${why}. Set structuredOutput: instruction.`);
