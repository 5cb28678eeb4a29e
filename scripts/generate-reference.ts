// The reference page of a kind, in Markdown: fields, rules, columns. Told from the same schema that the API server enforces.
import { API_VERSION, objectSchema, type Kind, type StructuralSchema, type ValidationRule } from '@kadre/crds';

const NOTE = '<!-- Generated from crds/src by `npm run generate`; edit the sources instead. -->';

interface Field {
  path: string;
  schema: StructuralSchema;
  required: boolean;
}

export function referenceIndex(kinds: Kind[]): string {
  const rows = kinds.map((kind) => [
    `[${kind.kind}](${kind.singular}.md)`,
    kind.shortNames.map(code).join(', '),
    kind.scope === 'Cluster' ? 'cluster' : 'namespace',
    kind.description,
  ]);
  return page(
    '# API reference',
    `All kinds are of \`${API_VERSION}\` and in the category \`kadre\`: \`kubectl get kadre\` lists them, \`kubectl explain\` describes each field.`,
    table(['Kind', 'Short name', 'Scope', 'Is'], rows),
  );
}

export function referencePage(kind: Kind): string {
  const fields = fieldsOf({ path: '', schema: objectSchema(kind), required: true });
  return page(
    `# ${kind.kind}`,
    kind.description,
    `\`${API_VERSION}\`, ${kind.scope === 'Cluster' ? 'cluster-scoped' : 'namespaced'}. Short name: ${kind.shortNames.map(code).join(', ')}.`,
    '## Spec',
    fieldTable(fields.filter(({ path }) => path.startsWith('spec.'))),
    '## Rules',
    'The API server refuses a manifest that breaks one of these.',
    ruleList(fields),
    '## Status',
    fieldTable(fields.filter(({ path }) => path.startsWith('status.'))),
    '## Columns of kubectl get',
    table(
      ['Column', 'Shows', 'Only with `-o wide`'],
      kind.columns.map(({ name, description, wide }) => [name, description, wide ? 'yes' : '']),
    ),
  );
}

/** The field and all below it; an element of a list is written [], a value of a map {}. */
function fieldsOf(field: Field): Field[] {
  const { path, schema } = field;
  const children = Object.entries(schema.properties ?? {}).map(([name, child]) => ({
    path: path === '' ? name : `${path}.${name}`,
    schema: child,
    required: schema.required?.includes(name) ?? false,
  }));
  if (schema.items) children.push({ path: `${path}[]`, schema: schema.items, required: true });
  if (schema.additionalProperties)
    children.push({ path: `${path}{}`, schema: schema.additionalProperties, required: true });
  return [field, ...children.flatMap(fieldsOf)];
}

function fieldTable(fields: Field[]): string {
  const named = fields.filter(({ path }) => !path.endsWith('[]') && !path.endsWith('{}'));
  const rows = named.map(({ path, schema, required }) => [
    code(path),
    typeOf(schema) + (required ? ', required' : ''),
    schema.default === undefined ? '' : code(JSON.stringify(schema.default)),
    schema.description ?? '',
  ]);
  return table(['Field', 'Type', 'Default', 'Description'], rows);
}

function ruleList(fields: Field[]): string {
  const rules = fields.flatMap(({ path, schema }) =>
    (schema['x-kubernetes-validations'] ?? []).map((rule) => `- ${code(placeOf(path, rule))}: ${rule.message}`),
  );
  return rules.join('\n');
}

function placeOf(path: string, { fieldPath = '' }: ValidationRule): string {
  if (path === '') return fieldPath === '' ? 'metadata.name' : fieldPath.slice(1);
  return path + fieldPath;
}

function typeOf(schema: StructuralSchema): string {
  if (schema.enum) return schema.enum.map(code).join(', ');
  if (schema.items) return `list of ${typeOf(schema.items)}${upTo(schema.maxItems, 'elements')}`;
  if (schema.additionalProperties) {
    return `map of ${typeOf(schema.additionalProperties)}${upTo(schema.maxProperties, 'entries')}`;
  }
  if (schema.type === 'integer') return `integer${range(schema)}`;
  if (schema.type === 'string')
    return schema.maxLength === undefined ? 'string' : `string (at most ${schema.maxLength} characters)`;
  if (schema['x-kubernetes-preserve-unknown-fields']) return schema.type === 'object' ? 'any object' : 'any JSON';
  return schema.type ?? 'any JSON';
}

function upTo(limit: number | undefined, of: string): string {
  return limit === undefined ? '' : `, at most ${limit} ${of}`;
}

function range({ minimum, maximum }: StructuralSchema): string {
  if (minimum === undefined || maximum === undefined) return '';
  return ` (${minimum} to ${maximum})`;
}

const code = (text: string) => `\`${text}\``;

function table(head: string[], rows: string[][]): string {
  const line = (cells: string[]) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

function page(...blocks: string[]): string {
  return `${[NOTE, ...blocks].join('\n\n')}\n`;
}
