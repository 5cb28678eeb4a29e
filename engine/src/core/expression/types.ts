// What is known of a value before the run: as much as the text of the workflow and the input's JSON Schema say.
import { failureReasons } from '@kadre/crds';

export type Kind = 'any' | 'null' | 'bool' | 'number' | 'string' | 'list' | 'map';

export interface Type {
  kind: Kind;
  /** Of a map whose fields are known. */
  fields?: ReadonlyMap<string, Type>;
  /** The map has no fields but those. */
  closed?: boolean;
  /** Fields that a closed map has elsewhere, with where. */
  absent?: ReadonlyMap<string, string>;
  /** Of a list. */
  element?: Type;
  /** Of a text: all that it can be. */
  values?: readonly string[];
}

export const anyType: Type = { kind: 'any' };
export const boolType: Type = { kind: 'bool' };
export const numberType: Type = { kind: 'number' };
export const stringType: Type = { kind: 'string' };
export const nullType: Type = { kind: 'null' };
/** `steps.<name>.failure`. */
export const failureType: Type = nullable(
  closedMap([
    ['reason', oneOf(failureReasons)],
    ['message', stringType],
  ]),
);

const kindOfSchemaType: Record<string, Kind> = {
  null: 'null',
  boolean: 'bool',
  integer: 'number',
  number: 'number',
  string: 'string',
  array: 'list',
  object: 'map',
};

/** The type that a JSON Schema describes; `any` wherever it leaves a choice. */
export function typeOfSchema(schema: unknown, depth = 0): Type {
  if (!isRecord(schema) || typeof schema.type !== 'string' || depth > 32) return anyType;
  const kind = Object.hasOwn(kindOfSchemaType, schema.type) ? (kindOfSchemaType[schema.type] ?? 'any') : 'any';
  if (kind === 'string' && Array.isArray(schema.enum)) return oneOf(schema.enum.map(String));
  if (kind === 'list') return { kind, element: typeOfSchema(schema.items, depth + 1) };
  if (kind !== 'map') return { kind };
  const properties = isRecord(schema.properties) ? Object.entries(schema.properties) : [];
  const open = schema.additionalProperties !== false || 'patternProperties' in schema;
  return {
    kind,
    fields: new Map(properties.map(([name, one]) => [name, typeOfSchema(one, depth + 1)])),
    closed: !open,
  };
}

/**
 * What is looked at to find out what two types have in common. Types share parts, so that few lines of a workflow
 * describe values with more fields than can be counted.
 */
const COMMON_LEVELS = 2;
const COMMON_FIELDS = 100;

/** The type of both branches of a choice. */
export function commonType(one: Type, other: Type): Type {
  return commonTo(one, other, COMMON_LEVELS);
}

function commonTo(one: Type, other: Type, levels: number): Type {
  if (one === other) return one;
  if (one.kind === 'null') return nullable(other);
  if (other.kind === 'null') return nullable(one);
  if (one.kind !== other.kind) return anyType;
  if (levels === 0) return { kind: one.kind };
  return {
    kind: one.kind,
    ...(one.fields && other.fields && commonFields(one, one.fields, other, other.fields, levels)),
    ...(one.element && other.element && { element: commonTo(one.element, other.element, levels - 1) }),
  };
}

type Fields = NonNullable<Type['fields']>;

function commonFields(one: Type, left: Fields, other: Type, right: Fields, levels: number): Partial<Type> {
  if (left.size > COMMON_FIELDS || right.size > COMMON_FIELDS) return {};
  const fields = [...new Set([...left.keys(), ...right.keys()])].map((name): [string, Type] => {
    const [first, second] = [left.get(name), right.get(name)];
    return [name, first && second ? commonTo(first, second, levels - 1) : anyType];
  });
  return { fields: new Map(fields), closed: one.closed === true && other.closed === true };
}

/** The type of a value that may be null instead: what is known of its fields still holds. */
export function nullable(type: Type): Type {
  return type.kind === 'any' ? type : { ...type, kind: 'any' };
}

/** The type of the elements of a list. */
export function commonTypeOf(types: readonly Type[]): Type {
  const [first, ...others] = types;
  return first ? others.reduce(commonType, first) : anyType;
}

export function oneOf(values: readonly string[]): Type {
  return { kind: 'string', values };
}

export function closedMap(fields: Iterable<readonly [string, Type]>): Type {
  return { kind: 'map', fields: new Map(fields), closed: true };
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
