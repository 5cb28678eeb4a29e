// Every pattern on the embedded store: undisturbed, and with an engine that dies at every single write.
import { openSqliteStore } from '@kadre/store';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readCases } from './support/case.ts';
import { describeConformance } from './support/describe.ts';
import { startLocal } from './support/local/target.ts';

const cases = readCases();
const open = async () => openSqliteStore(join(await mkdtemp(join(tmpdir(), 'kadre-conformance-')), 'kadre.db'));

describeConformance('on SQLite', cases, (one) => startLocal(one, open, 'never'));
describeConformance('on SQLite, engines dying after each write', cases, (one) =>
  startLocal(one, open, 'after each write'),
);
describeConformance('on SQLite, engines dying before each write', cases, (one) =>
  startLocal(one, open, 'before each write'),
);
