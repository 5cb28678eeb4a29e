// One process at a time may use an embedded store. Its threads share the store freely.
import { DatabaseSync } from 'node:sqlite';
import { StoreLockedError } from '../errors.ts';
import { isBusy, storeError } from './failures.ts';

/**
 * Takes the store for this process; the process's main thread calls it once, before any thread opens the store.
 * Returns what releases it. Throws {@link StoreLockedError} if another process holds it.
 *
 * The lock is SQLite's own on `<path>.lock`: the operating system frees it when the process ends, however it ends.
 */
export function lockStore(path: string): () => void {
  const lockPath = `${path}.lock`;
  let db: DatabaseSync | undefined;
  try {
    db = new DatabaseSync(lockPath, { timeout: 0 });
    db.exec('BEGIN EXCLUSIVE');
  } catch (error) {
    db?.close();
    if (!isBusy(error)) throw storeError(error, lockPath);
    throw new StoreLockedError(
      `another process uses the store ${path}; stop it first, or give this one a store of its own`,
    );
  }
  const held = db;
  return () => {
    if (held.isOpen) held.close();
  };
}
