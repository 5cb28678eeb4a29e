// Brings the schema up to date. Several processes may do this at once: an advisory lock puts them in a row.
import { escapeIdentifier, type ClientBase } from 'pg';
import { StoreUnusableError } from '../errors.ts';
import { migrations } from './schema.ts';

const OLDEST_SERVER = 130_000;

/** In one transaction. Throws StoreUnusableError if a newer Kadre was here, or the database is of no use. */
export async function migrate(client: ClientBase, schema: string): Promise<void> {
  await client.query('BEGIN');
  try {
    await client.query('SELECT pg_advisory_xact_lock(hashtextextended($1, 0))', [`kadre/migrate/${schema}`]);
    await refuseUseless(client);
    await makeSchema(client, schema);
    const version = await currentVersion(client);
    if (version > migrations.length) {
      throw new StoreUnusableError(
        `the store has schema ${version}, this Kadre knows ${migrations.length}: run the Kadre that wrote it, or a newer one`,
      );
    }
    for (const sql of migrations.slice(version)) await client.query(sql);
    if (version < migrations.length) await client.query('INSERT INTO schema_version VALUES ($1)', [migrations.length]);
    await client.query('COMMIT');
  } catch (error) {
    await client.query('ROLLBACK').catch(() => undefined);
    throw error;
  }
}

async function refuseUseless(client: ClientBase): Promise<void> {
  const { rows } = await client.query<{ version: string; encoding: string; name: string }>(
    "SELECT current_setting('server_version_num') AS version, current_setting('server_encoding') AS encoding, current_database() AS name",
  );
  const [{ version, encoding, name } = { version: '0', encoding: '', name: '' }] = rows;
  if (Number(version) < OLDEST_SERVER)
    throw new StoreUnusableError('the server is older than PostgreSQL 13, which Kadre needs: upgrade it');
  if (encoding !== 'UTF8') {
    throw new StoreUnusableError(
      `database ${name} has the encoding ${encoding} and can't hold all text: make one with CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0`,
    );
  }
}

/** CREATE SCHEMA IF NOT EXISTS asks for the right to create one even where there is nothing to do. */
async function makeSchema(client: ClientBase, schema: string): Promise<void> {
  const { rowCount } = await client.query('SELECT FROM pg_namespace WHERE nspname = $1', [schema]);
  if (rowCount === 0) await client.query(`CREATE SCHEMA ${escapeIdentifier(schema)}`);
  const { rows } = await client.query<{ there: boolean }>('SELECT to_regclass($1) IS NOT NULL AS there', [
    `${escapeIdentifier(schema)}.schema_version`,
  ]);
  if (rows[0]?.there !== true) await client.query('CREATE TABLE schema_version (version integer NOT NULL)');
}

async function currentVersion(client: ClientBase): Promise<number> {
  const { rows } = await client.query<{ version: number }>(
    'SELECT coalesce(max(version), 0) AS version FROM schema_version',
  );
  return rows[0]?.version ?? 0;
}
