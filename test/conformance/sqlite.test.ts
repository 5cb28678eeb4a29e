// Every pattern on the embedded store: undisturbed, and with an engine that dies at every single write.
import { readCases } from './support/case.ts';
import { describeConformance } from './support/describe.ts';
import { openFresh } from './support/local/fresh-sqlite.ts';
import { startLocal } from './support/local/target.ts';

const cases = readCases();

describeConformance('on SQLite', cases, (one) => startLocal(one, openFresh, 'never'));
describeConformance('on SQLite, engines dying after each write', cases, (one) =>
  startLocal(one, openFresh, 'after each write'),
);
describeConformance('on SQLite, engines dying before each write', cases, (one) =>
  startLocal(one, openFresh, 'before each write'),
);
