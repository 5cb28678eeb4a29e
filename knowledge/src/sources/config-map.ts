// A ConfigMap whose keys are documents.
import type { KnowledgeSource } from '@kadre/crds';
import type { RawDocument } from '../documents.ts';
import { SourceError } from '../source-error.ts';
import { kindOf } from '../text.ts';

export interface ConfigMap {
  data: Record<string, string>;
  /** Keys of what is no text. */
  binaryKeys: string[];
}

/** Undefined if there is none. */
export type ReadConfigMap = (namespace: string, name: string) => Promise<ConfigMap | undefined>;

export async function readConfigMapSource(
  { name, keys }: NonNullable<KnowledgeSource['configMap']>,
  namespace: string,
  read: ReadConfigMap,
): Promise<RawDocument[]> {
  const found = await read(namespace, name);
  if (!found)
    throw new SourceError('ConfigMapNotFound', `There is no ConfigMap ${name} in namespace ${namespace}. Create it.`);
  const wanted = keys ?? [...Object.keys(found.data), ...found.binaryKeys];
  const missing = wanted.filter((key) => !Object.hasOwn(found.data, key) && !found.binaryKeys.includes(key));
  if (missing.length > 0) {
    const there = Object.keys(found.data).slice(0, 10).join(', ');
    throw new SourceError(
      'KeyNotFound',
      `ConfigMap ${name} has no key ${missing.join(', ')}; it has ${there || 'none'}.`,
    );
  }
  return wanted.map((key) => {
    const kind = found.binaryKeys.includes(key) ? undefined : kindOf(key);
    if (!kind) throw unsupported(`key ${key} of ConfigMap ${name}`);
    return { path: key, url: `configmap:${namespace}/${name}/${key}`, kind, content: found.data[key] ?? '' };
  });
}

export const unsupported = (what: string): SourceError =>
  new SourceError(
    'UnsupportedDocument',
    `The ${what} is neither text, nor Markdown, nor HTML: leave it out, or turn it into text.`,
  );
