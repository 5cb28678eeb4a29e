// The limit of a queue may change while runs wait in it.
export const queueLimits = `
  -- Whoever waits now waits under this limit; whether that let anybody in.
  CREATE FUNCTION limit_entry(name text, uid text, most bigint) RETURNS boolean LANGUAGE plpgsql AS $$
  BEGIN
    PERFORM lock_queue(name);
    UPDATE queue_entries SET places = most WHERE queue = name AND run = uid AND NOT admitted AND places <> most;
    RETURN FOUND AND admit(name);
  END $$;
`;
