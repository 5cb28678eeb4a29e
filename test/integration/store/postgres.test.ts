import { afterAll, beforeAll } from '@jest/globals';
import { openPostgresStore } from '@kadre/store';
import { describeStore } from '../../../store/src/describe-store.ts';
import { startPostgres, type PostgresServer } from '../../support/postgres.ts';

let server: PostgresServer;
let schemas = 0;
beforeAll(async () => {
  server = await startPostgres();
});
afterAll(() => server.remove());

describeStore('a store on PostgreSQL', async () => {
  const url = server.url(`s${++schemas}`);
  let store = await openPostgresStore(url);
  return {
    store,
    reopen: async () => {
      await store.close();
      return (store = await openPostgresStore(url));
    },
    second: () => openPostgresStore(url),
    cleanUp: () => store.close(),
  };
});
