// What agents remember of conversations outside of runs.
export const conversations = `
  CREATE TABLE turns (
    namespace text NOT NULL,
    agent text NOT NULL,
    conversation text NOT NULL,
    seq bigint NOT NULL,
    id text NOT NULL,
    at bigint NOT NULL,
    size bigint NOT NULL,
    messages text NOT NULL,
    call text NOT NULL,
    PRIMARY KEY (namespace, agent, conversation, seq)
  );
  CREATE INDEX turns_by_id ON turns (namespace, agent, id);
  CREATE INDEX turns_by_age ON turns (at);

  -- Turns of one conversation come one after the other; what waited for the lock sees what came before it.
  CREATE FUNCTION remember_turn(
    its_namespace text, its_agent text, its_conversation text, its_id text, its_at bigint, its_size bigint,
    its_messages text, most_turns bigint, most_characters bigint, follows bigint, its_call text
  ) RETURNS TABLE (verdict text, seq bigint) LANGUAGE plpgsql AS $$
  DECLARE
    last bigint;
    known turns;
  BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended(concat_ws('/', its_namespace, its_agent, its_conversation), 7));
    SELECT * INTO known FROM turns t WHERE t.namespace = its_namespace AND t.agent = its_agent
      AND t.conversation = its_conversation AND t.id = its_id;
    IF FOUND THEN
      RETURN QUERY SELECT CASE WHEN known.call = its_call THEN 'new' ELSE 'known' END, known.seq;
      RETURN;
    END IF;
    SELECT coalesce(max(t.seq), 0) INTO last FROM turns t
      WHERE t.namespace = its_namespace AND t.agent = its_agent AND t.conversation = its_conversation;
    IF follows <> last THEN
      RETURN QUERY SELECT 'stale', last;
      RETURN;
    END IF;
    INSERT INTO turns VALUES (
      its_namespace, its_agent, its_conversation, last + 1, its_id, its_at, its_size, its_messages, its_call
    );
    DELETE FROM turns t USING (
      SELECT o.seq, count(*) OVER newest AS place, sum(o.size) OVER newest AS characters FROM turns o
      WHERE o.namespace = its_namespace AND o.agent = its_agent AND o.conversation = its_conversation
      WINDOW newest AS (ORDER BY o.seq DESC)
    ) o WHERE t.namespace = its_namespace AND t.agent = its_agent AND t.conversation = its_conversation
      AND t.seq = o.seq AND o.place > 1 AND (o.place > most_turns OR o.characters > most_characters);
    RETURN QUERY SELECT 'new', last + 1;
  END $$;
`;
