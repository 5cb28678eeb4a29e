// Which gateways are alive: they share the limits of Models.
export const gateways = `
  CREATE TABLE gateways (
    id text PRIMARY KEY,
    expires_at timestamptz NOT NULL
  ) WITH (fillfactor = 10);
`;
