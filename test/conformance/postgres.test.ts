// Every pattern on PostgreSQL: undisturbed, and with an engine that dies at every single write.
import { afterAll, beforeAll } from '@jest/globals';
import { openPostgresStore } from '@kadre/store';
import { startPostgres, type PostgresServer } from '../support/postgres.ts';
import { readCases } from './support/case.ts';
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
describeConformance('on PostgreSQL, engines dying after each write', cases, (one) =>
  startLocal(one, open, 'after each write'),
);
describeConformance('on PostgreSQL, engines dying before each write', cases, (one) =>
  startLocal(one, open, 'before each write'),
);
