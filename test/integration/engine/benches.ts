// An engine's bench on either store, for tests that hold it to the same on both.
import { openPostgresStore, type Store } from '@kadre/store';
import { Bench } from '../../../engine/src/testing/bench.ts';
import { startPostgres, type PostgresServer } from '../../support/postgres.ts';

export interface Postgres {
  /** A bench on a store of its own in the server. */
  open: () => Promise<Bench>;
  server: PostgresServer;
}

/** A server for all benches of a test file. */
export async function postgresBenches(): Promise<Postgres> {
  const server = await startPostgres();
  let schemas = 0;
  const open = async (): Promise<Bench> => {
    const url = server.url(`engine${++schemas}`);
    const opened = (): Promise<Store> => openPostgresStore({ url });
    // The seat of an engine that was killed is soon free again.
    return new Bench(await opened(), opened, () => Promise.resolve(), { seat: 400 });
  };
  return { open, server };
}
