// What the API server does with an object before it looks at CEL rules: fields that the schema does not know, types, bounds
// and patterns, and defaults. Wording as the API server's, so that people meet the same words here and there.
import type { StructuralSchema } from '@kadre/crds';
import { meant } from '@kadre/engine';
import type { Path } from './path.ts';

export interface SchemaProblem {
  path: Path;
  message: string;
}

type Report = (path: Path, message: string) => void;
type Fields = Record<string, unknown>;

/**
 * The object as the API server would keep it, with its defaults; and what it would refuse.
 * Fields beside `skip` alone are looked at; `skip` names those of the whole object that are not the schema's business.
 */
export function checkSchema(
  schema: StructuralSchema,
  value: unknown,
  path: Path,
): { value: unknown; problems: SchemaProblem[] } {
  const problems: SchemaProblem[] = [];
  const report: Report = (at, message) => void problems.push({ path: at, message });
  return { value: settle(schema, value, path, report), problems };
}

function settle(schema: StructuralSchema, value: unknown, path: Path, report: Report): unknown {
  const { type } = schema;
  if (type === undefined) return value;
  const found = typeOf(value);
  if (!fits(type, value)) {
    // To YAML 1.1, which kubectl reads, y, n, yes, no, on and off are booleans.
    const hint = type === 'string' && (found === 'boolean' || found === 'number') ? '; put it in quotes' : '';
    report(path, `must be of type ${type}: "${found}"${hint}`);
    return value;
  }
  if (schema.enum && !schema.enum.includes(value as string)) {
    report(
      path,
      `Unsupported value: ${shown(value)}: supported values: ${schema.enum.map((one) => `"${one}"`).join(', ')}`,
    );
  }
  if (typeof value === 'string') checkText(schema, value, path, report);
  if (typeof value === 'number') checkNumber(schema, value, path, report);
  if (Array.isArray(value)) return settleList(schema, value, path, report);
  if (found === 'object') return settleObject(schema, value as Fields, path, report);
  return value;
}

function settleObject(schema: StructuralSchema, value: Fields, path: Path, report: Report): Fields {
  const { properties = {}, additionalProperties, required = [] } = schema;
  const open = schema['x-kubernetes-preserve-unknown-fields'] === true;
  const settled: Fields = {};
  for (const [name, field] of Object.entries(value)) {
    const known = Object.hasOwn(properties, name) ? properties[name] : additionalProperties;
    // A null stands for a field that is not set where there is a default for it.
    if (known && field === null && known.default !== undefined) continue;
    if (known) settled[name] = settle(known, field, [...path, name], report);
    else if (open) settled[name] = field;
    else report([...path, name], `unknown field "${name}"${meant(name, Object.keys(properties))}`);
  }
  for (const [name, { default: fallback }] of Object.entries(properties)) {
    if (fallback !== undefined && !Object.hasOwn(settled, name)) settled[name] = structuredClone(fallback);
  }
  for (const name of required) if (!Object.hasOwn(settled, name)) report([...path, name], 'Required value');
  const size = Object.keys(settled).length;
  if (schema.maxProperties !== undefined && size > schema.maxProperties) {
    report(path, `Too many: ${size}: must have at most ${schema.maxProperties} items`);
  }
  return settled;
}

function settleList(schema: StructuralSchema, value: unknown[], path: Path, report: Report): unknown[] {
  const { minItems = 0, maxItems = Infinity, items } = schema;
  if (value.length < minItems) report(path, `should have at least ${minItems} items`);
  if (value.length > maxItems) report(path, `Too many: ${value.length}: must have at most ${maxItems} items`);
  const settled = items ? value.map((item, index) => settle(items, item, [...path, index], report)) : value;
  const keys = schema['x-kubernetes-list-map-keys'];
  if (keys) checkKeys(keys, settled, path, report);
  return settled;
}

function checkKeys(keys: string[], items: unknown[], path: Path, report: Report): void {
  const seen = new Set<string>();
  items.forEach((item, index) => {
    if (typeOf(item) !== 'object') return;
    const key = JSON.stringify(Object.fromEntries(keys.map((name) => [name, (item as Fields)[name]])));
    if (seen.has(key)) report([...path, index], `Duplicate value: ${key}`);
    seen.add(key);
  });
}

function checkText(schema: StructuralSchema, value: string, path: Path, report: Report): void {
  const { minLength = 0, maxLength = Infinity, pattern } = schema;
  const length = Array.from(value).length;
  if (length < minLength) report(path, `should be at least ${minLength} chars long`);
  if (length > maxLength)
    report(path, `Too long: may not be more than ${maxLength} characters, and this has ${length}`);
  // Only short texts: the patterns are Kadre's own, but their bounds are what keeps them quick.
  else if (pattern !== undefined && !new RegExp(pattern, 'u').test(value)) {
    report(path, `Invalid value: ${shown(value)}: should match '${pattern}'`);
  }
}

function checkNumber(schema: StructuralSchema, value: number, path: Path, report: Report): void {
  const { minimum = -Infinity, maximum = Infinity } = schema;
  if (value < minimum) report(path, `Invalid value: ${value}: should be greater than or equal to ${minimum}`);
  if (value > maximum) report(path, `Invalid value: ${value}: should be less than or equal to ${maximum}`);
}

function fits(type: NonNullable<StructuralSchema['type']>, value: unknown): boolean {
  if (type === 'integer') return Number.isInteger(value);
  return typeOf(value) === type;
}

function typeOf(value: unknown): string {
  if (value === null || value === undefined) return 'null';
  return Array.isArray(value) ? 'array' : typeof value;
}

function shown(value: unknown): string {
  const text = JSON.stringify(value);
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}
