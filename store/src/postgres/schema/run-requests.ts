// Runs that are asked for by those who hold no rights in Kubernetes.
export const runRequests = `
  CREATE TABLE run_requests (
    number bigint GENERATED ALWAYS AS IDENTITY,
    key text PRIMARY KEY,
    request text NOT NULL,
    at bigint NOT NULL,
    state text NOT NULL DEFAULT 'requested',
    uid text,
    failure text,
    cancelled boolean NOT NULL DEFAULT false
  );
  CREATE UNIQUE INDEX run_requests_by_uid ON run_requests (uid);
  CREATE INDEX run_requests_open ON run_requests (number) WHERE state IN ('requested', 'made');
`;
