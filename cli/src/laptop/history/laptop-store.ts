// The store of one run, together with what it shares with the others: outputs that steps cache, and the log of the run that
// it was forked from.
import { DatabaseSync } from 'node:sqlite';
import { chmodSync } from 'node:fs';
import type { CachedOutput, Store } from '@kadre/store';
import type { ForkedLog } from './folders.ts';

export function laptopStore(store: Store, cache: OutputCache, fork: ForkedLog | undefined): Store {
  const of = (uid: string): ForkedLog | undefined => (uid === fork?.submission.uid ? fork : undefined);
  return {
    ...store,
    submission: (uid) => {
      const forked = of(uid);
      return forked ? Promise.resolve(forked.submission) : store.submission(uid);
    },
    events: (uid, afterSeq = 0) => {
      const forked = of(uid);
      return forked ? Promise.resolve(forked.events.filter(({ seq }) => seq > afterSeq)) : store.events(uid, afterSeq);
    },
    append: async (uid, expectedSeq, events, effects) => {
      await store.append(uid, expectedSeq, events, effects);
      if (effects?.cache && effects.cache.length > 0) cache.put(effects.cache);
    },
    cachedOutput: (key, now) => Promise.resolve(cache.get(key, now)),
  };
}

export interface OutputCache {
  get(key: string, now: number): CachedOutput | undefined;
  put(outputs: readonly CachedOutput[]): void;
  close(): void;
}

interface Row {
  key: string;
  output: string;
  run: string;
  expires_at: number;
}

/** Shared by all processes of this user. Opened at the first step that caches. */
export function openOutputCache(path: string, now: () => number = Date.now): OutputCache {
  let opened: DatabaseSync | undefined;
  const database = (): DatabaseSync => (opened ??= openDatabase(path, now()));
  return {
    get: (key, at) => {
      const row = database().prepare('SELECT * FROM outputs WHERE key = ? AND expires_at > ?').get(key, at) as
        Row | undefined;
      return row && { key, output: JSON.parse(row.output) as unknown, run: row.run, expiresAt: row.expires_at };
    },
    put: (outputs) => {
      const insert = database().prepare('INSERT OR REPLACE INTO outputs VALUES (?, ?, ?, ?)');
      for (const { key, output, run, expiresAt } of outputs)
        insert.run(key, JSON.stringify(output ?? null), run, expiresAt);
    },
    close: () => opened?.close(),
  };
}

function openDatabase(path: string, now: number): DatabaseSync {
  const database = new DatabaseSync(path, { timeout: 10_000 });
  chmodSync(path, 0o600);
  database.exec(`
    PRAGMA journal_mode = WAL;
    CREATE TABLE IF NOT EXISTS outputs (key TEXT PRIMARY KEY, output TEXT, run TEXT, expires_at INTEGER) STRICT;
  `);
  database.prepare('DELETE FROM outputs WHERE expires_at <= ?').run(now);
  return database;
}
