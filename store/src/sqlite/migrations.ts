// The schema, as numbered steps that only go forward. A step that was released is never edited.
import type { DatabaseSync } from 'node:sqlite';
import { StoreUnusableError } from '../errors.ts';

const migrations = [
  `
  CREATE TABLE runs (
    id INTEGER PRIMARY KEY,
    uid TEXT NOT NULL UNIQUE,
    namespace TEXT NOT NULL,
    name TEXT NOT NULL,
    subject TEXT NOT NULL,
    workflow TEXT NOT NULL,
    input TEXT NOT NULL,
    cancellation TEXT,
    closed INTEGER NOT NULL DEFAULT 0,
    last_seq INTEGER NOT NULL DEFAULT 0
  ) STRICT;
  CREATE INDEX runs_open ON runs (id) WHERE closed = 0;

  CREATE TABLE events (
    run INTEGER NOT NULL REFERENCES runs (id),
    seq INTEGER NOT NULL,
    at INTEGER NOT NULL,
    type TEXT NOT NULL,
    data TEXT NOT NULL,
    PRIMARY KEY (run, seq)
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE projections (
    uid TEXT PRIMARY KEY,
    version INTEGER NOT NULL,
    body TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE jobs (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    run TEXT NOT NULL,
    request TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'requested' CHECK (state IN ('requested', 'created', 'finished')),
    uid TEXT,
    outcome TEXT,
    abandoned INTEGER NOT NULL DEFAULT 0
  ) STRICT;
  CREATE INDEX jobs_open ON jobs (id) WHERE state <> 'finished';
  CREATE INDEX jobs_of_run ON jobs (run);

  CREATE TABLE usage (
    id TEXT PRIMARY KEY,
    at INTEGER NOT NULL,
    namespace TEXT NOT NULL,
    agent TEXT NOT NULL,
    model TEXT NOT NULL,
    run TEXT,
    step TEXT,
    attempt INTEGER,
    input_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    cost_nano_usd INTEGER
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX usage_of_step ON usage (run, step, attempt) WHERE run IS NOT NULL;

  CREATE TABLE secrets (
    name TEXT PRIMARY KEY,
    value BLOB NOT NULL
  ) STRICT, WITHOUT ROWID;
  `,
  `
  ALTER TABLE runs ADD COLUMN workflows TEXT;
  ALTER TABLE runs ADD COLUMN limits TEXT;
  ALTER TABLE runs ADD COLUMN requested_by TEXT;
  ALTER TABLE runs ADD COLUMN priority REAL;
  ALTER TABLE runs ADD COLUMN fork TEXT;
  ALTER TABLE runs ADD COLUMN suspended INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE runs ADD COLUMN owner INTEGER;
  ALTER TABLE runs ADD COLUMN closed_at INTEGER;
  UPDATE runs SET closed_at = coalesce((SELECT max(at) FROM events WHERE run = runs.id), 0) WHERE closed = 1;
  CREATE INDEX runs_by_name ON runs (namespace, name);
  CREATE INDEX runs_closed ON runs (closed_at, id) WHERE closed = 1;
  CREATE INDEX runs_free ON runs (id) WHERE closed = 0 AND owner IS NULL;
  CREATE INDEX runs_owned ON runs (owner) WHERE closed = 0 AND owner IS NOT NULL;

  -- A run that was forgotten must not begin again when somebody submits it once more.
  CREATE TABLE forgotten_runs (
    uid TEXT PRIMARY KEY
  ) STRICT, WITHOUT ROWID;

  -- AUTOINCREMENT: a number is never given twice, even when its row is gone.
  CREATE TABLE engines (
    epoch INTEGER PRIMARY KEY AUTOINCREMENT,
    expires_at INTEGER NOT NULL
  ) STRICT;

  CREATE TABLE approvals (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    run TEXT NOT NULL,
    request TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'decided', 'withdrawn')),
    decision TEXT
  ) STRICT;
  CREATE INDEX approvals_open ON approvals (id) WHERE state = 'open';
  CREATE INDEX approvals_of_run ON approvals (run);

  CREATE TABLE published_events (
    number INTEGER PRIMARY KEY,
    namespace TEXT NOT NULL,
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    payload TEXT NOT NULL,
    at INTEGER NOT NULL,
    UNIQUE (namespace, id)
  ) STRICT;
  CREATE INDEX published_events_by_name ON published_events (namespace, name, at);
  CREATE INDEX published_events_by_age ON published_events (at);

  CREATE TABLE cached_outputs (
    key TEXT PRIMARY KEY,
    output TEXT NOT NULL,
    run TEXT NOT NULL,
    expires_at INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX cached_outputs_by_expiry ON cached_outputs (expires_at);

  CREATE TABLE queue_entries (
    id INTEGER PRIMARY KEY,
    queue TEXT NOT NULL,
    run TEXT NOT NULL,
    places INTEGER NOT NULL,
    priority REAL NOT NULL,
    admitted INTEGER NOT NULL DEFAULT 0,
    UNIQUE (queue, run)
  ) STRICT;
  CREATE INDEX queue_entries_of_run ON queue_entries (run);
  CREATE INDEX queue_entries_in_order ON queue_entries (queue, admitted, priority DESC, id);
  `,
  `
  CREATE TABLE balances (
    account TEXT NOT NULL,
    period TEXT NOT NULL,
    ends_at INTEGER,
    spent_cost INTEGER NOT NULL DEFAULT 0,
    spent_tokens INTEGER NOT NULL DEFAULT 0,
    spent_requests INTEGER NOT NULL DEFAULT 0,
    reserved_cost INTEGER NOT NULL DEFAULT 0,
    reserved_tokens INTEGER NOT NULL DEFAULT 0,
    reserved_requests INTEGER NOT NULL DEFAULT 0,
    unpriced INTEGER NOT NULL DEFAULT 0,
    refusals INTEGER NOT NULL DEFAULT 0,
    last_refused TEXT,
    PRIMARY KEY (account, period)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX balances_by_end ON balances (ends_at) WHERE ends_at IS NOT NULL;

  -- One that is settled stays for a while: whoever asks twice must be recognised.
  CREATE TABLE reservations (
    id TEXT PRIMARY KEY,
    expires_at INTEGER NOT NULL,
    cost INTEGER NOT NULL,
    tokens INTEGER NOT NULL,
    charged TEXT NOT NULL,
    settled INTEGER NOT NULL DEFAULT 0
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX reservations_open ON reservations (expires_at) WHERE settled = 0;
  CREATE INDEX reservations_by_expiry ON reservations (expires_at);

  CREATE TABLE journal (
    run TEXT NOT NULL,
    step TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    call INTEGER NOT NULL,
    hash TEXT NOT NULL,
    kind TEXT NOT NULL,
    answer TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (run, step, attempt, call)
  ) STRICT;
  `,
  `
  CREATE TABLE decisions (
    id TEXT PRIMARY KEY,
    at INTEGER NOT NULL,
    kind TEXT NOT NULL,
    namespace TEXT NOT NULL,
    agent TEXT NOT NULL,
    run TEXT,
    step TEXT,
    attempt INTEGER,
    call TEXT NOT NULL,
    subject TEXT NOT NULL,
    chosen TEXT,
    reason TEXT NOT NULL,
    alternatives TEXT NOT NULL,
    version TEXT NOT NULL
  ) STRICT;
  CREATE INDEX decisions_of_run ON decisions (run, at) WHERE run IS NOT NULL;
  CREATE INDEX decisions_of_namespace ON decisions (namespace, at);
  CREATE INDEX decisions_by_age ON decisions (at) WHERE run IS NULL;
  `,
  `
  CREATE TABLE sandboxes (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    namespace TEXT NOT NULL,
    pool TEXT NOT NULL,
    url TEXT NOT NULL,
    key TEXT NOT NULL,
    claim TEXT UNIQUE,
    spent INTEGER NOT NULL DEFAULT 0
  ) STRICT;
  CREATE INDEX sandboxes_of_pool ON sandboxes (namespace, pool, number);

  CREATE TABLE sandbox_claims (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    namespace TEXT NOT NULL,
    pool TEXT NOT NULL,
    spec TEXT NOT NULL,
    expires_at INTEGER NOT NULL
  ) STRICT;
  `,
  `
  CREATE TABLE turns (
    namespace TEXT NOT NULL,
    agent TEXT NOT NULL,
    conversation TEXT NOT NULL,
    seq INTEGER NOT NULL,
    id TEXT NOT NULL,
    at INTEGER NOT NULL,
    size INTEGER NOT NULL,
    messages TEXT NOT NULL,
    PRIMARY KEY (namespace, agent, conversation, seq)
  ) STRICT;
  CREATE INDEX turns_by_id ON turns (namespace, agent, id);
  CREATE INDEX turns_by_age ON turns (at);
  `,
  `
  CREATE TABLE knowledges (
    owner TEXT PRIMARY KEY,
    namespace TEXT NOT NULL,
    name TEXT NOT NULL,
    uid TEXT NOT NULL,
    model TEXT NOT NULL,
    space TEXT NOT NULL,
    revision TEXT NOT NULL DEFAULT '',
    -- Begins anywhere, so that nobody takes a namesake for its predecessor.
    version INTEGER NOT NULL DEFAULT (abs(random() % 1000000000)),
    failure TEXT,
    retry_at INTEGER NOT NULL DEFAULT 0
  ) STRICT;
  CREATE TABLE knowledge_documents (
    owner TEXT NOT NULL,
    document TEXT NOT NULL,
    hash TEXT NOT NULL,
    source TEXT NOT NULL,
    url TEXT NOT NULL,
    PRIMARY KEY (owner, document)
  ) STRICT;
  CREATE TABLE knowledge_chunks (
    owner TEXT NOT NULL,
    document TEXT NOT NULL,
    position INTEGER NOT NULL,
    title TEXT NOT NULL,
    text TEXT NOT NULL,
    hash TEXT NOT NULL,
    PRIMARY KEY (owner, document, position)
  ) STRICT;
  CREATE INDEX knowledge_chunks_by_hash ON knowledge_chunks (owner, hash);
  CREATE TRIGGER knowledge_documents_gone AFTER DELETE ON knowledge_documents BEGIN
    DELETE FROM knowledge_chunks WHERE owner = old.owner AND document = old.document;
  END;
  CREATE TABLE knowledge_vectors (
    owner TEXT NOT NULL,
    hash TEXT NOT NULL,
    vector BLOB,
    claimed_until INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (owner, hash)
  ) STRICT;
  CREATE INDEX knowledge_vectors_wanted ON knowledge_vectors (owner, claimed_until) WHERE vector IS NULL;
  `,
  `
  CREATE TABLE run_requests (
    number INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    request TEXT NOT NULL,
    at INTEGER NOT NULL,
    state TEXT NOT NULL DEFAULT 'requested',
    uid TEXT UNIQUE,
    failure TEXT,
    cancelled INTEGER NOT NULL DEFAULT 0
  ) STRICT;
  CREATE INDEX run_requests_open ON run_requests (number) WHERE state IN ('requested', 'made');
  `,
];

/** Brings the schema up to date in one transaction. Several threads may do this at once. `target`: an earlier schema. */
export function migrate(db: DatabaseSync, target = migrations.length): void {
  db.exec('BEGIN IMMEDIATE');
  try {
    const { user_version: version } = db.prepare('PRAGMA user_version').get() as { user_version: number };
    if (version > migrations.length) {
      throw new StoreUnusableError(
        `the store has schema ${version}, this Kadre knows ${migrations.length}: run the Kadre that wrote it, or a newer one`,
      );
    }
    for (const sql of migrations.slice(version, target)) db.exec(sql);
    db.exec(`PRAGMA user_version = ${target}`);
    db.exec('COMMIT');
  } catch (error) {
    if (db.isTransaction) db.exec('ROLLBACK');
    throw error;
  }
}
