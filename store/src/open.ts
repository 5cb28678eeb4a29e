// Where a store is, in one word: a file, or a database.
import { openSqliteStore } from './sqlite/sqlite-store.ts';
import type { PostgresStoreOptions } from './postgres/settings.ts';
import type { Store } from './store.ts';

/** Opens the store at a `postgres://` URL or in a file. Throws as {@link openPostgresStore} and openSqliteStore do. */
export async function openStore(location: string): Promise<Store> {
  return isPostgres(location) ? openPostgresStore(location) : openSqliteStore(location);
}

/** Whether several processes may share the store; one in a file must be locked (`lockStore`). */
export function isPostgres(location: string): boolean {
  return /^postgres(ql)?:/.test(location);
}

/**
 * Opens the store, and makes its schema if it isn't there. Throws StoreUnusableError if the database can't be used, with
 * what to do about it, and StoreBusyError if it could not be reached in time. A database that goes away later is waited
 * for, up to `patience`.
 */
export async function openPostgresStore(where: string | PostgresStoreOptions): Promise<Store> {
  // Most processes keep their store in a file and need no driver.
  const { connectStore } = await import('./postgres/postgres-store.ts');
  return connectStore(where);
}
