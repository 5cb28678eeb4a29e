// Every SQL statement, prepared once per connection, and the rows they give.
import type { DatabaseSync } from 'node:sqlite';
import { ofRunRequests } from './run-request-statements.ts';

/** What an append must know of its run. */
export interface HeadRow {
  id: number;
  closed: number;
  last_seq: number;
  /** The engine that has the run, if it still has its seat. */
  owner: number | null;
}

export interface QueueRow {
  run: string;
  admitted: number;
}

export type Statements = ReturnType<typeof prepareStatements>;

export function prepareStatements(db: DatabaseSync) {
  const sql: Prepare = (text) => db.prepare(text);
  return {
    ...ofRuns(sql),
    ...ofTheLog(sql),
    ...ofEngines(sql),
    ...ofQueues(sql),
    ...ofJobs(sql),
    ...ofApprovals(sql),
    ...ofEvents(sql),
    ...ofTheGateway(sql),
    ...ofTheLedger(sql),
    ...ofTheJournal(sql),
    ...ofDecisions(sql),
    ...ofKnowledge(sql),
    ...ofConversations(sql),
    ...ofSandboxes(sql),
    ...ofRunRequests(sql),
  };
}

type Prepare = (text: string) => ReturnType<DatabaseSync['prepare']>;

const RUN = 'uid, namespace, name, subject, workflow, workflows, input, limits, requested_by, priority, fork';

function ofRuns(sql: Prepare) {
  return {
    insertRun: sql(
      `INSERT INTO runs (${RUN}) SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11
       WHERE NOT EXISTS (SELECT 1 FROM forgotten_runs WHERE uid = ?1) ON CONFLICT (uid) DO NOTHING`,
    ),
    cancelRun: sql('UPDATE runs SET cancellation = ? WHERE uid = ? AND closed = 0 AND cancellation IS NULL'),
    suspendRun: sql('UPDATE runs SET suspended = ?1 WHERE uid = ?2 AND closed = 0 AND suspended <> ?1'),
    findRun: sql('SELECT uid FROM runs WHERE namespace = ? AND name = ? ORDER BY id DESC LIMIT 1'),
    openRuns: sql('SELECT uid FROM runs WHERE closed = 0 ORDER BY id'),
    run: sql(`SELECT ${RUN} FROM runs WHERE uid = ?`),
    controls: sql('SELECT suspended, cancellation FROM runs WHERE uid = ?'),
    projection: sql('SELECT version, body FROM projections WHERE uid = ?'),
    closedRuns: sql(
      `SELECT uid, namespace, name, subject, closed_at AS closedAt FROM runs
       WHERE closed = 1 AND closed_at < ? AND NOT EXISTS (
         SELECT 1 FROM jobs WHERE run = runs.uid AND state <> 'finished'
       ) ORDER BY closed_at, id LIMIT ?`,
    ),
    forgetRun: [
      'INSERT INTO forgotten_runs (uid) VALUES (?)',
      'DELETE FROM events WHERE run = (SELECT id FROM runs WHERE uid = ?)',
      'DELETE FROM projections WHERE uid = ?',
      'DELETE FROM jobs WHERE run = ?',
      'DELETE FROM approvals WHERE run = ?',
      'DELETE FROM journal WHERE run = ?',
      'DELETE FROM decisions WHERE run = ?',
      "DELETE FROM balances WHERE account = 'run/' || ?1 OR (account > 'run/' || ?1 || '/' AND account < 'run/' || ?1 || '0')",
      'DELETE FROM runs WHERE uid = ?',
    ].map(sql),
  };
}

function ofTheLog(sql: Prepare) {
  return {
    runHead: sql(
      `SELECT id, closed, last_seq, (SELECT epoch FROM engines WHERE epoch = owner AND expires_at > ?2) AS owner
       FROM runs WHERE uid = ?1`,
    ),
    advanceRun: sql('UPDATE runs SET last_seq = ? WHERE id = ?'),
    closeRun: sql('UPDATE runs SET closed = 1, closed_at = ? WHERE id = ?'),
    events: sql(
      'SELECT seq, at, type, data FROM events WHERE run = (SELECT id FROM runs WHERE uid = ?) AND seq > ? ORDER BY seq',
    ),
    insertEvent: sql('INSERT INTO events (run, seq, at, type, data) VALUES (?, ?, ?, ?, ?)'),
    upsertProjection: sql(
      `INSERT INTO projections (uid, version, body) VALUES (?, 1, ?) ON CONFLICT (uid)
       DO UPDATE SET version = version + 1, body = excluded.body WHERE body <> excluded.body`,
    ),
  };
}

function ofEngines(sql: Prepare) {
  return {
    evictEngines: sql('DELETE FROM engines WHERE expires_at <= ? RETURNING epoch'),
    evictAll: sql('DELETE FROM engines RETURNING epoch'),
    deleteEngine: sql('DELETE FROM engines WHERE epoch = ? RETURNING epoch'),
    insertEngine: sql('INSERT INTO engines (expires_at) VALUES (?) RETURNING epoch'),
    renewEngine: sql('UPDATE engines SET expires_at = ?3 WHERE epoch = ?1 AND expires_at > ?2'),
    engine: sql('SELECT 1 FROM engines WHERE epoch = ? AND expires_at > ?'),
    releaseRuns: sql('UPDATE runs SET owner = NULL WHERE closed = 0 AND owner = ?'),
    freeRuns: sql('SELECT id, uid FROM runs WHERE closed = 0 AND owner IS NULL ORDER BY id LIMIT ?'),
    takeRun: sql('UPDATE runs SET owner = ? WHERE id = ?'),
  };
}

function ofQueues(sql: Prepare) {
  return {
    insertEntry: sql(
      'INSERT INTO queue_entries (queue, run, places, priority) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING',
    ),
    limitEntry: sql(
      'UPDATE queue_entries SET places = ?3 WHERE queue = ?1 AND run = ?2 AND admitted = 0 AND places <> ?3',
    ),
    entry: sql('SELECT run, admitted FROM queue_entries WHERE queue = ? AND run = ?'),
    /** All of a queue: those at work in the order of their coming, then those that wait in the order of their turn. */
    queue: sql(
      `SELECT run, admitted FROM queue_entries WHERE queue = ?
       ORDER BY admitted DESC, CASE admitted WHEN 1 THEN 0 ELSE -priority END, id`,
    ),
    admitFirst: sql(
      `UPDATE queue_entries SET admitted = 1 WHERE id = (
         SELECT id FROM queue_entries WHERE queue = ?1 AND admitted = 0 ORDER BY priority DESC, id LIMIT 1
       ) AND places > (SELECT count(*) FROM queue_entries WHERE queue = ?1 AND admitted = 1)`,
    ),
    leaveQueue: sql('DELETE FROM queue_entries WHERE queue = ? AND run = ?'),
    leaveQueues: sql('DELETE FROM queue_entries WHERE run = ? RETURNING queue'),
  };
}

const JOB = 'SELECT key, request, state, uid, outcome, abandoned FROM jobs';

function ofJobs(sql: Prepare) {
  return {
    insertJob: sql('INSERT INTO jobs (key, run, request) VALUES (?, ?, ?) ON CONFLICT (key) DO NOTHING'),
    abandonJob: sql("UPDATE jobs SET abandoned = 1 WHERE key = ? AND abandoned = 0 AND state <> 'finished'"),
    openJobs: sql(`${JOB} WHERE state <> 'finished' ORDER BY id`),
    job: sql(`${JOB} WHERE key = ?`),
    jobsOfRun: sql(`${JOB} WHERE run = ? ORDER BY id`),
    jobCreated: sql("UPDATE jobs SET state = 'created', uid = ? WHERE key = ? AND state = 'requested'"),
    finishJob: sql("UPDATE jobs SET state = 'finished', outcome = ? WHERE key = ? AND state <> 'finished'"),
  };
}

const APPROVAL = 'SELECT request, state, decision FROM approvals';

function ofApprovals(sql: Prepare) {
  return {
    insertApproval: sql('INSERT INTO approvals (key, run, request) VALUES (?, ?, ?) ON CONFLICT (key) DO NOTHING'),
    /** Only for a run that is not over. */
    askApproval: sql(
      `INSERT INTO approvals (key, run, request) SELECT ?1, uid, ?3 FROM runs WHERE uid = ?2 AND closed = 0
       ON CONFLICT (key) DO NOTHING`,
    ),
    withdrawApprovals: sql("UPDATE approvals SET state = 'withdrawn' WHERE run = ? AND state = 'open' RETURNING key"),
    withdrawApproval: sql("UPDATE approvals SET state = 'withdrawn' WHERE key = ? AND state = 'open'"),
    openApprovals: sql(`${APPROVAL} WHERE state = 'open' ORDER BY id`),
    approval: sql(`${APPROVAL} WHERE key = ?`),
    approvalsOfRun: sql(`${APPROVAL} WHERE run = ? ORDER BY id`),
    decideApproval: sql("UPDATE approvals SET state = 'decided', decision = ? WHERE key = ? AND state = 'open'"),
  };
}

function ofEvents(sql: Prepare) {
  return {
    publishEvent: sql(
      'INSERT INTO published_events (namespace, id, name, payload, at) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING',
    ),
    publishedEvents: sql(
      `SELECT id, namespace, name, payload, at FROM published_events
       WHERE namespace = ? AND name = ? AND at >= ? ORDER BY at, number`,
    ),
    cacheOutput: sql(
      `INSERT INTO cached_outputs (key, output, run, expires_at) VALUES (?, ?, ?, ?) ON CONFLICT (key)
       DO UPDATE SET output = excluded.output, run = excluded.run, expires_at = excluded.expires_at`,
    ),
    cachedOutput: sql('SELECT output, run, expires_at FROM cached_outputs WHERE key = ? AND expires_at > ?'),
    pruneEvents: sql('DELETE FROM published_events WHERE at < ?'),
    pruneCache: sql('DELETE FROM cached_outputs WHERE expires_at < ?'),
  };
}

function ofTheGateway(sql: Prepare) {
  return {
    insertUsage: sql(
      `INSERT INTO usage (id, at, namespace, agent, model, run, step, attempt, input_tokens, output_tokens, cost_nano_usd)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING`,
    ),
    usage: sql(
      `SELECT coalesce(sum(input_tokens), 0) AS input_tokens, coalesce(sum(output_tokens), 0) AS output_tokens,
         coalesce(sum(cost_nano_usd), 0) AS cost_nano_usd, count(*) - count(cost_nano_usd) AS unpriced
       FROM usage WHERE run = ? AND step = ? AND attempt = ?`,
    ),
    insertSecret: sql('INSERT INTO secrets (name, value) VALUES (?, ?) ON CONFLICT (name) DO NOTHING'),
    secret: sql('SELECT value FROM secrets WHERE name = ?'),
  };
}

/** No sum passes what a number of JavaScript holds. */
const capped = (sum: string): string => `min(${sum}, ${Number.MAX_SAFE_INTEGER})`;

/** Takes a reservation of ?1 nano-USD and ?2 tokens back. */
const UNRESERVE = `reserved_cost = max(0, reserved_cost - ?1), reserved_tokens = max(0, reserved_tokens - ?2),
  reserved_requests = max(0, reserved_requests - 1)`;

function ofTheLedger(sql: Prepare) {
  return {
    balance: sql('SELECT * FROM balances WHERE account = ? AND period = ?'),
    reserveOn: sql(
      `INSERT INTO balances (account, period, ends_at, reserved_cost, reserved_tokens, reserved_requests)
       VALUES (?3, ?4, ?5, ?1, ?2, 1) ON CONFLICT (account, period) DO UPDATE SET ends_at = excluded.ends_at,
         reserved_cost = ${capped('reserved_cost + ?1')}, reserved_tokens = ${capped('reserved_tokens + ?2')},
         reserved_requests = reserved_requests + 1`,
    ),
    refuseOn: sql(
      `INSERT INTO balances (account, period, ends_at, refusals, last_refused) VALUES (?, ?, ?, 1, ?)
       ON CONFLICT (account, period) DO UPDATE SET refusals = refusals + 1, last_refused = excluded.last_refused
       WHERE last_refused IS NOT excluded.last_refused`,
    ),
    settleOn: sql(
      `UPDATE balances SET ${UNRESERVE}, spent_cost = ${capped('spent_cost + ?3')},
         spent_tokens = ${capped('spent_tokens + ?4')}, spent_requests = spent_requests + 1, unpriced = unpriced + ?5
       WHERE account = ?6 AND period = ?7`,
    ),
    releaseOn: sql(`UPDATE balances SET ${UNRESERVE} WHERE account = ?3 AND period = ?4`),
    reservation: sql('SELECT cost, tokens, charged, settled FROM reservations WHERE id = ?'),
    insertReservation: sql('INSERT INTO reservations (id, expires_at, cost, tokens, charged) VALUES (?, ?, ?, ?, ?)'),
    closeReservation: sql('UPDATE reservations SET settled = 1 WHERE id = ?'),
    expiredReservations: sql(
      'SELECT cost, tokens, charged, settled FROM reservations WHERE settled = 0 AND expires_at <= ?',
    ),
    pruneReservations: sql('DELETE FROM reservations WHERE expires_at < ?'),
    pruneBalances: sql('DELETE FROM balances WHERE ends_at < ?'),
  };
}

const ENTRY = 'SELECT run, step, attempt, call, hash, kind, answer, at FROM journal WHERE run = ?';

function ofTheJournal(sql: Prepare) {
  return {
    recordJournal: sql(
      `INSERT INTO journal (run, step, attempt, call, hash, kind, answer, at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT DO NOTHING`,
    ),
    isForgotten: sql('SELECT 1 FROM forgotten_runs WHERE uid = ?'),
    journalEntry: sql(`${ENTRY} AND step = ? AND attempt = ? AND call = ?`),
    journalOfAttempt: sql(`${ENTRY} AND step = ? AND attempt = ? ORDER BY call`),
    journalOfRun: sql(`${ENTRY} ORDER BY step, attempt, call`),
  };
}

const FREE = 'vector IS NULL AND claimed_until <=';

function ofKnowledge(sql: Prepare) {
  return {
    knowledge: sql(
      `SELECT namespace, name, uid, model, space, revision, version, failure,
         (SELECT count(*) FROM knowledge_documents AS document WHERE document.owner = head.owner) AS documents,
         (SELECT count(*) FROM knowledge_chunks AS chunk WHERE chunk.owner = head.owner) AS chunks,
         (SELECT count(*) FROM knowledge_chunks AS chunk JOIN knowledge_vectors AS placed USING (owner, hash)
           WHERE chunk.owner = head.owner AND placed.vector IS NOT NULL) AS indexed
       FROM knowledges AS head WHERE owner = ?`,
    ),
    knowledges: sql('SELECT namespace, name, uid, model, space FROM knowledges ORDER BY owner'),
    openKnowledge: sql(
      `INSERT INTO knowledges (owner, namespace, name, uid, model, space) VALUES (?, ?, ?, ?, ?, ?)
       ON CONFLICT (owner) DO UPDATE SET uid = excluded.uid, model = excluded.model, space = excluded.space,
         version = version + 1, failure = NULL, retry_at = 0`,
    ),
    reviseKnowledge: sql(
      'UPDATE knowledges SET revision = ?1, version = version + 1 WHERE owner = ?2 AND revision <> ?1',
    ),
    deleteKnowledge: sql('DELETE FROM knowledges WHERE owner = ?'),
    knowledgeDocuments: sql('SELECT document, hash FROM knowledge_documents WHERE owner = ? ORDER BY document'),
    insertDocument: sql('INSERT INTO knowledge_documents VALUES (?, ?, ?, ?, ?)'),
    deleteDocument: sql('DELETE FROM knowledge_documents WHERE owner = ? AND document = ?'),
    deleteDocuments: sql('DELETE FROM knowledge_documents WHERE owner = ?'),
    deleteOtherDocuments: sql(
      'DELETE FROM knowledge_documents WHERE owner = ? AND document NOT IN (SELECT value FROM json_each(?))',
    ),
    insertChunk: sql('INSERT INTO knowledge_chunks VALUES (?, ?, ?, ?, ?, ?)'),
    chunkOf: sql('SELECT title, text FROM knowledge_chunks WHERE owner = ? AND hash = ? LIMIT 1'),
    chunksOf: sql(
      `SELECT source, document, url, title, text, chunk.hash
       FROM knowledge_chunks AS chunk JOIN knowledge_documents USING (owner, document)
       WHERE owner = ? AND chunk.hash IN (SELECT value FROM json_each(?)) ORDER BY document, position`,
    ),
    wantVector: sql('INSERT INTO knowledge_vectors (owner, hash) VALUES (?, ?) ON CONFLICT DO NOTHING'),
    wantingKnowledge: sql(
      `SELECT owner, namespace, name, uid, model, space FROM knowledges AS head WHERE retry_at <= ?1 AND EXISTS (
         SELECT 1 FROM knowledge_vectors AS wanted WHERE wanted.owner = head.owner AND ${FREE} ?1
       ) ORDER BY owner LIMIT 1`,
    ),
    claimChunks: sql(
      `UPDATE knowledge_vectors SET claimed_until = ?1 WHERE owner = ?2 AND hash IN (
         SELECT hash FROM knowledge_vectors WHERE owner = ?2 AND ${FREE} ?3 ORDER BY hash LIMIT ?4
       ) RETURNING hash`,
    ),
    putVector: sql('UPDATE knowledge_vectors SET vector = ? WHERE owner = ? AND hash = ?'),
    releaseChunk: sql('UPDATE knowledge_vectors SET claimed_until = 0 WHERE owner = ? AND hash = ?'),
    vectorsArrived: sql('UPDATE knowledges SET version = version + 1, failure = NULL, retry_at = 0 WHERE owner = ?'),
    embeddingFailed: sql('UPDATE knowledges SET failure = ?, retry_at = ? WHERE owner = ?'),
    vectors: sql('SELECT hash, vector FROM knowledge_vectors WHERE owner = ? AND vector IS NOT NULL'),
    forgetVectors: sql('UPDATE knowledge_vectors SET vector = NULL, claimed_until = 0 WHERE owner = ?'),
    deleteVectors: sql('DELETE FROM knowledge_vectors WHERE owner = ?'),
    deleteLooseVectors: sql(
      `DELETE FROM knowledge_vectors WHERE owner = ?1 AND hash NOT IN (SELECT hash FROM knowledge_chunks WHERE owner = ?1)`,
    ),
  };
}

const DECISION =
  'SELECT id, at, kind, namespace, agent, run, step, attempt, call, subject, chosen, reason, alternatives, version FROM decisions';
const AMONG = `AND kind = coalesce(?2, kind) AND subject = coalesce(?3, subject) AND agent = coalesce(?4, agent)
  AND at >= coalesce(?5, at) AND at < coalesce(?6, at + 1) ORDER BY at DESC, id DESC LIMIT ?7`;

function ofDecisions(sql: Prepare) {
  return {
    recordDecision: sql(
      'INSERT INTO decisions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING',
    ),
    decisionsOfRun: sql(`${DECISION} WHERE run = ?1 ${AMONG}`),
    decisionsOfNamespace: sql(`${DECISION} WHERE namespace = ?1 ${AMONG}`),
    pruneDecisions: sql('DELETE FROM decisions WHERE run IS NULL AND at < ?'),
  };
}

function ofSandboxes(sql: Prepare) {
  const unclaimed = 'NOT EXISTS (SELECT 1 FROM sandboxes WHERE claim = sandbox_claims.id)';
  return {
    offerSandbox: sql(
      'INSERT INTO sandboxes (id, namespace, pool, url, key) VALUES (?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING',
    ),
    withdrawSandbox: sql('UPDATE sandboxes SET spent = 1 WHERE id = ? AND (claim IS NULL OR spent = 1)'),
    forgetSandbox: sql('DELETE FROM sandboxes WHERE id = ?'),
    forgetClaims: sql('DELETE FROM sandbox_claims WHERE expires_at <= ?'),
    offeredSandboxes: sql(
      `SELECT id, CASE
         WHEN spent = 1 THEN 'spent' WHEN claim IS NULL THEN 'free'
         WHEN EXISTS (SELECT 1 FROM sandbox_claims WHERE id = claim AND expires_at > ?3) THEN 'taken' ELSE 'spent'
       END AS state FROM sandboxes WHERE namespace = ?1 AND pool = ?2 ORDER BY number`,
    ),
    waitingClaims: sql(
      `SELECT id, namespace, spec FROM sandbox_claims
       WHERE namespace = ? AND pool = ? AND expires_at > ? AND ${unclaimed} ORDER BY number`,
    ),
    sandboxPools: sql(
      'SELECT namespace, pool FROM sandboxes UNION SELECT namespace, pool FROM sandbox_claims WHERE expires_at > ?',
    ),
    insertClaim: sql(
      'INSERT INTO sandbox_claims (id, namespace, pool, spec, expires_at) VALUES (?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING',
    ),
    renewClaim: sql('UPDATE sandbox_claims SET expires_at = ? WHERE id = ?'),
    takeSandbox: sql(
      `UPDATE sandboxes SET claim = ?1 WHERE number = (
         SELECT number FROM sandboxes WHERE namespace = ?2 AND pool = ?3 AND claim IS NULL AND spent = 0
         ORDER BY number LIMIT 1
       ) AND NOT EXISTS (SELECT 1 FROM sandboxes WHERE claim = ?1)`,
    ),
    claimedSandbox: sql('SELECT id, url, key FROM sandboxes WHERE claim = ? AND spent = 0'),
    spendSandbox: sql('UPDATE sandboxes SET spent = 1 WHERE claim = ?'),
    deleteClaim: sql('DELETE FROM sandbox_claims WHERE id = ? RETURNING namespace, pool'),
  };
}

const OF_CONVERSATION = 'turns WHERE namespace = ?1 AND agent = ?2 AND conversation = ?3';

function ofConversations(sql: Prepare) {
  return {
    turns: sql(`SELECT id, seq, at, messages FROM ${OF_CONVERSATION} ORDER BY seq`),
    turnSeq: sql(`SELECT seq FROM ${OF_CONVERSATION} AND id = ?4`),
    lastTurn: sql(`SELECT coalesce(max(seq), 0) AS last FROM ${OF_CONVERSATION}`),
    conversationOf: sql('SELECT conversation FROM turns WHERE namespace = ? AND agent = ? AND id = ? LIMIT 1'),
    insertTurn: sql('INSERT INTO turns VALUES (?, ?, ?, ?, ?, ?, ?, ?)'),
    leaveOutTurns: sql(
      `DELETE FROM ${OF_CONVERSATION} AND seq IN (
         SELECT seq FROM (
           SELECT seq, count(*) OVER newest AS place, sum(size) OVER newest AS characters FROM ${OF_CONVERSATION}
           WINDOW newest AS (ORDER BY seq DESC)
         ) WHERE place > 1 AND (place > ?4 OR characters > ?5)
       )`,
    ),
    forgetConversation: sql(`DELETE FROM ${OF_CONVERSATION}`),
    pruneConversations: sql('DELETE FROM turns WHERE at < ?'),
  };
}
