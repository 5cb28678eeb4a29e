// The embedded store: one SQLite file, opened by each thread of the one process that holds its lock.
import { chmodSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { StoreClosedError } from '../errors.ts';
import type { Store } from '../store.ts';
import { approvals, jobs } from './asked.ts';
import type { Access } from './access.ts';
import { conversations } from './conversations.ts';
import { decisions } from './decisions.ts';
import { engines } from './engines.ts';
import { storeError } from './failures.ts';
import { gateway } from './gateway.ts';
import { GroupCommit } from './group-commit.ts';
import { Hints } from './hints.ts';
import { journal } from './journal.ts';
import { knowledge } from './knowledge.ts';
import { ledger } from './ledger.ts';
import { log } from './log.ts';
import { migrate } from './migrations.ts';
import { published } from './published.ts';
import { queues } from './queues.ts';
import { runRequests } from './run-requests.ts';
import { runs } from './runs.ts';
import { sandboxes } from './sandboxes.ts';
import { prepareStatements } from './statements.ts';

export interface SqliteStoreOptions {
  /** How long a write waits for another thread's, in milliseconds. */
  busyTimeout?: number;
  /** The size beyond which the database does not grow; StoreFullError from there on. Absent: what the disk holds. */
  maxBytes?: number;
}

/**
 * Opens the store, and makes it if it isn't there. Each thread opens its own; `lockStore` keeps other processes out.
 * Throws StoreUnusableError for a file that isn't a store, or is one of a newer Kadre.
 */
export function openSqliteStore(path: string, options: SqliteStoreOptions = {}): Store {
  const db = openDatabase(path, options);
  const hints = new Hints(path);
  const publish = hints.publish.bind(hints);
  const commits = new GroupCommit(db, { path, busyTimeout: options.busyTimeout ?? 30_000, publish });
  const access: Access = {
    sql: prepareStatements(db),
    write: commits.run.bind(commits),
    // Reads see the last commit: writes happen in one go, between turns.
    read: (work) => {
      if (!db.isOpen) return Promise.reject(new StoreClosedError('the store is closed'));
      try {
        return Promise.resolve(work());
      } catch (error) {
        return Promise.reject(storeError(error, path));
      }
    },
  };
  return {
    ...runs(access),
    ...engines(access),
    ...log(access),
    ...queues(access),
    ...jobs(access),
    ...approvals(access),
    ...published(access),
    ...gateway(access),
    ...ledger(access),
    ...journal(access),
    ...knowledge(access),
    ...decisions(access),
    ...conversations(access),
    ...sandboxes(access),
    ...runRequests(access),
    subscribe: hints.subscribe.bind(hints),
    async close() {
      await commits.close();
      hints.close();
      if (db.isOpen) db.close();
    },
  };
}

function openDatabase(path: string, options: SqliteStoreOptions): DatabaseSync {
  let db: DatabaseSync | undefined;
  try {
    db = new DatabaseSync(path, { timeout: options.busyTimeout ?? 30_000 });
    // The file holds the secret that step tokens are signed with. SQLite gives -wal and -shm the same mode.
    chmodSync(path, 0o600);
    db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL');
    migrate(db);
    if (options.maxBytes !== undefined) limitSize(db, options.maxBytes);
    // From here on the writer waits without blocking the event loop.
    db.exec('PRAGMA busy_timeout = 0');
    return db;
  } catch (error) {
    db?.close();
    throw storeError(error, path);
  }
}

function limitSize(db: DatabaseSync, maxBytes: number): void {
  const { page_size: pageSize } = db.prepare('PRAGMA page_size').get() as { page_size: number };
  db.exec(`PRAGMA max_page_count = ${Math.max(1, Math.floor(maxBytes / pageSize))}`);
}
