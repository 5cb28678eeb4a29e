// What the gateway decided, and why.
export const decisions = `
  CREATE TABLE decisions (
    id text PRIMARY KEY,
    at bigint NOT NULL,
    kind text NOT NULL,
    namespace text NOT NULL,
    agent text NOT NULL,
    run text,
    step text,
    attempt bigint,
    call text NOT NULL,
    subject text NOT NULL,
    chosen text,
    reason text NOT NULL,
    alternatives text NOT NULL,
    version text NOT NULL
  );
  CREATE INDEX decisions_of_run ON decisions (run, at) WHERE run IS NOT NULL;
  CREATE INDEX decisions_of_namespace ON decisions (namespace, at);
  CREATE INDEX decisions_by_age ON decisions (at) WHERE run IS NULL;

  CREATE FUNCTION forget_run_and_decisions(gone text) RETURNS text LANGUAGE plpgsql AS $$
  DECLARE
    verdict text := forget_run_and_calls(gone);
  BEGIN
    IF verdict = 'ok' THEN
      DELETE FROM decisions WHERE run = gone;
    END IF;
    RETURN verdict;
  END $$;
`;
