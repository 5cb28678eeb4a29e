// The ledger of money, and the journal of calls.

/** No sum passes what a number of JavaScript holds. */
const MOST = String(Number.MAX_SAFE_INTEGER);

const tables = `
  CREATE TABLE balances (
    account text COLLATE "C" NOT NULL,
    period text COLLATE "C" NOT NULL,
    ends_at bigint,
    spent_cost bigint NOT NULL DEFAULT 0,
    spent_tokens bigint NOT NULL DEFAULT 0,
    spent_requests bigint NOT NULL DEFAULT 0,
    reserved_cost bigint NOT NULL DEFAULT 0,
    reserved_tokens bigint NOT NULL DEFAULT 0,
    reserved_requests bigint NOT NULL DEFAULT 0,
    unpriced bigint NOT NULL DEFAULT 0,
    refusals bigint NOT NULL DEFAULT 0,
    -- Whoever tells again, because the answer was lost, is not counted a second time.
    last_refused text,
    PRIMARY KEY (account, period)
  ) WITH (fillfactor = 10);
  CREATE INDEX balances_by_end ON balances (ends_at) WHERE ends_at IS NOT NULL;

  -- One that is settled stays for a while: whoever asks twice must be recognised.
  CREATE TABLE reservations (
    id text PRIMARY KEY,
    expires_at bigint NOT NULL,
    cost bigint NOT NULL,
    tokens bigint NOT NULL,
    accounts text[] NOT NULL,
    periods text[] NOT NULL,
    settled boolean NOT NULL DEFAULT false
  ) WITH (fillfactor = 70);
  CREATE INDEX reservations_open ON reservations (expires_at) WHERE NOT settled;
  CREATE INDEX reservations_by_expiry ON reservations (expires_at);

  CREATE TABLE journal (
    run text NOT NULL,
    step text NOT NULL,
    attempt bigint NOT NULL,
    number bigint NOT NULL,
    hash text NOT NULL,
    kind text NOT NULL,
    answer text NOT NULL,
    at bigint NOT NULL,
    call text NOT NULL,
    PRIMARY KEY (run, step, attempt, number)
  );
`;

// Whoever changes balances holds the locks on all of them before, in the order of their names. So nobody waits in a circle,
// and whoever reserves sees what everybody before has reserved.
const ledger = `
  CREATE FUNCTION lock_balance(name text, span text, made boolean, over bigint) RETURNS void LANGUAGE plpgsql AS $$
  BEGIN
    PERFORM FROM balances WHERE account = name AND period = span FOR UPDATE;
    IF NOT FOUND AND made THEN
      INSERT INTO balances (account, period, ends_at) VALUES (name, span, over) ON CONFLICT DO NOTHING;
      PERFORM FROM balances WHERE account = name AND period = span FOR UPDATE;
    END IF;
  END $$;

  -- A settled reservation adds to what was spent, one that is given back does not.
  CREATE FUNCTION close_reservation(
    name text, spends boolean, cost_spent bigint, tokens_spent bigint, unpriced_calls bigint
  ) RETURNS void LANGUAGE plpgsql AS $$
  #variable_conflict use_column
  DECLARE
    held record;
  BEGIN
    UPDATE reservations SET settled = true WHERE id = name AND NOT settled
      RETURNING cost, tokens, accounts, periods INTO held;
    IF NOT FOUND THEN
      RETURN;
    END IF;
    UPDATE balances SET
      reserved_cost = greatest(0, reserved_cost - held.cost),
      reserved_tokens = greatest(0, reserved_tokens - held.tokens),
      reserved_requests = greatest(0, reserved_requests - 1),
      spent_cost = CASE WHEN spends THEN least(spent_cost + cost_spent, ${MOST}) ELSE spent_cost END,
      spent_tokens = CASE WHEN spends THEN least(spent_tokens + tokens_spent, ${MOST}) ELSE spent_tokens END,
      spent_requests = CASE WHEN spends THEN spent_requests + 1 ELSE spent_requests END,
      unpriced = unpriced + unpriced_calls
    FROM unnest(held.accounts, held.periods) AS charged (name, span) WHERE account = charged.name AND period = charged.span;
  END $$;

  -- One verdict for each item of the batch: nothing, or for a reservation what the store's ReservationResult says.
  CREATE FUNCTION post_ledger(batch json, OUT verdicts text[], OUT hints text[]) LANGUAGE plpgsql AS $$
  #variable_conflict use_column
  DECLARE
    item record;
    charge record;
    balance record;
    what text;
    shortfall jsonb;
    passed jsonb;
    refused boolean;
  BEGIN
    verdicts := '{}';
    hints := '{}';
    PERFORM lock_balance(account, period, made, ends_at) FROM (
      SELECT account, period, bool_or(made) AS made, max(ends_at) AS ends_at FROM (
        SELECT charge.account, charge.period, true AS made, charge.ends_at
        FROM json_to_recordset(batch) AS item (charges json),
          json_to_recordset(coalesce(item.charges, '[]')) AS charge (account text, period text, ends_at bigint)
        UNION ALL
        SELECT charged.account, charged.period, false, NULL
        FROM json_to_recordset(batch) AS item (id text) JOIN reservations USING (id),
          unnest(accounts, periods) AS charged (account, period)
      ) AS named GROUP BY account, period ORDER BY account COLLATE "C", period COLLATE "C" OFFSET 0
    ) AS ordered;

    FOR item IN SELECT * FROM json_to_recordset(batch) AS item (
      kind text, id text, expires_at bigint, cost bigint, tokens bigint, unpriced bigint, charges json, usage json
    ) LOOP
      IF item.kind = 'refuse' THEN
        UPDATE balances SET refusals = refusals + 1, last_refused = item.id, ends_at = charged.ends_at
          FROM json_to_recordset(item.charges) AS charged (account text, period text, ends_at bigint)
          WHERE balances.account = charged.account AND balances.period = charged.period
            AND last_refused IS DISTINCT FROM item.id;
        verdicts := verdicts || ''::text;
        CONTINUE;
      END IF;
      IF item.kind <> 'reserve' THEN
        PERFORM close_reservation(item.id, item.kind = 'settle', item.cost, item.tokens, item.unpriced);
        IF item.usage IS NOT NULL THEN
          INSERT INTO usage (id, at, namespace, agent, model, run, step, attempt, input_tokens, output_tokens, cost_nano_usd)
            SELECT id, at, namespace, agent, model, run, step, attempt, input_tokens, output_tokens, cost_nano_usd
            FROM json_to_record(item.usage) AS usage (
              id text, at bigint, namespace text, agent text, model text, run text, step text, attempt bigint,
              input_tokens bigint, output_tokens bigint, cost_nano_usd bigint
            ) ON CONFLICT (id) DO NOTHING;
        END IF;
        verdicts := verdicts || ''::text;
        CONTINUE;
      END IF;

      shortfall := NULL;
      passed := '[]';
      refused := false;
      IF NOT EXISTS (SELECT FROM reservations WHERE id = item.id) THEN
        FOR charge IN SELECT * FROM ROWS FROM (json_to_recordset(item.charges) AS (
          account text, period text, cost bigint, tokens bigint, requests bigint, lenient boolean
        )) WITH ORDINALITY AS charge (account, period, cost, tokens, requests, lenient, number) ORDER BY number LOOP
          SELECT * INTO balance FROM balances WHERE account = charge.account AND period = charge.period;
          what := CASE
            WHEN item.cost > 0 AND balance.spent_cost + balance.reserved_cost + item.cost > charge.cost
              THEN 'costNanoUsd'
            WHEN item.tokens > 0 AND balance.spent_tokens + balance.reserved_tokens + item.tokens > charge.tokens
              THEN 'tokens'
            WHEN balance.spent_requests + balance.reserved_requests + 1 > charge.requests THEN 'requests' END;
          CONTINUE WHEN what IS NULL;
          shortfall := jsonb_build_object('account', charge.account, 'period', charge.period, 'what', what) || CASE what
            WHEN 'costNanoUsd' THEN
              jsonb_build_object('limit', charge.cost, 'spent', balance.spent_cost, 'reserved', balance.reserved_cost)
            WHEN 'tokens' THEN jsonb_build_object(
              'limit', charge.tokens, 'spent', balance.spent_tokens, 'reserved', balance.reserved_tokens)
            ELSE jsonb_build_object(
              'limit', charge.requests, 'spent', balance.spent_requests, 'reserved', balance.reserved_requests) END;
          refused := NOT charge.lenient;
          EXIT WHEN refused;
          passed := passed || shortfall;
        END LOOP;
        IF refused THEN
          verdicts := verdicts || (jsonb_build_object('granted', false) || shortfall)::text;
          CONTINUE;
        END IF;
        INSERT INTO reservations (id, expires_at, cost, tokens, accounts, periods)
          SELECT item.id, item.expires_at, item.cost, item.tokens, array_agg(account), array_agg(period)
          FROM json_to_recordset(item.charges) AS charge (account text, period text);
        UPDATE balances SET
          ends_at = charged.ends_at,
          reserved_cost = least(reserved_cost + item.cost, ${MOST}),
          reserved_tokens = least(reserved_tokens + item.tokens, ${MOST}),
          reserved_requests = reserved_requests + 1
        FROM json_to_recordset(item.charges) AS charged (account text, period text, ends_at bigint)
        WHERE balances.account = charged.account AND balances.period = charged.period;
      END IF;
      verdicts := verdicts || jsonb_build_object('granted', true, 'passed', passed)::text;
    END LOOP;
  END $$;

  -- Reservations that nobody settled in time become what was spent, and periods that are long over are forgotten.
  CREATE FUNCTION prune_ledger(before bigint) RETURNS void LANGUAGE plpgsql AS $$
  #variable_conflict use_column
  BEGIN
    PERFORM lock_balance(account, period, false, NULL) FROM (
      SELECT DISTINCT charged.account COLLATE "C" AS account, charged.period COLLATE "C" AS period
      FROM reservations, unnest(accounts, periods) AS charged (account, period)
      WHERE NOT settled AND expires_at < before ORDER BY 1, 2 OFFSET 0
    ) AS ordered;
    PERFORM close_reservation(id, true, cost, tokens, 0) FROM reservations WHERE NOT settled AND expires_at < before;
    DELETE FROM reservations WHERE settled AND expires_at < before;
    DELETE FROM balances WHERE ends_at < before;
  END $$;
`;

const journal = `
  -- One verdict for each entry of the batch: whether it is the first under its key.
  CREATE FUNCTION record_journal(batch json, OUT verdicts text[], OUT hints text[]) LANGUAGE plpgsql AS $$
  #variable_conflict use_column
  DECLARE
    item record;
    known text;
  BEGIN
    verdicts := '{}';
    hints := '{}';
    FOR item IN SELECT * FROM json_to_recordset(batch) AS item (
      run text, step text, attempt bigint, number bigint, hash text, kind text, answer text, at bigint, call text
    ) LOOP
      IF NOT EXISTS (SELECT FROM forgotten_runs WHERE uid = item.run) THEN
        INSERT INTO journal (run, step, attempt, number, hash, kind, answer, at, call)
          VALUES (item.run, item.step, item.attempt, item.number, item.hash, item.kind, item.answer, item.at, item.call)
          ON CONFLICT DO NOTHING;
        IF NOT FOUND THEN
          SELECT call INTO known FROM journal
            WHERE run = item.run AND step = item.step AND attempt = item.attempt AND number = item.number;
          IF known IS DISTINCT FROM item.call THEN
            verdicts := verdicts || 'taken'::text;
            CONTINUE;
          END IF;
        END IF;
      END IF;
      verdicts := verdicts || 'first'::text;
    END LOOP;
  END $$;

  CREATE FUNCTION forget_run_and_calls(gone text) RETURNS text LANGUAGE plpgsql AS $$
  DECLARE
    verdict text := forget_run(gone);
  BEGIN
    IF verdict = 'ok' THEN
      DELETE FROM journal WHERE run = gone;
      -- '0' comes after '/'.
      DELETE FROM balances WHERE account = 'run/' || gone
        OR (account > 'run/' || gone || '/' AND account < 'run/' || gone || '0');
    END IF;
    RETURN verdict;
  END $$;
`;

export const ledgerAndJournal = tables + ledger + journal;
