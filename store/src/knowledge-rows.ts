// What both databases give of Knowledge.
import type { FoundChunk, KnowledgeState } from './knowledge.ts';
import type { Near } from './vectors/exact-search.ts';

export interface KnowledgeRow {
  namespace: string;
  name: string;
  uid: string;
  model: string;
  space: string;
  revision: string;
  /** Changes with the vectors. */
  version: number;
  /** JSON. */
  failure: string | null;
  documents: number;
  chunks: number;
  indexed: number;
}

export interface ChunkRow extends Omit<FoundChunk, 'score'> {
  hash: string;
}

export function stateOf(row: KnowledgeRow | undefined): KnowledgeState | undefined {
  if (!row) return undefined;
  const { namespace, name, uid, model, space, revision, failure, documents, chunks, indexed } = row;
  return {
    namespace,
    name,
    uid,
    model,
    space,
    revision,
    documents,
    chunks,
    indexed,
    ...(failure !== null && { failure: JSON.parse(failure) as NonNullable<KnowledgeState['failure']> }),
  };
}

/** In the order of what is near; of the same text in several documents, the first. */
export function foundIn(rows: readonly ChunkRow[], near: readonly Near[]): FoundChunk[] {
  const byHash = new Map<string, ChunkRow>();
  for (const row of rows) if (!byHash.has(row.hash)) byHash.set(row.hash, row);
  return near.flatMap(({ hash, score }) => {
    const row = byHash.get(hash);
    if (!row) return [];
    const { source, document, url, title, text } = row;
    return [{ source, document, url, title, text, score }];
  });
}
