// One document as the store keeps it.
import type { KnowledgeSpec } from '@kadre/crds';
import type { KnowledgeDocument } from '@kadre/store';
import { createHash } from 'node:crypto';
import { passagesOf } from './chunks.ts';
import { oneLine, readText, type TextKind } from './text.ts';

/** As a source gives it. */
export interface RawDocument {
  /** Unique in its source, such as a path. */
  path: string;
  url: string;
  kind: TextKind;
  content: string;
}

/** A new number makes all documents be cut anew. */
const VERSION = 1;
const MOST_URL = 2048;
const MOST_CHUNK_TITLE = 240;

const sha256 = (...parts: unknown[]): string => createHash('sha256').update(JSON.stringify(parts)).digest('hex');

export const documentId = (source: string, path: string): string => `${source}/${path}`;

/** Of all that decides what becomes of it. */
export const hashOf = ({ path, url, kind, content }: RawDocument, chunking: KnowledgeSpec['chunking']): string =>
  sha256(VERSION, path, url, kind, content, chunking.characters, chunking.overlap);

export function documentOf(source: string, raw: RawDocument, chunking: KnowledgeSpec['chunking']): KnowledgeDocument {
  const { title, text } = readText(raw.kind, raw.content);
  const name = title === '' ? oneLine(raw.path.split('/').at(-1) ?? raw.path) : title;
  const chunks = passagesOf(text, chunking, raw.kind !== 'plain').map((passage) => {
    const titles = [name, ...passage.headings.map((one) => oneLine(one))].filter(
      (one, at, all) => all.indexOf(one) === at,
    );
    const chunk = { title: oneLine(titles.join(' › '), MOST_CHUNK_TITLE), text: passage.text };
    return { ...chunk, hash: sha256(chunk.title, chunk.text) };
  });
  return {
    id: documentId(source, raw.path),
    hash: hashOf(raw, chunking),
    source,
    url: oneLine(raw.url, MOST_URL),
    chunks,
  };
}

/** Of all documents together. */
export const revisionOf = (documents: ReadonlyMap<string, string>): string =>
  sha256([...documents].sort(([one], [other]) => (one < other ? -1 : 1))).slice(0, 16);
