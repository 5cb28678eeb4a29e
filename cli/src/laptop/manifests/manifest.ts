// One manifest: what it is, and what is wrong with it. The answer is meant to be the API server's.
import { API_VERSION, GROUP, kinds, objectSchema, type Kind, type StructuralSchema } from '@kadre/crds';
import { meant } from '@kadre/engine';
import type { Position, SourceDocument } from './documents.ts';
import { formatPath, parsePath, type Path } from './path.ts';
import { checkRules } from './rules.ts';
import { checkSchema, type SchemaProblem } from './schema.ts';

export type KindName = keyof typeof kinds;

export interface Problem extends Position {
  level: 'error' | 'warning';
  /** Such as Workflow/article; empty for what is no object at all. */
  object: string;
  /** Of the field; empty for the whole. */
  path: string;
  message: string;
}

/** An object of one of Kadre's kinds, as the API server would keep it. */
export interface Manifest {
  kind: KindName;
  name: string;
  namespace: string;
  /** With its defaults. Only as sound as `problems` say. */
  object: { apiVersion: string; kind: string; metadata: Record<string, unknown>; spec: Record<string, unknown> };
  document: SourceDocument;
  problems: Problem[];
}

/** A Secret, which Models and Tools may name. */
export interface SecretManifest {
  name: string;
  namespace: string;
  source: number;
  data: Record<string, string>;
}

/** A ConfigMap, which Knowledge may name. */
export interface ConfigMapManifest {
  name: string;
  namespace: string;
  data: Record<string, string>;
  /** Keys of what is no text. */
  binaryKeys: string[];
}

export type Reading =
  | { manifest: Manifest }
  | { configMap: ConfigMapManifest }
  | { secret: SecretManifest }
  /** An object of somebody else's kind. */
  | { skipped: string }
  | { problems: Problem[] };

type Fields = Record<string, unknown>;

export function readManifest(document: SourceDocument, namespace: string): Reading {
  const { value, faults, file } = document;
  if (faults.length > 0) {
    return { problems: faults.map(({ at, message }) => ({ ...at, level: 'error', object: '', path: '', message })) };
  }
  if (!isFields(value))
    return { problems: [problem(document, '', [], 'a manifest is a map with apiVersion, kind and metadata')] };
  const { apiVersion, kind } = value;
  if (typeof apiVersion !== 'string' || typeof kind !== 'string') {
    return {
      problems: [
        problem(
          document,
          '',
          [],
          'apiVersion and kind must say what this is, such as apiVersion: kadre.dev/v1alpha1 and kind: Agent',
        ),
      ],
    };
  }
  if (apiVersion === 'v1' && kind === 'Secret') return readSecret(document, value, namespace);
  if (apiVersion === 'v1' && kind === 'ConfigMap') return readConfigMap(value, namespace);
  if (!apiVersion.startsWith(`${GROUP}/`)) return { skipped: `${apiVersion} ${kind}` };
  const unknown = unknownType(apiVersion, kind);
  if (unknown !== undefined) {
    const at = apiVersion === API_VERSION ? 'kind' : 'apiVersion';
    return { problems: [problem(document, `${kind} in ${file}`, [at], unknown)] };
  }
  return { manifest: checkManifest(document, value, kind as KindName, namespace) };
}

function unknownType(apiVersion: string, kind: string): string | undefined {
  if (apiVersion !== API_VERSION) return `this version of Kadre knows ${API_VERSION} alone, not ${apiVersion}`;
  const names = Object.keys(kinds);
  if (names.includes(kind)) return undefined;
  return `unknown kind "${kind}"${meant(kind, names)}; there are ${names.join(', ')}`;
}

function checkManifest(document: SourceDocument, value: Fields, kindName: KindName, fallback: string): Manifest {
  const kind: Kind = kinds[kindName];
  const metadata = isFields(value.metadata) ? value.metadata : {};
  const name = typeof metadata.name === 'string' ? metadata.name : '';
  const given = typeof metadata.namespace === 'string' ? metadata.namespace : fallback;
  const namespace = kind.scope === 'Cluster' ? '' : given;
  const schema = schemaOf(kind);
  // What people write alone: the API server drops a status that a manifest brings.
  const settled = checkSchema(schema, { ...without(value, 'status'), metadata }, []);
  const named = nameProblems(value.metadata, kindName);
  const ruled = checkRules(schema, withName(settled.value as Fields, metadata), [], [...settled.problems, ...named]);
  const object = `${kindName}/${name === '' ? generateName(metadata) : name}`;
  return {
    kind: kindName,
    name,
    namespace,
    object: { ...(settled.value as Manifest['object']), ...(!isFields(value.spec) && { spec: {} }) },
    document,
    problems: [...named, ...settled.problems, ...ruled].map(({ path, message }) =>
      problem(document, object, path, message),
    ),
  };
}

/** The API server makes up a name before it looks at the rules. */
function withName(object: Fields, metadata: Fields): Fields {
  return { ...object, metadata: { ...metadata, name: metadata.name ?? `${generateName(metadata)}xxxxx` } };
}

function nameProblems(metadata: unknown, kind: KindName): SchemaProblem[] {
  if (metadata !== undefined && !isFields(metadata)) return [{ path: ['metadata'], message: 'must be of type object' }];
  const { name, generateName } = metadata ?? {};
  if (name === undefined && generateName === undefined) {
    const hint =
      kind === 'Run' ? 'set metadata.name, or metadata.generateName for kubectl create' : 'set metadata.name';
    return [{ path: ['metadata', 'name'], message: `Required value: ${hint}` }];
  }
  const text = name ?? generateName;
  const at = ['metadata', name === undefined ? 'generateName' : 'name'];
  if (typeof text !== 'string') return [{ path: at, message: 'must be of type string' }];
  const label = name === undefined ? `${text}xxxxx` : text;
  if (/^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/.test(label)) return [];
  return [
    { path: at, message: `Invalid value: "${text}": a name holds a-z, 0-9 and -, with a letter or digit at both ends` },
  ];
}

const schemas = new Map<Kind, StructuralSchema>();

function schemaOf(kind: Kind): StructuralSchema {
  const known = schemas.get(kind);
  if (known) return known;
  const whole = objectSchema(kind);
  const properties = without(whole.properties ?? {}, 'status');
  const metadata = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } as const;
  const schema = { ...whole, properties: { ...properties, metadata } };
  schemas.set(kind, schema);
  return schema;
}

function readSecret(document: SourceDocument, value: Fields, fallback: string): Reading {
  const metadata = isFields(value.metadata) ? value.metadata : {};
  if (typeof metadata.name !== 'string')
    return { problems: [problem(document, 'Secret', ['metadata', 'name'], 'Required value: set metadata.name')] };
  const decoded = Object.entries(isFields(value.data) ? value.data : {}).map(([key, text]) => [
    key,
    Buffer.from(String(text), 'base64').toString('utf8'),
  ]);
  const plain = Object.entries(isFields(value.stringData) ? value.stringData : {}).map(([key, text]) => [
    key,
    String(text),
  ]);
  return {
    secret: {
      name: metadata.name,
      namespace: typeof metadata.namespace === 'string' ? metadata.namespace : fallback,
      source: document.source,
      data: Object.fromEntries([...decoded, ...plain]) as Record<string, string>,
    },
  };
}

/** One that nobody could name is nobody's business. */
function readConfigMap(value: Fields, fallback: string): Reading {
  const metadata = isFields(value.metadata) ? value.metadata : {};
  const { name, namespace = fallback } = metadata;
  if (typeof name !== 'string' || typeof namespace !== 'string') return { skipped: 'v1 ConfigMap' };
  const data = Object.entries(isFields(value.data) ? value.data : {}).map(([key, text]) => [key, String(text)]);
  const binaryKeys = Object.keys(isFields(value.binaryData) ? value.binaryData : {});
  return { configMap: { name, namespace, data: Object.fromEntries(data) as Record<string, string>, binaryKeys } };
}

/** A problem at a field of a manifest. */
export function problemAt(
  manifest: Manifest,
  path: string,
  message: string,
  level: Problem['level'] = 'error',
): Problem {
  const { document, kind, name } = manifest;
  return { ...problem(document, `${kind}/${name}`, parsePath(path), message), level };
}

/** `file:line:column: path: message`, which editors and CI turn into links. */
export function problemLine({ file, line, column, level, path, message }: Problem): string {
  const place = `${file}:${line}:${column}`;
  return [place, ...(level === 'warning' ? ['warning'] : []), ...(path === '' ? [] : [path]), message].join(': ');
}

function problem(document: SourceDocument, object: string, path: Path, message: string): Problem {
  return { ...document.locate(path), level: 'error', object, path: formatPath(path), message };
}

function without<Value>(fields: Record<string, Value>, name: string): Record<string, Value> {
  return Object.fromEntries(Object.entries(fields).filter(([field]) => field !== name));
}

/** Of a Run for `kubectl create`: the beginning of its name. */
export function generateName({ generateName: beginning }: Record<string, unknown>): string {
  return typeof beginning === 'string' ? beginning : '';
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
