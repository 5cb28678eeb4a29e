// The extension pgvector, where the server has it and whoever Kadre connects as may use it. Nothing in the schema needs it, so it
// may come and go.
import { escapeIdentifier } from 'pg';
import type { Near } from '../vectors/exact-search.ts';
import type { Database } from './database.ts';

export interface Pgvector {
  /** Undefined where it is not to be had. */
  nearest(owner: string, asked: Float32Array, limit: number): Promise<Near[] | undefined>;
}

export function createPgvector(db: Database): Pgvector {
  let looking: Promise<string | undefined> | undefined;
  return {
    nearest: async (owner, asked, limit) => {
      looking ??= schemaOf(db);
      const schema = await looking.catch((error: unknown) => {
        looking = undefined;
        throw error;
      });
      if (schema === undefined) return undefined;
      return db.readAs<Near>(`nearest in ${schema}`, nearestText(escapeIdentifier(schema)), [
        owner,
        `[${asked.join(',')}]`,
        asked.length,
        limit,
      ]);
    },
  };
}

interface Extension {
  schema: string | null;
}

const LOOK = `
  SELECT nspname AS schema FROM pg_available_extensions
  LEFT JOIN pg_extension ON extname = 'vector' LEFT JOIN pg_namespace ON pg_namespace.oid = extnamespace
  WHERE pg_available_extensions.name = 'vector'`;

/** Where it is; undefined if it is not there and cannot be made. */
async function schemaOf(db: Database): Promise<string | undefined> {
  const [extension] = await db.readAs<Extension>('look for pgvector', LOOK, []);
  if (!extension || extension.schema !== null) return extension?.schema ?? undefined;
  // Whoever may not make it searches without it; and another process may just have made it.
  await db.readAs('make pgvector', 'CREATE EXTENSION IF NOT EXISTS vector', []).catch(() => undefined);
  const [made] = await db.readAs<Extension>('look for pgvector', LOOK, []);
  return made?.schema ?? undefined;
}

/** Vectors of another length are none of the space that is searched, and cannot be compared. */
const nearestText = (schema: string): string => `
  WITH fitting AS MATERIALIZED (
    SELECT hash, vector::${schema}.vector AS vector FROM knowledge_vectors
    WHERE owner = $1 AND vector IS NOT NULL AND cardinality(vector) = $3
  )
  SELECT hash, 1 - ${schema}.cosine_distance(vector, $2::${schema}.vector) AS score FROM fitting
  ORDER BY score DESC NULLS LAST LIMIT $4`;
