// Documents that agents search. Vectors are arrays of real: with pgvector they are cast, and without it they are read.
export const knowledge = `
  CREATE TABLE knowledges (
    owner text PRIMARY KEY,
    namespace text NOT NULL,
    name text NOT NULL,
    uid text NOT NULL,
    model text NOT NULL,
    space text NOT NULL,
    revision text NOT NULL DEFAULT '',
    -- Begins anywhere, so that nobody takes a namesake for its predecessor.
    version bigint NOT NULL DEFAULT floor(random() * 1e9),
    failure text,
    retry_at bigint NOT NULL DEFAULT 0
  );
  CREATE TABLE knowledge_documents (
    owner text NOT NULL REFERENCES knowledges ON DELETE CASCADE,
    document text NOT NULL,
    hash text NOT NULL,
    source text NOT NULL,
    url text NOT NULL,
    PRIMARY KEY (owner, document)
  );
  CREATE TABLE knowledge_chunks (
    owner text NOT NULL,
    document text NOT NULL,
    position integer NOT NULL,
    title text NOT NULL,
    text text NOT NULL,
    hash text NOT NULL,
    PRIMARY KEY (owner, document, position),
    FOREIGN KEY (owner, document) REFERENCES knowledge_documents ON DELETE CASCADE
  );
  CREATE INDEX knowledge_chunks_by_hash ON knowledge_chunks (owner, hash);
  CREATE TABLE knowledge_vectors (
    owner text NOT NULL REFERENCES knowledges ON DELETE CASCADE,
    hash text NOT NULL,
    vector real[],
    claimed_until bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (owner, hash)
  );
  CREATE INDEX knowledge_vectors_wanted ON knowledge_vectors (owner, claimed_until) WHERE vector IS NULL;

  CREATE FUNCTION open_knowledge(head json) RETURNS void LANGUAGE plpgsql AS $$
  DECLARE
    key text := (head->>'namespace') || '/' || (head->>'name');
    before knowledges;
  BEGIN
    SELECT * INTO before FROM knowledges WHERE owner = key FOR UPDATE;
    IF before.uid = head->>'uid' AND before.model = head->>'model' AND before.space = head->>'space' THEN RETURN; END IF;
    INSERT INTO knowledges (owner, namespace, name, uid, model, space)
      VALUES (key, head->>'namespace', head->>'name', head->>'uid', head->>'model', head->>'space')
      ON CONFLICT (owner) DO UPDATE SET uid = excluded.uid, model = excluded.model, space = excluded.space,
        version = knowledges.version + 1, failure = NULL, retry_at = 0;
    IF before.space <> head->>'space' THEN
      UPDATE knowledge_vectors SET vector = NULL, claimed_until = 0 WHERE owner = key;
    END IF;
  END $$;

  -- The lock on the head keeps two who write the same document apart.
  CREATE FUNCTION put_knowledge_document(key text, item json) RETURNS void LANGUAGE plpgsql AS $$
  BEGIN
    PERFORM FROM knowledges WHERE owner = key FOR UPDATE;
    IF NOT FOUND THEN RETURN; END IF;
    DELETE FROM knowledge_documents WHERE owner = key AND document = item->>'id';
    INSERT INTO knowledge_documents VALUES (key, item->>'id', item->>'hash', item->>'source', item->>'url');
    INSERT INTO knowledge_chunks
      SELECT key, item->>'id', place - 1, chunk->>'title', chunk->>'text', chunk->>'hash'
      FROM json_array_elements(item->'chunks') WITH ORDINALITY AS chunks (chunk, place);
    INSERT INTO knowledge_vectors (owner, hash)
      SELECT DISTINCT key, chunk->>'hash' FROM json_array_elements(item->'chunks') AS chunks (chunk)
      ON CONFLICT DO NOTHING;
  END $$;

  CREATE FUNCTION keep_knowledge_documents(key text, ids json, revised text) RETURNS void LANGUAGE plpgsql AS $$
  BEGIN
    PERFORM FROM knowledges WHERE owner = key FOR UPDATE;
    DELETE FROM knowledge_documents
      WHERE owner = key AND document NOT IN (SELECT json_array_elements_text(ids));
    DELETE FROM knowledge_vectors AS loose WHERE owner = key
      AND NOT EXISTS (SELECT FROM knowledge_chunks AS chunk WHERE chunk.owner = key AND chunk.hash = loose.hash);
    UPDATE knowledges SET revision = revised, version = version + 1 WHERE owner = key AND revision <> revised;
  END $$;

  CREATE FUNCTION claim_chunks(now bigint, until bigint, most bigint)
  RETURNS TABLE (namespace text, name text, uid text, model text, space text, hash text, title text, text text)
  LANGUAGE plpgsql AS $$
  DECLARE
    key text;
  BEGIN
    SELECT head.owner INTO key FROM knowledges AS head
      WHERE retry_at <= now AND EXISTS (
        SELECT FROM knowledge_vectors AS wanted
        WHERE wanted.owner = head.owner AND vector IS NULL AND claimed_until <= now)
      ORDER BY head.owner LIMIT 1;
    RETURN QUERY
      WITH free AS (
        SELECT wanted.hash FROM knowledge_vectors AS wanted
        WHERE wanted.owner = key AND vector IS NULL AND claimed_until <= now
        ORDER BY wanted.hash LIMIT most FOR UPDATE SKIP LOCKED
      ), claimed AS (
        UPDATE knowledge_vectors AS wanted SET claimed_until = until FROM free
        WHERE wanted.owner = key AND wanted.hash = free.hash RETURNING wanted.hash
      )
      SELECT DISTINCT ON (claimed.hash)
        head.namespace, head.name, head.uid, head.model, head.space, chunk.hash, chunk.title, chunk.text
      FROM claimed JOIN knowledge_chunks AS chunk ON chunk.owner = key AND chunk.hash = claimed.hash
        JOIN knowledges AS head ON head.owner = key;
  END $$;

  CREATE FUNCTION put_vectors(key text, within text, items json) RETURNS void LANGUAGE plpgsql AS $$
  BEGIN
    PERFORM FROM knowledges WHERE owner = key AND space = within FOR UPDATE;
    IF NOT FOUND THEN RETURN; END IF;
    UPDATE knowledge_vectors SET vector = item.vector::real[]
      FROM json_to_recordset(items) AS item (hash text, vector text)
      WHERE owner = key AND knowledge_vectors.hash = item.hash;
    UPDATE knowledges SET version = version + 1, failure = NULL, retry_at = 0 WHERE owner = key;
  END $$;

  CREATE FUNCTION release_chunks(key text, hashes json, why text, again bigint) RETURNS void LANGUAGE sql AS $$
    UPDATE knowledge_vectors SET claimed_until = 0
      WHERE owner = key AND hash IN (SELECT json_array_elements_text(hashes));
    UPDATE knowledges SET failure = why, retry_at = again WHERE owner = key;
  $$;
`;
