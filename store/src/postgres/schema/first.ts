// The schema that PostgreSQL began with: runs, their logs, engines, queues, and what is asked of others.

const tables = `
  -- Small rows that change with every append, apart from the large ones that never do.
  CREATE TABLE runs (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    uid text NOT NULL UNIQUE,
    last_seq bigint NOT NULL DEFAULT 0,
    last_call text,
    owner bigint,
    suspended boolean NOT NULL DEFAULT false,
    cancellation text,
    closed boolean NOT NULL DEFAULT false,
    closed_at bigint
  ) WITH (fillfactor = 70);
  CREATE INDEX runs_open ON runs (id) WHERE NOT closed;
  CREATE INDEX runs_closed ON runs (closed_at, id) WHERE closed;
  CREATE INDEX runs_free ON runs (id) WHERE NOT closed AND owner IS NULL;
  CREATE INDEX runs_owned ON runs (owner) WHERE NOT closed AND owner IS NOT NULL;

  CREATE TABLE submissions (
    run bigint PRIMARY KEY,
    uid text NOT NULL UNIQUE,
    namespace text NOT NULL,
    name text NOT NULL,
    subject text NOT NULL,
    workflow text NOT NULL,
    workflows text,
    input text NOT NULL,
    limits text,
    requested_by text,
    priority double precision,
    fork text,
    call text NOT NULL
  );
  CREATE INDEX submissions_by_name ON submissions (namespace, name, run);

  -- A run that was forgotten must not begin again when somebody submits it once more.
  CREATE TABLE forgotten_runs (uid text PRIMARY KEY);

  CREATE TABLE events (
    run bigint NOT NULL,
    seq bigint NOT NULL,
    at bigint NOT NULL,
    type text NOT NULL,
    data text NOT NULL,
    PRIMARY KEY (run, seq)
  );

  CREATE TABLE projections (
    uid text PRIMARY KEY,
    version bigint NOT NULL,
    body text NOT NULL
  ) WITH (fillfactor = 70);

  CREATE TABLE engines (
    epoch bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    expires_at timestamptz NOT NULL
  );

  CREATE TABLE jobs (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key text NOT NULL UNIQUE,
    run text NOT NULL,
    request text NOT NULL,
    state text NOT NULL DEFAULT 'requested' CHECK (state IN ('requested', 'created', 'finished')),
    uid text,
    outcome text,
    call text,
    abandoned boolean NOT NULL DEFAULT false
  );
  CREATE INDEX jobs_open ON jobs (id) WHERE state <> 'finished';
  CREATE INDEX jobs_of_run ON jobs (run);

  CREATE TABLE approvals (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key text NOT NULL UNIQUE,
    run text NOT NULL,
    request text NOT NULL,
    state text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'decided', 'withdrawn')),
    decision text,
    call text
  );
  CREATE INDEX approvals_open ON approvals (id) WHERE state = 'open';
  CREATE INDEX approvals_of_run ON approvals (run);

  CREATE TABLE published_events (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    namespace text NOT NULL,
    id text NOT NULL,
    name text NOT NULL,
    payload text NOT NULL,
    at bigint NOT NULL,
    call text NOT NULL,
    UNIQUE (namespace, id)
  );
  CREATE INDEX published_events_by_name ON published_events (namespace, name, at, number);
  CREATE INDEX published_events_by_age ON published_events (at);

  CREATE TABLE cached_outputs (
    key text PRIMARY KEY,
    output text NOT NULL,
    run text NOT NULL,
    expires_at bigint NOT NULL
  );
  CREATE INDEX cached_outputs_by_expiry ON cached_outputs (expires_at);

  CREATE TABLE queue_entries (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    queue text NOT NULL,
    run text NOT NULL,
    places bigint NOT NULL,
    priority double precision NOT NULL,
    admitted boolean NOT NULL DEFAULT false,
    UNIQUE (queue, run)
  );
  CREATE INDEX queue_entries_of_run ON queue_entries (run);
  CREATE INDEX queue_entries_in_order ON queue_entries (queue, admitted, priority DESC, id);

  CREATE TABLE usage (
    id text PRIMARY KEY,
    at bigint NOT NULL,
    namespace text NOT NULL,
    agent text NOT NULL,
    model text NOT NULL,
    run text,
    step text,
    attempt bigint,
    input_tokens bigint NOT NULL,
    output_tokens bigint NOT NULL,
    cost_nano_usd bigint
  );
  CREATE INDEX usage_of_step ON usage (run, step, attempt) WHERE run IS NOT NULL;

  CREATE TABLE secrets (
    name text PRIMARY KEY,
    value bytea NOT NULL
  );
`;

// Locks are taken in one order everywhere, so that nobody waits in a circle: seats, runs by uid, queues by name.
const functions = `
  CREATE FUNCTION evict_engine(gone bigint) RETURNS void LANGUAGE plpgsql AS $$
  BEGIN
    DELETE FROM engines WHERE epoch = gone;
    UPDATE runs SET owner = NULL WHERE id IN (
      SELECT id FROM runs WHERE owner = gone AND NOT closed ORDER BY uid COLLATE "C" FOR UPDATE
    );
  END $$;

  CREATE FUNCTION claim_runs(engine bigint, most bigint) RETURNS TABLE (uid text) LANGUAGE plpgsql AS $$
  #variable_conflict use_column
  DECLARE
    gone bigint;
  BEGIN
    FOR gone IN SELECT epoch FROM engines WHERE expires_at <= clock_timestamp() FOR UPDATE SKIP LOCKED LOOP
      PERFORM evict_engine(gone);
    END LOOP;
    -- Nobody may take the seat away before the runs are ours, or they would be nobody's for ever.
    PERFORM FROM engines WHERE epoch = engine AND expires_at > clock_timestamp() FOR KEY SHARE;
    IF NOT FOUND THEN
      RETURN;
    END IF;
    RETURN QUERY
      WITH free AS (
        SELECT id FROM runs WHERE NOT closed AND owner IS NULL ORDER BY id LIMIT most FOR UPDATE SKIP LOCKED
      ), taken AS (
        UPDATE runs SET owner = engine FROM free WHERE runs.id = free.id RETURNING runs.id, runs.uid
      )
      SELECT taken.uid FROM taken ORDER BY taken.id;
  END $$;

  CREATE FUNCTION lock_queue(name text) RETURNS void LANGUAGE sql AS $$
    SELECT pg_advisory_xact_lock(hashtextextended(current_schema() || '/queue/' || name, 0));
  $$;

  -- Lets in as many as there are places for, strictly in order. Whether anybody was.
  CREATE FUNCTION admit(name text) RETURNS boolean LANGUAGE plpgsql AS $$
  DECLARE
    moved boolean := false;
  BEGIN
    LOOP
      UPDATE queue_entries SET admitted = true WHERE id = (
        SELECT id FROM queue_entries WHERE queue = name AND NOT admitted ORDER BY priority DESC, id LIMIT 1
      ) AND places > (SELECT count(*) FROM queue_entries WHERE queue = name AND admitted);
      IF NOT FOUND THEN
        RETURN moved;
      END IF;
      moved := true;
    END LOOP;
  END $$;

  CREATE FUNCTION enter_queue(
    name text, uid text, most bigint, rank double precision, or_leave boolean,
    OUT verdict text, OUT admitted boolean, OUT ahead text[], OUT moved boolean
  ) LANGUAGE plpgsql AS $$
  #variable_conflict use_column
  DECLARE
    own record;
    over boolean;
  BEGIN
    -- Whoever entered after its end would never leave, so the run may not end meanwhile.
    SELECT closed INTO over FROM runs WHERE runs.uid = enter_queue.uid FOR SHARE;
    verdict := CASE WHEN over IS NULL THEN 'unknown' WHEN over THEN 'closed' ELSE 'ok' END;
    IF verdict <> 'ok' THEN
      RETURN;
    END IF;
    PERFORM lock_queue(name);
    INSERT INTO queue_entries (queue, run, places, priority) VALUES (name, uid, most, rank) ON CONFLICT DO NOTHING;
    IF FOUND THEN
      PERFORM admit(name);
    END IF;
    SELECT * INTO own FROM queue_entries WHERE queue = name AND run = uid;
    admitted := own.admitted;
    -- Those at work in the order of their coming, then those that wait in the order of their turn.
    ahead := ARRAY(
      SELECT run FROM queue_entries WHERE queue = name AND run <> uid AND (
        admitted OR (NOT own.admitted AND (priority > own.priority OR (priority = own.priority AND id < own.id)))
      ) ORDER BY admitted DESC, CASE WHEN admitted THEN 0 ELSE -priority END, id
    );
    moved := false;
    IF or_leave AND NOT own.admitted THEN
      DELETE FROM queue_entries WHERE id = own.id;
      -- It may have stood in the way of others, if it had waited before.
      moved := admit(name);
    END IF;
  END $$;

  CREATE FUNCTION forget_run(gone text) RETURNS text LANGUAGE plpgsql AS $$
  DECLARE
    head record;
  BEGIN
    SELECT id, closed INTO head FROM runs WHERE uid = gone FOR UPDATE;
    IF NOT FOUND THEN
      RETURN 'unknown';
    END IF;
    IF NOT head.closed THEN
      RETURN 'open';
    END IF;
    INSERT INTO forgotten_runs (uid) VALUES (gone);
    DELETE FROM events WHERE run = head.id;
    DELETE FROM projections WHERE uid = gone;
    DELETE FROM jobs WHERE run = gone;
    DELETE FROM approvals WHERE run = gone;
    DELETE FROM submissions WHERE run = head.id;
    DELETE FROM runs WHERE id = head.id;
    RETURN 'ok';
  END $$;
`;

// One verdict for each append of the batch: ok, unknown, closed, fenced:<owner> or stale:<end of the log>. A refused one
// writes nothing and does not harm the others. Appends must come in the order of their uids, because of the locks.
const append = `
  CREATE FUNCTION append(batch json, OUT verdicts text[], OUT hints text[]) LANGUAGE plpgsql AS $$
  #variable_conflict use_column
  DECLARE
    item record;
    head record;
    holder bigint;
    added bigint;
    verdict text;
    touched text;
    over text[] := '{}';
  BEGIN
    verdicts := '{}';
    hints := '{}';
    FOR item IN SELECT * FROM json_to_recordset(batch) AS item (
      uid text, call text, expected bigint, epoch bigint, closed_at bigint, projection text, events json,
      jobs json, abandon json, approvals json, withdraw json, cache json
    ) LOOP
      SELECT id, closed, last_seq, last_call, owner INTO head FROM runs WHERE uid = item.uid FOR UPDATE;
      IF NOT FOUND THEN
        verdicts := verdicts || 'unknown'::text;
        CONTINUE;
      END IF;
      IF head.last_call = item.call THEN
        verdicts := verdicts || 'ok'::text;
        CONTINUE;
      END IF;
      SELECT max(epoch) INTO holder FROM engines WHERE epoch = head.owner AND expires_at > clock_timestamp();
      verdict := CASE
        WHEN head.closed THEN 'closed'
        WHEN holder IS DISTINCT FROM item.epoch THEN 'fenced:' || coalesce(holder::text, '')
        WHEN head.last_seq <> item.expected THEN 'stale:' || head.last_seq
        ELSE 'ok' END;
      verdicts := verdicts || verdict;
      CONTINUE WHEN verdict <> 'ok';

      added := json_array_length(item.events);
      IF added > 0 THEN
        INSERT INTO events (run, seq, at, type, data)
          SELECT head.id, item.expected + number, at, type, data
          FROM ROWS FROM (json_to_recordset(item.events) AS (at bigint, type text, data text))
          WITH ORDINALITY AS event (at, type, data, number);
      END IF;
      UPDATE runs SET last_seq = item.expected + added, last_call = item.call, closed = item.closed_at IS NOT NULL,
        closed_at = item.closed_at WHERE id = head.id;
      IF item.closed_at IS NOT NULL THEN
        over := over || item.uid;
      END IF;

      IF item.jobs IS NOT NULL THEN
        FOR touched IN
          INSERT INTO jobs (key, run, request) SELECT key, item.uid, request
          FROM ROWS FROM (json_to_recordset(item.jobs) AS (key text, request text))
          WITH ORDINALITY AS job (key, request, number) ORDER BY number
          ON CONFLICT (key) DO NOTHING RETURNING key
        LOOP
          hints := hints || ('jobs:' || touched);
        END LOOP;
      END IF;
      IF item.abandon IS NOT NULL THEN
        FOR touched IN
          UPDATE jobs SET abandoned = true
          WHERE key = ANY (ARRAY(SELECT json_array_elements_text(item.abandon)))
            AND NOT abandoned AND state <> 'finished' RETURNING key
        LOOP
          hints := hints || ('jobs:' || touched);
        END LOOP;
      END IF;
      IF item.approvals IS NOT NULL THEN
        FOR touched IN
          INSERT INTO approvals (key, run, request) SELECT key, item.uid, request
          FROM ROWS FROM (json_to_recordset(item.approvals) AS (key text, request text))
          WITH ORDINALITY AS approval (key, request, number) ORDER BY number
          ON CONFLICT (key) DO NOTHING RETURNING key
        LOOP
          hints := hints || ('approvals:' || touched);
        END LOOP;
      END IF;
      IF item.withdraw IS NOT NULL THEN
        FOR touched IN
          UPDATE approvals SET state = 'withdrawn'
          WHERE key = ANY (ARRAY(SELECT json_array_elements_text(item.withdraw))) AND state = 'open' RETURNING key
        LOOP
          hints := hints || ('approvals:' || touched);
        END LOOP;
      END IF;
      IF item.cache IS NOT NULL THEN
        INSERT INTO cached_outputs (key, output, run, expires_at)
          SELECT DISTINCT ON (key COLLATE "C") key, output, run, expires_at
          FROM ROWS FROM (json_to_recordset(item.cache) AS (key text, output text, run text, expires_at bigint))
          WITH ORDINALITY AS cached (key, output, run, expires_at, number) ORDER BY key COLLATE "C", number DESC
          ON CONFLICT (key) DO UPDATE
          SET output = excluded.output, run = excluded.run, expires_at = excluded.expires_at;
      END IF;
      IF item.projection IS NOT NULL THEN
        INSERT INTO projections (uid, version, body) VALUES (item.uid, 1, item.projection) ON CONFLICT (uid)
          DO UPDATE SET version = projections.version + 1, body = excluded.body WHERE projections.body <> excluded.body;
        IF FOUND THEN
          hints := hints || ('projections:' || item.uid);
        END IF;
      END IF;
    END LOOP;

    -- Runs that are over make room for the next ones.
    FOR touched IN SELECT DISTINCT queue COLLATE "C" FROM queue_entries WHERE run = ANY (over) ORDER BY 1 LOOP
      PERFORM lock_queue(touched);
      DELETE FROM queue_entries WHERE queue = touched AND run = ANY (over);
      PERFORM admit(touched);
      hints := hints || ('queues:' || touched);
    END LOOP;
  END $$;
`;

export const first = tables + functions + append;
