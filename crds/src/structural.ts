// zod -> the structural OpenAPI v3 schema of a CRD. An allow-list: what Kubernetes would refuse, ignore or read
// differently than zod does is an error here, where a developer sees it, and never a rule that silently does nothing.
import { z } from 'zod';

export interface ValidationRule {
  rule: string;
  message: string;
  messageExpression?: string;
  fieldPath?: string;
}

/** One node of a structural schema, as apiextensions.k8s.io/v1 defines it; only the parts that Kadre uses. */
export interface StructuralSchema {
  type?: 'object' | 'array' | 'string' | 'integer' | 'boolean';
  description?: string;
  default?: unknown;
  enum?: string[];
  pattern?: string;
  minLength?: number;
  maxLength?: number;
  minimum?: number;
  maximum?: number;
  minItems?: number;
  maxItems?: number;
  maxProperties?: number;
  items?: StructuralSchema;
  properties?: Record<string, StructuralSchema>;
  additionalProperties?: StructuralSchema;
  required?: string[];
  'x-kubernetes-preserve-unknown-fields'?: true;
  'x-kubernetes-list-type'?: 'map';
  'x-kubernetes-list-map-keys'?: string[];
  'x-kubernetes-validations'?: ValidationRule[];
}

type Json = Record<string, unknown>;

const ZOD_TYPES = new Set([
  'object',
  'array',
  'record',
  'string',
  'number',
  'boolean',
  'enum',
  'unknown',
  'optional',
  'default',
]);
const ZOD_CHECKS = new Set(['min_length', 'max_length', 'less_than', 'greater_than', 'string_format', 'number_format']);

/** Copied as they are, in this order, so that generated files read alike. */
const PLAIN_KEYS = [
  'type',
  'description',
  'default',
  'enum',
  'minLength',
  'maxLength',
  'minimum',
  'maximum',
  'minItems',
  'maxItems',
  'maxProperties',
  'required',
  'x-kubernetes-list-type',
  'x-kubernetes-list-map-keys',
  'x-kubernetes-validations',
] as const satisfies (keyof StructuralSchema)[];
const NESTED_KEYS = ['pattern', 'properties', 'additionalProperties', 'items'];
const ALLOWED_KEYS = new Set<string>([...PLAIN_KEYS, ...NESTED_KEYS]);
const TYPES = new Set<unknown>(['object', 'array', 'string', 'integer', 'boolean']);

/**
 * The structural schema of a zod schema, as clients must write it (fields with a default are optional).
 * @param at names the schema in errors, such as Agent.spec
 * @throws Error naming the field, when the schema holds something that a CRD cannot say
 */
export function structural(schema: z.ZodType, at: string): StructuralSchema {
  const json = z.toJSONSchema(schema, {
    target: 'openapi-3.0',
    // 'output' would demand fields that have a default and forbid unknown ones.
    io: 'input',
    reused: 'inline',
    cycles: 'throw',
    override: ({ zodSchema, path }) => {
      requireEnforceable(zodSchema, [at, ...path].join('.'));
    },
  });
  // zod adds its Standard Schema interface as a property that is not enumerable; `$schema` is not set for OpenAPI.
  return convert(json, at);
}

/** Refuses what zod would check at run time but leaves out of the JSON Schema. */
function requireEnforceable(schema: z.core.$ZodTypes, at: string): void {
  const { type, checks = [], catchall } = schema._zod.def as Definition;
  if (!ZOD_TYPES.has(type)) throw new Error(`${at}: a CRD cannot express z.${type}()${mend[type] ?? ''}`);
  if (catchall && catchall._zod.def.type !== 'unknown')
    throw new Error(`${at}: a CRD cannot express strict objects or a catchall; use z.object() or z.looseObject()`);
  if (z.globalRegistry.get(schema)?.id !== undefined) {
    throw new Error(`${at}: an id would become a $ref, which no CRD can hold`);
  }
  for (const { _zod } of checks) {
    const { check, pattern } = _zod.def as z.core.$ZodCheckDef & { pattern?: RegExp };
    if (!ZOD_CHECKS.has(check)) {
      throw new Error(`${at}: a CRD cannot express the check ${check}; write a CEL rule instead`);
    }
    if (pattern) requireRe2(pattern, at);
  }
}

interface Definition {
  type: string;
  checks?: z.core.$ZodCheck[];
  /** Set by z.strictObject, z.looseObject and catchall. */
  catchall?: z.core.$ZodType;
}

const mend: Record<string, string> = {
  union: '; use optional siblings and a CEL rule that wants exactly one',
  nullable: '; use optional()',
  date: '; use a string',
  pipe: '; transforms never run in the API server',
  transform: '; transforms never run in the API server',
  catch: '; use default()',
};

/** Patterns run in Go, whose RE2 has no lookaround and no backreferences; flags are lost on the way. */
function requireRe2(pattern: RegExp, at: string): void {
  if (pattern.flags !== '') throw new Error(`${at}: the flags of ${String(pattern)} would be lost in a CRD`);
  if (/\(\?(?:<?[=!])|\\[1-9]|\\k</.test(pattern.source)) {
    throw new Error(`${at}: RE2 has no lookaround and no backreferences: ${String(pattern)}`);
  }
}

function convert(json: Json, at: string): StructuralSchema {
  if ('anyOf' in json || 'oneOf' in json || 'allOf' in json || '$ref' in json) {
    throw new Error(`${at}: anyOf, oneOf, $ref and allOf (several patterns) are not structural`);
  }
  if (!('type' in json)) return opaque(json, at);
  for (const key of Object.keys(json)) {
    if (!ALLOWED_KEYS.has(key)) throw new Error(`${at}: ${key} is not in the allow-list of structural schemas`);
  }
  if (!TYPES.has(json.type))
    throw new Error(`${at}: type ${String(json.type)} is not allowed; use z.int() or a decimal string`);
  const node = plain(json);
  if (typeof json.pattern === 'string') node.pattern = json.pattern.replaceAll('\\/', '/');
  if (isJson(json.items)) node.items = convert(json.items, `${at}[]`);
  if (isJson(json.properties)) node.properties = convertAll(json.properties, at);
  if (isJson(json.additionalProperties)) Object.assign(node, convertMap(json.additionalProperties, at));
  return node;
}

/** Any JSON value: the API server keeps it as it is. */
function opaque(json: Json, at: string): StructuralSchema {
  for (const key of Object.keys(json)) {
    if (key !== 'description') throw new Error(`${at}: ${key} cannot stand beside z.unknown()`);
  }
  return { ...(json as StructuralSchema), 'x-kubernetes-preserve-unknown-fields': true };
}

function convertAll(properties: Json, at: string): Record<string, StructuralSchema> {
  return Object.fromEntries(
    Object.entries(properties).map(([name, property]) => [name, convert(property as Json, `${at}.${name}`)]),
  );
}

function convertMap(values: Json, at: string): StructuralSchema {
  if (Object.keys(values).length === 0) return { 'x-kubernetes-preserve-unknown-fields': true };
  return { additionalProperties: convert(values, `${at}.*`) };
}

function plain(json: Json): StructuralSchema {
  const entries = PLAIN_KEYS.filter((key) => key in json && !isUnbounded(json, key)).map((key) => [key, json[key]]);
  return Object.fromEntries(entries) as StructuralSchema;
}

/** z.int() adds the range of exact JavaScript numbers, which says nothing about the field. */
function isUnbounded(json: Json, key: string): boolean {
  const bound = json[key];
  return (
    (key === 'minimum' && bound === Number.MIN_SAFE_INTEGER) || (key === 'maximum' && bound === Number.MAX_SAFE_INTEGER)
  );
}

function isJson(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
