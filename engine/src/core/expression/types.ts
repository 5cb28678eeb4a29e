// What is known of a value before the run: as much as the text of the workflow and the input's JSON Schema say.

export type Kind = 'any' | 'null' | 'bool' | 'number' | 'string' | 'list' | 'map';

export interface Type {
  kind: Kind;
  /** Of a map whose fields are known. */
  fields?: ReadonlyMap<string, Type>;
  /** The map has no fields but those. */
  closed?: boolean;
  /** Of a list. */
  element?: Type;
}

export const anyType: Type = { kind: 'any' };
export const boolType: Type = { kind: 'bool' };
export const numberType: Type = { kind: 'number' };
export const stringType: Type = { kind: 'string' };

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
  const kind = kindOfSchemaType[schema.type] ?? 'any';
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
  return one.kind === other.kind ? { kind: one.kind } : anyType;
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
