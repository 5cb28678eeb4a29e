// Documents that agents search, and their vectors. With pgvector the server looks for the nearest; without it, all vectors of a
// Knowledge are read once and kept in memory.
import {
  embeddedText,
  type ChunkClaim,
  type KnowledgeHead,
  type KnowledgeIndex,
  type KnowledgeName,
} from '../knowledge.ts';
import { foundIn, stateOf, type ChunkRow, type KnowledgeRow } from '../knowledge-rows.ts';
import { ExactSearch, nearestIn, type Near, type VectorRow } from '../vectors/exact-search.ts';
import type { Access } from './access.ts';
import { plain } from './batches.ts';
import { createPgvector } from './pgvector.ts';

const ownerOf = ({ namespace, name }: KnowledgeName): string => `${namespace}/${name}`;

interface ClaimRow extends KnowledgeHead {
  hash: string;
  title: string;
  text: string;
}

export function knowledge(access: Access): KnowledgeIndex {
  const { db } = access;
  const rowOf = async (of: KnowledgeName): Promise<KnowledgeRow | undefined> =>
    (await db.read<KnowledgeRow>('knowledge', [ownerOf(of)]))[0];
  const nearest = searching(access);
  return {
    ...writing(access),
    ...embedding(access),
    knowledge: async (of) => stateOf(await rowOf(of)),
    knowledges: () => db.read<KnowledgeHead>('knowledges'),
    knowledgeDocuments: async (of) => {
      const rows = await db.read<{ document: string; hash: string }>('knowledgeDocuments', [ownerOf(of)]);
      return new Map(rows.map(({ document, hash }) => [document, hash]));
    },
    searchKnowledge: async (of, space, vector, limit) => {
      const row = await rowOf(of);
      const { chunks = 0, indexed = 0 } = row ?? {};
      if (row?.space !== space) return { found: [], chunks, indexed: 0 };
      const near = await nearest(ownerOf(of), row.version, vector, limit);
      const found = await db.read<ChunkRow>('chunksOf', [ownerOf(of), JSON.stringify(near.map(({ hash }) => hash))]);
      return { found: foundIn(found, near), chunks, indexed };
    },
  };
}

function searching({ db }: Access) {
  const pgvector = createPgvector(db);
  const exact = new ExactSearch();
  return async (owner: string, version: number, asked: Float32Array, limit: number): Promise<Near[]> => {
    const near = await pgvector.nearest(owner, asked, limit);
    if (near) return near;
    const known = exact.known(owner, version, asked.length);
    if (known) return nearestIn(known, asked, limit);
    const rows = await db.read<{ hash: string; vector: Uint8Array }>('vectors', [owner]);
    return nearestIn(exact.keep(owner, version, asked.length, rows.map(vectorOf)), asked, limit);
  };
}

/** As `array_send` writes it: 20 bytes about the array, then each number after its length. */
function vectorOf({ hash, vector }: { hash: string; vector: Uint8Array }): VectorRow {
  const bytes = Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength);
  const length = Math.max(0, (bytes.length - 20) / 8);
  return { hash, vector: Float32Array.from({ length }, (_, index) => bytes.readFloatBE(24 + index * 8)) };
}

function writing({ db, touch }: Access) {
  return {
    openKnowledge: async ({ namespace, name, uid, model, space }) => {
      await db.write('openKnowledge', [JSON.stringify({ namespace, name, uid, model, space })]);
    },
    putKnowledgeDocument: async (of, { id, hash, source, url, chunks }) => {
      const texts = chunks.map((one) => ({ title: plain(one.title), text: plain(one.text), hash: one.hash }));
      const item = { id: plain(id), hash, source, url: plain(url), chunks: texts };
      await db.write('putKnowledgeDocument', [ownerOf(of), JSON.stringify(item)]);
    },
    keepKnowledgeDocuments: async (of, ids, revision) => {
      await db.write('keepKnowledgeDocuments', [ownerOf(of), JSON.stringify(ids.map(plain)), revision]);
      touch('knowledge', ownerOf(of));
    },
    deleteKnowledge: async (of) => {
      await db.write('deleteKnowledge', [ownerOf(of)]);
    },
  } satisfies Partial<KnowledgeIndex>;
}

function embedding({ db }: Access) {
  return {
    claimChunks: async (now, until, limit) => {
      const { rows } = await db.write<ClaimRow>('claimChunks', [now, until, limit]);
      const [first] = rows;
      if (!first) return undefined;
      const { namespace, name, uid, model, space } = first;
      const chunks = rows.map((row) => ({ hash: row.hash, text: embeddedText(row) }));
      return { namespace, name, uid, model, space, chunks } satisfies ChunkClaim;
    },
    putVectors: async (of, space, vectors) => {
      const items = vectors.map(({ hash, vector }) => ({ hash, vector: `{${vector.join(',')}}` }));
      await db.write('putVectors', [ownerOf(of), space, JSON.stringify(items)]);
    },
    releaseChunks: async (of, hashes, { reason, message }, retryAt) => {
      const why = JSON.stringify({ reason, message: plain(message) });
      await db.write('releaseChunks', [ownerOf(of), JSON.stringify(hashes), why, retryAt]);
    },
  } satisfies Partial<KnowledgeIndex>;
}
