// Where the database is, and how to reach it. The password goes to the driver and nowhere else.
import type { PoolConfig } from 'pg';
import { parse } from 'pg-connection-string';
import { StoreUnusableError } from '../errors.ts';

export interface PostgresStoreOptions {
  /**
   * `postgres://user:password@host:5432/database`. Parameters as libpq has them: sslmode=verify-full, sslrootcert=<file>,
   * sslcert and sslkey, host=<folder of the socket>; and schema=<name>. What is absent comes from PGHOST, PGPASSWORD …
   */
  url: string;
  /** In which everything is kept; `kadre` if the URL names none either. */
  schema?: string;
  /** How long a call waits for a database that is busy or out of reach, in milliseconds. */
  patience?: number;
  /** How long the server may work at one statement, in milliseconds. */
  statementTimeout?: number;
  /** Connections for statements; one more hears of changes. */
  connections?: number;
}

export interface Settings {
  /** For messages: host, port and database. */
  where: string;
  user: string;
  database: string;
  schema: string;
  patience: number;
  statementTimeout: number;
  driver: PoolConfig;
}

const SSL_MODES = ['disable', 'prefer', 'require', 'verify-ca', 'verify-full'];
/** Above this the server cuts names off. */
const LONGEST_NAME = 63;

/** Throws StoreUnusableError if the options make no sense. */
export function settingsOf(options: PostgresStoreOptions): Settings {
  const { schema: inUrl, driver } = readUrl(options.url);
  const schema = options.schema ?? inUrl ?? 'kadre';
  if (schema === '' || Buffer.byteLength(schema) > LONGEST_NAME || schema.includes('\0') || schema.startsWith('pg_')) {
    throw new StoreUnusableError(
      `the schema's name must have 1 to ${LONGEST_NAME} bytes and not begin with pg_: choose another for ${schema}`,
    );
  }
  const host = driver.host ?? process.env['PGHOST'] ?? 'localhost';
  const port = driver.port ?? process.env['PGPORT'] ?? 5432;
  const user = driver.user ?? process.env['PGUSER'] ?? process.env['USER'] ?? '';
  const database = driver.database ?? process.env['PGDATABASE'] ?? user;
  return {
    where: `${host}:${port}/${database}`,
    user,
    database,
    schema,
    patience: options.patience ?? 30_000,
    statementTimeout: options.statementTimeout ?? 30_000,
    driver: { ...driver, max: options.connections ?? 8 },
  };
}

function readUrl(url: string): { schema: string | undefined; driver: PoolConfig } {
  if (!/^postgres(ql)?:\/\//.test(url)) {
    throw new StoreUnusableError("the store's URL must look like postgres://user@host:5432/database");
  }
  const { schema, sslmode } = parameters(url);
  if (sslmode !== undefined && !SSL_MODES.includes(sslmode)) {
    throw new StoreUnusableError(`sslmode in the store's URL must be one of ${SSL_MODES.join(', ')}`);
  }
  const { host, port, user, password, database, ssl } = parsed(url);
  const driver: PoolConfig = {
    ...(host ? { host } : {}),
    ...(port ? { port: Number(port) } : {}),
    ...(user ? { user } : {}),
    ...(password ? { password } : {}),
    ...(database ? { database } : {}),
    ...(ssl !== undefined && { ssl: ssl as NonNullable<PoolConfig['ssl']> }),
  };
  return { schema, driver };
}

function parameters(url: string): { schema?: string; sslmode?: string } {
  const at = url.indexOf('?');
  return at < 0 ? {} : Object.fromEntries(new URLSearchParams(url.slice(at + 1)));
}

/** What goes wrong here may quote the URL, and with it the password: only the reason for a file is passed on. */
function parsed(url: string): ReturnType<typeof parse> {
  try {
    return parse(url, { useLibpqCompat: true });
  } catch (error) {
    if (typeof error === 'object' && error !== null && 'path' in error && 'code' in error) {
      throw new StoreUnusableError(
        `the file ${String(error.path)} that the store's URL names can't be read: ${String(error.code)}`,
      );
    }
    if (parameters(url).sslmode === 'verify-ca') {
      throw new StoreUnusableError("sslmode=verify-ca in the store's URL needs sslrootcert=<file>, or use verify-full");
    }
    throw new StoreUnusableError(
      "the store's URL can't be read: special characters in its user and password must be percent-encoded, as %40 for @",
    );
  }
}
