// Documents that agents search, and their vectors.
import {
  embeddedText,
  type ChunkClaim,
  type FoundChunk,
  type KnowledgeHead,
  type KnowledgeIndex,
  type KnowledgeName,
} from '../knowledge.ts';
import { foundIn, stateOf, type ChunkRow, type KnowledgeRow } from '../knowledge-rows.ts';
import { ExactSearch, type VectorRow } from '../vectors/exact-search.ts';
import type { Access } from './access.ts';
import type { Statements } from './statements.ts';

const ownerOf = ({ namespace, name }: KnowledgeName): string => `${namespace}/${name}`;

export function knowledge({ sql, write, read }: Access): KnowledgeIndex {
  const search = new ExactSearch();
  const rowOf = (of: KnowledgeName): KnowledgeRow | undefined =>
    sql.knowledge.get(ownerOf(of)) as KnowledgeRow | undefined;
  return {
    ...writing({ sql, write, read }),
    ...embedding({ sql, write, read }),
    knowledge: (of) => read(() => stateOf(rowOf(of))),
    knowledges: () => read(() => sql.knowledges.all() as unknown as KnowledgeHead[]),
    knowledgeDocuments: (of) =>
      read(() => {
        const rows = sql.knowledgeDocuments.all(ownerOf(of)) as unknown as { document: string; hash: string }[];
        return new Map(rows.map(({ document, hash }) => [document, hash]));
      }),
    searchKnowledge: (of, space, vector, limit) =>
      read(() => {
        const row = rowOf(of);
        const { chunks = 0, indexed = 0 } = row ?? {};
        if (row?.space !== space) return { found: [], chunks, indexed: 0 };
        const owner = ownerOf(of);
        const vectors = (): VectorRow[] => vectorsOf(sql, owner);
        const near = search.nearest(owner, row.version, vectors, vector, limit);
        const found = sql.chunksOf.all(owner, JSON.stringify(near.map(({ hash }) => hash))) as unknown as ChunkRow[];
        return { found: foundIn(found, near) satisfies FoundChunk[], chunks, indexed };
      }),
  };
}

function vectorsOf(sql: Statements, owner: string): VectorRow[] {
  const rows = sql.vectors.all(owner) as unknown as { hash: string; vector: Uint8Array }[];
  return rows.map(({ hash, vector }) => ({ hash, vector: new Float32Array(Uint8Array.from(vector).buffer) }));
}

function writing({ sql, write }: Access) {
  return {
    openKnowledge: ({ namespace, name, uid, model, space }) =>
      write(() => {
        const owner = ownerOf({ namespace, name });
        const before = sql.knowledge.get(owner) as KnowledgeRow | undefined;
        if (before?.uid === uid && before.model === model && before.space === space) return;
        sql.openKnowledge.run(owner, namespace, name, uid, model, space);
        if (before && before.space !== space) sql.forgetVectors.run(owner);
      }),
    putKnowledgeDocument: (of, { id, hash, source, url, chunks }) =>
      write(() => {
        const owner = ownerOf(of);
        if (!sql.knowledge.get(owner)) return;
        sql.deleteDocument.run(owner, id);
        sql.insertDocument.run(owner, id, hash, source, url);
        for (const [position, chunk] of chunks.entries()) {
          sql.insertChunk.run(owner, id, position, chunk.title, chunk.text, chunk.hash);
          sql.wantVector.run(owner, chunk.hash);
        }
      }),
    keepKnowledgeDocuments: (of, ids, revision) =>
      write((touch) => {
        const owner = ownerOf(of);
        sql.deleteOtherDocuments.run(owner, JSON.stringify(ids));
        sql.deleteLooseVectors.run(owner);
        sql.reviseKnowledge.run(revision, owner);
        touch('knowledge', owner);
      }),
    deleteKnowledge: (of) =>
      write(() => {
        for (const statement of [sql.deleteKnowledge, sql.deleteDocuments, sql.deleteVectors])
          statement.run(ownerOf(of));
      }),
  } satisfies Partial<KnowledgeIndex>;
}

function embedding({ sql, write }: Access) {
  return {
    claimChunks: (now, until, limit) =>
      write(() => {
        const head = sql.wantingKnowledge.get(now) as (KnowledgeHead & { owner: string }) | undefined;
        if (!head) return undefined;
        const { owner, ...rest } = head;
        const rows = sql.claimChunks.all(until, owner, now, limit) as unknown as { hash: string }[];
        const chunks = rows.flatMap(({ hash }) => {
          // Its document may just have been put in place anew.
          const chunk = sql.chunkOf.get(owner, hash) as { title: string; text: string } | undefined;
          return chunk ? [{ hash, text: embeddedText(chunk) }] : [];
        });
        return { ...rest, chunks } satisfies ChunkClaim;
      }),
    putVectors: (of, space, vectors) =>
      write(() => {
        const owner = ownerOf(of);
        if ((sql.knowledge.get(owner) as KnowledgeRow | undefined)?.space !== space) return;
        for (const { hash, vector } of vectors) {
          sql.putVector.run(new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength), owner, hash);
        }
        sql.vectorsArrived.run(owner);
      }),
    releaseChunks: (of, hashes, failure, retryAt) =>
      write(() => {
        for (const hash of hashes) sql.releaseChunk.run(ownerOf(of), hash);
        sql.embeddingFailed.run(JSON.stringify(failure), retryAt, ownerOf(of));
      }),
  } satisfies Partial<KnowledgeIndex>;
}
