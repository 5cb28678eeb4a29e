// People are asked by agents, too: whatever was asked on behalf of a run ends with it.
export const askedByAgents = `
  CREATE FUNCTION append_and_withdraw(batch json, OUT verdicts text[], OUT hints text[]) LANGUAGE plpgsql AS $$
  #variable_conflict use_column
  DECLARE
    done record;
    touched text;
  BEGIN
    SELECT appended.verdicts, appended.hints INTO done FROM append(batch) AS appended;
    verdicts := done.verdicts;
    hints := done.hints;
    FOR touched IN
      UPDATE approvals SET state = 'withdrawn' WHERE state = 'open' AND run IN (
        SELECT uid FROM ROWS FROM (json_to_recordset(batch) AS (uid text, closed_at bigint))
        WITH ORDINALITY AS item (uid, closed_at, number)
        WHERE closed_at IS NOT NULL AND done.verdicts[number] = 'ok'
      ) RETURNING key
    LOOP
      hints := hints || ('approvals:' || touched);
    END LOOP;
  END $$;
`;
