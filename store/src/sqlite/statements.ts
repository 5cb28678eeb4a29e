// Every SQL statement, prepared once per connection, and the rows they give.
import type { DatabaseSync } from 'node:sqlite';

export interface RunRow {
  id: number;
  uid: string;
  namespace: string;
  name: string;
  subject: string;
  workflow: string;
  input: string;
  cancellation: string | null;
  closed: number;
  last_seq: number;
}

export interface EventRow {
  seq: number;
  at: number;
  type: string;
  data: string;
}

export interface ProjectionRow {
  version: number;
  body: string;
}

export interface JobRow {
  key: string;
  request: string;
  state: 'requested' | 'created' | 'finished';
  uid: string | null;
  outcome: string | null;
  abandoned: number;
}

export interface UsageRow {
  input_tokens: number;
  output_tokens: number;
  cost_nano_usd: number;
  unpriced: number;
}

export type Statements = ReturnType<typeof prepareStatements>;

export function prepareStatements(db: DatabaseSync) {
  const sql = (text: string) => db.prepare(text);
  return {
    insertRun: sql(
      'INSERT INTO runs (uid, namespace, name, subject, workflow, input) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (uid) DO NOTHING',
    ),
    cancelRun: sql('UPDATE runs SET cancellation = ? WHERE uid = ? AND closed = 0 AND cancellation IS NULL'),
    openRuns: sql('SELECT uid FROM runs WHERE closed = 0 ORDER BY id'),
    run: sql('SELECT * FROM runs WHERE uid = ?'),
    runHead: sql('SELECT id, closed, last_seq FROM runs WHERE uid = ?'),
    cancellation: sql('SELECT cancellation FROM runs WHERE uid = ?'),
    advanceRun: sql('UPDATE runs SET last_seq = ?, closed = ? WHERE id = ?'),

    events: sql(
      'SELECT seq, at, type, data FROM events WHERE run = (SELECT id FROM runs WHERE uid = ?) AND seq > ? ORDER BY seq',
    ),
    insertEvent: sql('INSERT INTO events (run, seq, at, type, data) VALUES (?, ?, ?, ?, ?)'),

    projection: sql('SELECT version, body FROM projections WHERE uid = ?'),
    upsertProjection: sql(
      'INSERT INTO projections (uid, version, body) VALUES (?, 1, ?) ON CONFLICT (uid) DO UPDATE SET version = version + 1, body = excluded.body WHERE body <> excluded.body',
    ),

    insertJob: sql('INSERT INTO jobs (key, run, request) VALUES (?, ?, ?) ON CONFLICT (key) DO NOTHING'),
    abandonJob: sql("UPDATE jobs SET abandoned = 1 WHERE key = ? AND abandoned = 0 AND state <> 'finished'"),
    openJobs: sql(
      "SELECT key, request, state, uid, outcome, abandoned FROM jobs WHERE state <> 'finished' ORDER BY id",
    ),
    job: sql('SELECT key, request, state, uid, outcome, abandoned FROM jobs WHERE key = ?'),
    jobsOfRun: sql('SELECT key, request, state, uid, outcome, abandoned FROM jobs WHERE run = ? ORDER BY id'),
    jobCreated: sql("UPDATE jobs SET state = 'created', uid = ? WHERE key = ? AND state = 'requested'"),
    finishJob: sql("UPDATE jobs SET state = 'finished', outcome = ? WHERE key = ? AND state <> 'finished'"),

    insertUsage: sql(
      'INSERT INTO usage (id, at, namespace, agent, model, run, step, attempt, input_tokens, output_tokens, cost_nano_usd) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING',
    ),
    usage: sql(
      'SELECT coalesce(sum(input_tokens), 0) AS input_tokens, coalesce(sum(output_tokens), 0) AS output_tokens, coalesce(sum(cost_nano_usd), 0) AS cost_nano_usd, count(*) - count(cost_nano_usd) AS unpriced FROM usage WHERE run = ? AND step = ? AND attempt = ?',
    ),

    insertSecret: sql('INSERT INTO secrets (name, value) VALUES (?, ?) ON CONFLICT (name) DO NOTHING'),
    secret: sql('SELECT value FROM secrets WHERE name = ?'),
  };
}
