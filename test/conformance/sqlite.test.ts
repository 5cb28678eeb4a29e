// Every pattern on the embedded store: undisturbed, and with an engine that dies at every single write.
import { readCases, type Case } from './support/case.ts';
import { describeConformance } from './support/describe.ts';
import { openFresh } from './support/local/fresh-sqlite.ts';
import { startLocal } from './support/local/target.ts';

const cases = readCases();

describeConformance('on SQLite', cases, (one) => startLocal(one, openFresh, 'never'));
for (const deaths of ['before each write', 'after each write'] as const) {
  const start = (one: Case) => startLocal(one, openFresh, deaths);
  // Before its only write nobody can die and get anywhere: such a run may see no death.
  const mortal = deaths === 'after each write';
  describeConformance(`on SQLite, engines dying ${deaths}`, cases, start, { mortal });
}
