// Every SQL statement by its name, under which each connection prepares it once.

export type StatementName = keyof typeof statements;

const RUN = 'uid, namespace, name, subject, workflow, workflows, input, limits, requested_by, priority, fork';
const JOB = 'SELECT key, request, state, uid, outcome, abandoned FROM jobs';
const ENTRY = 'SELECT run, step, attempt, number AS call, hash, kind, answer, at FROM journal WHERE run = $1';
const DECISION =
  'SELECT id, at, kind, namespace, agent, run, step, attempt, call, subject, chosen, reason, alternatives, version FROM decisions';
const AMONG = `AND kind = coalesce($2, kind) AND subject = coalesce($3, subject) AND agent = coalesce($4, agent)
    AND at >= coalesce($5, at) AND at < coalesce($6, at + 1) ORDER BY at DESC, id COLLATE "C" DESC LIMIT $7`;
const OF_CONVERSATION = 'turns WHERE namespace = $1 AND agent = $2 AND conversation = $3';
const RUN_REQUEST = 'SELECT request, state, uid, failure, cancelled FROM run_requests';
const RUN_REQUEST_IS_OPEN = `state IN ('requested', 'made')`;
const APPROVAL = 'SELECT request, state, decision FROM approvals';

export const statements = {
  insertRun: `
    WITH first AS (
      INSERT INTO runs (uid) SELECT $1 WHERE NOT EXISTS (SELECT FROM forgotten_runs WHERE uid = $1)
      ON CONFLICT (uid) DO UPDATE SET uid = excluded.uid
        WHERE EXISTS (SELECT FROM submissions WHERE run = runs.id AND call = $12)
      RETURNING id
    )
    INSERT INTO submissions (run, ${RUN}, call) SELECT id, $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12 FROM first
    ON CONFLICT (run) DO UPDATE SET call = excluded.call`,
  cancelRun: 'UPDATE runs SET cancellation = $2 WHERE uid = $1 AND NOT closed AND cancellation IS NULL',
  suspendRun: 'UPDATE runs SET suspended = $2 WHERE uid = $1 AND NOT closed AND suspended <> $2',
  findRun: 'SELECT uid FROM submissions WHERE namespace = $1 AND name = $2 ORDER BY run DESC LIMIT 1',
  openRuns: 'SELECT uid FROM runs WHERE NOT closed ORDER BY id',
  run: `SELECT ${RUN} FROM submissions WHERE uid = $1`,
  controls: 'SELECT suspended, cancellation FROM runs WHERE uid = $1',
  projection: 'SELECT version, body FROM projections WHERE uid = $1',
  closedRuns: `
    SELECT uid, namespace, name, subject, closed_at AS "closedAt" FROM runs JOIN submissions USING (uid)
    WHERE closed AND closed_at < $1 AND NOT EXISTS (SELECT FROM jobs WHERE jobs.run = runs.uid AND state <> 'finished')
    ORDER BY closed_at, id LIMIT $2`,
  forgetRun: 'SELECT forget_run_and_decisions($1) AS verdict',

  joinEngines: `
    INSERT INTO engines (expires_at) VALUES (clock_timestamp() + $1 * interval '1 millisecond') RETURNING epoch`,
  renewEngine: `
    UPDATE engines SET expires_at = clock_timestamp() + $2 * interval '1 millisecond'
    WHERE epoch = $1 AND expires_at > clock_timestamp()`,
  leaveEngines: 'SELECT evict_engine($1)',
  claimRuns: 'SELECT uid FROM claim_runs($1, $2)',
  ownedRuns: 'SELECT uid FROM runs WHERE owner = $1 AND NOT closed ORDER BY id',

  append: 'SELECT verdicts, hints FROM append_and_withdraw($1)',
  events: `
    SELECT seq, at, type, data FROM events WHERE run = (SELECT id FROM runs WHERE uid = $1) AND seq > $2 ORDER BY seq`,

  limitEntry: 'SELECT limit_entry($1, $2, $3) AS moved',
  // The limit as it was before: null of a run that has just entered.
  enterQueue: `SELECT verdict, admitted, ahead, moved,
    (SELECT places::float8 FROM queue_entries WHERE queue = $1 AND run = $2) AS limit_before
    FROM enter_queue($1, $2, $3, $4, $5)`,

  openJobs: `${JOB} WHERE state <> 'finished' ORDER BY id`,
  job: `${JOB} WHERE key = $1`,
  jobsOfRun: `${JOB} WHERE run = $1 ORDER BY id`,
  jobCreated: "UPDATE jobs SET state = 'created', uid = $2 WHERE key = $1 AND state = 'requested'",
  finishJob: `
    UPDATE jobs SET state = 'finished', outcome = $2, call = $3 WHERE key = $1 AND (state <> 'finished' OR call = $3)`,

  openApprovals: `${APPROVAL} WHERE state = 'open' ORDER BY id`,
  approval: `${APPROVAL} WHERE key = $1`,
  approvalsOfRun: `${APPROVAL} WHERE run = $1 ORDER BY id`,
  // Only for a run that is not over, nor ends meanwhile.
  askApproval: `
    WITH alive AS (SELECT uid FROM runs WHERE uid = $2 AND NOT closed FOR SHARE)
    INSERT INTO approvals (key, run, request) SELECT $1, uid, $3 FROM alive ON CONFLICT (key) DO NOTHING`,
  withdrawApproval: "UPDATE approvals SET state = 'withdrawn' WHERE key = $1 AND state = 'open'",
  decideApproval: `
    UPDATE approvals SET state = 'decided', decision = $2, call = $3 WHERE key = $1 AND (state = 'open' OR call = $3)`,

  publishEvent: `
    INSERT INTO published_events (namespace, id, name, payload, at, call) VALUES ($1, $2, $3, $4, $5, $6)
    ON CONFLICT (namespace, id) DO UPDATE SET call = excluded.call WHERE published_events.call = excluded.call`,
  publishedEvents: `
    SELECT id, namespace, name, payload, at FROM published_events
    WHERE namespace = $1 AND name = $2 AND at >= $3 ORDER BY at, number`,
  cachedOutput: 'SELECT output, run, expires_at FROM cached_outputs WHERE key = $1 AND expires_at > $2',
  pruneLedger: 'SELECT prune_ledger($1)',
  prune: `
    WITH events AS (DELETE FROM published_events WHERE at < $1),
      decisions AS (DELETE FROM decisions WHERE run IS NULL AND at < $1),
      claims AS (DELETE FROM sandbox_claims WHERE expires_at < to_timestamp($1::double precision / 1000))
    DELETE FROM cached_outputs WHERE expires_at < $1`,

  // Seats of gateways that died are cleared away by whoever comes by first; nobody waits for anybody.
  seatGateway: `
    WITH gone AS (SELECT id FROM gateways WHERE expires_at <= clock_timestamp() AND id <> $1 FOR UPDATE SKIP LOCKED),
      cleared AS (DELETE FROM gateways USING gone WHERE gateways.id = gone.id)
    INSERT INTO gateways (id, expires_at) VALUES ($1, clock_timestamp() + $2 * interval '1 millisecond')
    ON CONFLICT (id) DO UPDATE SET expires_at = excluded.expires_at`,
  gatewaySeat: `
    SELECT count(*) FILTER (WHERE id < $1) AS rank, greatest(count(*), 1) AS of FROM gateways
    WHERE id = $1 OR expires_at > clock_timestamp()`,
  unseatGateway: 'DELETE FROM gateways WHERE id = $1',
  insertUsage: `
    INSERT INTO usage (id, at, namespace, agent, model, run, step, attempt, input_tokens, output_tokens, cost_nano_usd)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT (id) DO NOTHING`,
  // A sum of bigint is numeric, which would come as text.
  usage: `
    SELECT coalesce(sum(input_tokens), 0)::bigint AS input_tokens,
      coalesce(sum(output_tokens), 0)::bigint AS output_tokens,
      coalesce(sum(cost_nano_usd), 0)::bigint AS cost_nano_usd,
      count(*) - count(cost_nano_usd) AS unpriced
    FROM usage WHERE run = $1 AND step = $2 AND attempt = $3`,
  postLedger: 'SELECT verdicts, hints FROM post_ledger($1)',
  // Each with what expired reservations have set aside.
  balances: `
    SELECT balances.*, coalesce(expired, '[]') AS expired
    FROM json_to_recordset($1) AS asked (account text, period text) JOIN balances USING (account, period)
    LEFT JOIN LATERAL (
      SELECT json_agg(json_build_object('costNanoUsd', cost, 'tokens', tokens)) AS expired FROM reservations
      WHERE NOT settled AND expires_at <= $2
        AND (asked.account, asked.period) IN (SELECT * FROM unnest(accounts, periods))
    ) AS late ON true`,

  recordJournal: 'SELECT verdicts, hints FROM record_journal($1)',
  journalEntry: `${ENTRY} AND step = $2 AND attempt = $3 AND number = $4`,
  journalOfAttempt: `${ENTRY} AND step = $2 AND attempt = $3 ORDER BY number`,
  journalOfRun: `${ENTRY} ORDER BY step COLLATE "C", attempt, number`,
  // A run that was forgotten takes no more of them.
  recordDecisions: `
    WITH written AS (
      INSERT INTO decisions
      SELECT id, at, kind, namespace, agent, run, step, attempt, call,
        subject, chosen, reason, alternatives, version
      FROM json_to_recordset($1) AS item (
        id text, at bigint, kind text, namespace text, agent text, run text, step text, attempt bigint, call text,
        subject text, chosen text, reason text, alternatives text, version text
      ) WHERE NOT EXISTS (SELECT FROM forgotten_runs WHERE uid = item.run) ON CONFLICT DO NOTHING
    ) SELECT '{}'::text[] AS verdicts, '{}'::text[] AS hints`,
  decisionsOfRun: `${DECISION} WHERE run = $1 ${AMONG}`,
  decisionsOfNamespace: `${DECISION} WHERE namespace = $1 ${AMONG}`,

  insertRunRequest: `
    INSERT INTO run_requests (key, request, at) VALUES ($1, $2, $3) ON CONFLICT (key) DO NOTHING`,
  cancelRunRequest: `
    UPDATE run_requests SET cancelled = true WHERE key = $1 AND NOT cancelled AND ${RUN_REQUEST_IS_OPEN}`,
  runRequest: `${RUN_REQUEST} WHERE key = $1`,
  requestOfRun: `${RUN_REQUEST} WHERE uid = $1`,
  openRunRequests: `${RUN_REQUEST} WHERE ${RUN_REQUEST_IS_OPEN} ORDER BY number`,
  runRequestMade: `UPDATE run_requests SET state = 'made', uid = $1 WHERE key = $2 AND state = 'requested'`,
  endRunRequest: `
    UPDATE run_requests SET state = CASE WHEN $1::text IS NULL THEN 'over' ELSE 'refused' END, failure = $1
    WHERE key = $2 AND ${RUN_REQUEST_IS_OPEN}`,
  pruneRunRequests: `DELETE FROM run_requests WHERE at < $1 AND NOT (${RUN_REQUEST_IS_OPEN})`,

  offerSandbox: `
    INSERT INTO sandboxes (id, namespace, pool, url, key, call) VALUES ($1, $2, $3, $4, $5, $6)
    ON CONFLICT (id) DO UPDATE SET call = excluded.call WHERE sandboxes.call = excluded.call`,
  withdrawSandbox: 'UPDATE sandboxes SET spent = true WHERE id = $1 AND (claim IS NULL OR spent)',
  forgetSandbox: `
    WITH expired AS (DELETE FROM sandbox_claims WHERE expires_at <= clock_timestamp())
    DELETE FROM sandboxes WHERE id = $1`,
  offeredSandboxes: `
    SELECT id, CASE
      WHEN spent THEN 'spent' WHEN claim IS NULL THEN 'free'
      WHEN EXISTS (SELECT FROM sandbox_claims AS one WHERE one.id = claim AND expires_at > clock_timestamp()) THEN 'taken'
      ELSE 'spent' END AS state
    FROM sandboxes WHERE namespace = $1 AND pool = $2 ORDER BY number`,
  waitingClaims: `
    SELECT id, namespace, spec FROM sandbox_claims AS one
    WHERE namespace = $1 AND pool = $2 AND expires_at > clock_timestamp()
      AND NOT EXISTS (SELECT FROM sandboxes WHERE claim = one.id)
    ORDER BY number`,
  sandboxPools: `
    SELECT namespace, pool FROM sandboxes
    UNION SELECT namespace, pool FROM sandbox_claims WHERE expires_at > clock_timestamp()`,
  claimSandbox: 'SELECT changed, id, url, key FROM claim_sandbox($1, $2, $3, $4, $5)',
  releaseSandbox: `
    WITH spent AS (UPDATE sandboxes SET spent = true WHERE claim = $1)
    DELETE FROM sandbox_claims WHERE id = $1 RETURNING namespace, pool`,

  turns: `SELECT id, seq, at, messages FROM ${OF_CONVERSATION} ORDER BY seq`,
  conversationOf: 'SELECT conversation FROM turns WHERE namespace = $1 AND agent = $2 AND id = $3 LIMIT 1',
  rememberTurn: 'SELECT verdict, seq FROM remember_turn($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)',
  forgetConversation: `DELETE FROM ${OF_CONVERSATION}`,
  pruneConversations: 'DELETE FROM turns WHERE at < $1',
  openKnowledge: 'SELECT open_knowledge($1)',
  knowledge: `
    SELECT namespace, name, uid, model, space, revision, version, failure,
      (SELECT count(*) FROM knowledge_documents AS document WHERE document.owner = head.owner) AS documents,
      (SELECT count(*) FROM knowledge_chunks AS chunk WHERE chunk.owner = head.owner) AS chunks,
      (SELECT count(*) FROM knowledge_chunks AS chunk JOIN knowledge_vectors AS placed USING (owner, hash)
        WHERE chunk.owner = head.owner AND placed.vector IS NOT NULL) AS indexed
    FROM knowledges AS head WHERE owner = $1`,
  knowledges: 'SELECT namespace, name, uid, model, space FROM knowledges ORDER BY owner COLLATE "C"',
  knowledgeDocuments: 'SELECT document, hash FROM knowledge_documents WHERE owner = $1 ORDER BY document COLLATE "C"',
  putKnowledgeDocument: 'SELECT put_knowledge_document($1, $2)',
  keepKnowledgeDocuments: 'SELECT keep_knowledge_documents($1, $2, $3)',
  deleteKnowledge: 'DELETE FROM knowledges WHERE owner = $1',
  claimChunks: 'SELECT namespace, name, uid, model, space, hash, title, text FROM claim_chunks($1, $2, $3)',
  putVectors: 'SELECT put_vectors($1, $2, $3)',
  releaseChunks: 'SELECT release_chunks($1, $2, $3, $4)',
  vectors: 'SELECT hash, array_send(vector) AS vector FROM knowledge_vectors WHERE owner = $1 AND vector IS NOT NULL',
  chunksOf: `
    SELECT source, document, url, title, text, chunk.hash
    FROM knowledge_chunks AS chunk JOIN knowledge_documents USING (owner, document)
    WHERE owner = $1 AND chunk.hash IN (SELECT json_array_elements_text($2))
    ORDER BY document COLLATE "C", position`,
  insertSecret: 'INSERT INTO secrets (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING',
  secret: 'SELECT value FROM secrets WHERE name = $1',
};
