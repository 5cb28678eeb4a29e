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

/** The type of both branches of a choice. */
export function commonType(one: Type, other: Type): Type {
  if (one === other) return one;
  if (one.kind === 'null') return nullable(other);
  if (other.kind === 'null') return nullable(one);
  if (one.kind !== other.kind) return anyType;
  return {
    kind: one.kind,
    ...(one.fields && other.fields && commonFields(one, other)),
    ...(one.element && other.element && { element: commonType(one.element, other.element) }),
  };
}

function commonFields(one: Type, other: Type): Pick<Type, 'fields' | 'closed'> {
  const closed = one.closed === true && other.closed === true;
  const names = new Set([...(one.fields?.keys() ?? []), ...(other.fields?.keys() ?? [])]);
  const fields = [...names].map((name): [string, Type] => {
    const [left, right] = [one.fields?.get(name), other.fields?.get(name)];
    return [name, left && right ? commonType(left, right) : anyType];
  });
  return { fields: new Map(fields), closed };
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
