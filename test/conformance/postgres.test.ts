// Every pattern on PostgreSQL: undisturbed, and with an engine that dies at every single write.
import { afterAll, beforeAll } from '@jest/globals';
import { openPostgresStore } from '@kadre/store';
import { startPostgres, type PostgresServer } from '../support/postgres.ts';
import { readCases, type Case } from './support/case.ts';
import { describeConformance } from './support/describe.ts';
import { startLocal } from './support/local/target.ts';

let server: PostgresServer;
let schemas = 0;
beforeAll(async () => {
  server = await startPostgres();
});
afterAll(() => server.remove());

const cases = readCases();
const open = () => openPostgresStore(server.url(`s${++schemas}`));

describeConformance('on PostgreSQL', cases, (one) => startLocal(one, open, 'never'));
for (const deaths of ['before each write', 'after each write'] as const) {
  const start = (one: Case) => startLocal(one, open, deaths);
  // Before its only write nobody can die and get anywhere: such a run may see no death.
  const mortal = deaths === 'after each write';
  describeConformance(`on PostgreSQL, engines dying ${deaths}`, cases, start, { mortal });
}
