// Pods that are ready for one program, and who wants one.
export const sandboxes = `
  CREATE TABLE sandboxes (
    number bigint GENERATED ALWAYS AS IDENTITY,
    id text PRIMARY KEY,
    namespace text NOT NULL,
    pool text NOT NULL,
    url text NOT NULL,
    key text NOT NULL,
    claim text UNIQUE,
    spent boolean NOT NULL DEFAULT false,
    call text NOT NULL
  );
  CREATE INDEX sandboxes_free ON sandboxes (namespace, pool, number) WHERE claim IS NULL AND NOT spent;

  CREATE TABLE sandbox_claims (
    number bigint GENERATED ALWAYS AS IDENTITY,
    id text PRIMARY KEY,
    namespace text NOT NULL,
    pool text NOT NULL,
    spec text NOT NULL,
    expires_at timestamptz NOT NULL
  );

  CREATE FUNCTION claim_sandbox(
    wish text, its_namespace text, its_pool text, its_spec text, ttl double precision,
    OUT changed boolean, OUT id text, OUT url text, OUT key text
  ) LANGUAGE plpgsql AS $$
  DECLARE
    took boolean;
  BEGIN
    -- The row of the claim puts those who ask for the same one in a row.
    INSERT INTO sandbox_claims AS known (id, namespace, pool, spec, expires_at)
    VALUES (wish, its_namespace, its_pool, its_spec, clock_timestamp() + ttl * interval '1 millisecond')
    ON CONFLICT ON CONSTRAINT sandbox_claims_pkey DO UPDATE SET expires_at = excluded.expires_at
    RETURNING known.xmax = 0 INTO changed;
    UPDATE sandboxes SET claim = wish WHERE sandboxes.id = (
      SELECT free.id FROM sandboxes AS free
      WHERE free.namespace = its_namespace AND free.pool = its_pool AND free.claim IS NULL AND NOT free.spent
      ORDER BY free.number LIMIT 1 FOR UPDATE SKIP LOCKED
    ) AND NOT EXISTS (SELECT FROM sandboxes AS mine WHERE mine.claim = wish);
    took := FOUND;
    changed := changed OR took;
    SELECT mine.id, mine.url, mine.key INTO id, url, key FROM sandboxes AS mine
    WHERE mine.claim = wish AND NOT mine.spent;
  END $$;
`;
