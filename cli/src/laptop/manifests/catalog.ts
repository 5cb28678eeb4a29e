// All manifests of a command, by what they are called.
import type { Agent, Budget, GpuPool, Knowledge, Model, Run, Tool, Workflow } from '@kadre/crds';
import { UsageError } from '../errors.ts';
import type { SourceDocument } from './documents.ts';
import {
  problemAt,
  readManifest,
  type ConfigMapManifest,
  type KindName,
  type Manifest,
  type Problem,
  type SecretManifest,
} from './manifest.ts';

interface Kinds {
  Agent: Agent;
  Budget: Budget;
  Knowledge: Knowledge;
  Model: Model;
  Tool: Tool;
  Workflow: Workflow;
  Run: Run;
  GpuPool: GpuPool;
}

export interface Catalog {
  manifests: Manifest[];
  secrets: SecretManifest[];
  configMaps: ConfigMapManifest[];
  /** What cannot be read at all. */
  problems: Problem[];
  /** How many objects of other kinds there are, by apiVersion and kind. */
  skipped: Map<string, number>;
}

/** @param namespace of objects that name none */
export function catalogOf(documents: readonly SourceDocument[], namespace: string): Catalog {
  const catalog: Catalog = { manifests: [], secrets: [], configMaps: [], problems: [], skipped: new Map() };
  for (const document of documents) {
    const read = readManifest(document, namespace);
    if ('manifest' in read) catalog.manifests.push(read.manifest);
    else if ('secret' in read) catalog.secrets.push(read.secret);
    else if ('configMap' in read) catalog.configMaps.push(read.configMap);
    else if ('problems' in read) catalog.problems.push(...read.problems);
    else catalog.skipped.set(read.skipped, (catalog.skipped.get(read.skipped) ?? 0) + 1);
  }
  return catalog;
}

/** All objects of that name: several, if several files have one. */
function allNamed(catalog: Catalog, kind: KindName, namespace: string, name: string): Manifest[] {
  const own = kind === 'GpuPool' ? '' : namespace;
  return catalog.manifests.filter((one) => one.kind === kind && one.name === name && one.namespace === own);
}

export function namesOf(catalog: Catalog, kind: KindName, namespace: string): string[] {
  const all = catalog.manifests.filter((one) => one.kind === kind && one.namespace === namespace);
  return [...new Set(all.map(({ name }) => name))];
}

export function isThere(catalog: Catalog, kind: KindName, namespace: string, name: string): boolean {
  return allNamed(catalog, kind, namespace, name).length > 0;
}

/**
 * The object of that name; of several, the one that a later `-f` names.
 * @throws {UsageError} when one `-f` holds several that differ
 */
function findManifest(catalog: Catalog, kind: KindName, namespace: string, name: string): Manifest | undefined {
  const all = allNamed(catalog, kind, namespace, name);
  const last = Math.max(...all.map(({ document }) => document.source));
  const [first, ...others] = all.filter(({ document }) => document.source === last);
  if (!first || others.every((other) => sameSpec(first, other))) return first;
  const files = [first, ...others].map(({ document }) => document.file);
  throw new UsageError(
    `${kind} ${name} is there ${files.length} times: ${files.join(', ')}\n` +
      `Name the one that you mean last: what a later -f brings replaces what came before, such as -f ${files.at(-1) ?? ''}`,
  );
}

export function find<K extends keyof Kinds>(
  catalog: Catalog,
  kind: K,
  namespace: string,
  name: string,
): (Manifest & { object: Kinds[K] }) | undefined {
  return findManifest(catalog, kind, namespace, name) as (Manifest & { object: Kinds[K] }) | undefined;
}

export function findSecret(catalog: Catalog, namespace: string, name: string): SecretManifest | undefined {
  return catalog.secrets.filter((one) => one.namespace === namespace && one.name === name).at(-1);
}

export function findConfigMap(catalog: Catalog, namespace: string, name: string): ConfigMapManifest | undefined {
  return catalog.configMaps.filter((one) => one.namespace === namespace && one.name === name).at(-1);
}

/** Objects of one name in one `-f` that differ: whoever applies the folder gets one of them, and cannot say which. */
export function duplicates(catalog: Catalog): Problem[] {
  const seen = new Map<string, Manifest>();
  return catalog.manifests.flatMap((manifest) => {
    const { kind, namespace, name, document } = manifest;
    if (name === '') return [];
    const key = JSON.stringify([document.source, kind, namespace, name]);
    const first = seen.get(key);
    if (!first) {
      seen.set(key, manifest);
      return [];
    }
    if (sameSpec(first, manifest)) return [];
    const { line } = first.document.locate([]);
    const message = `${kind} ${name} is in ${first.document.file}:${line}, too, and differs: one of them replaces the other`;
    return [problemAt(manifest, 'metadata.name', message, 'warning')];
  });
}

function sameSpec(one: Manifest, other: Manifest): boolean {
  return JSON.stringify(one.object.spec) === JSON.stringify(other.object.spec);
}
