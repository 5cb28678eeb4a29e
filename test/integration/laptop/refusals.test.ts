// The very manifests that the API server refuses, judged without one.
import { describe, expect, test } from '@jest/globals';
import { API_VERSION, kinds } from '@kadre/crds';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { parseDocuments } from '../../../cli/src/laptop/manifests/documents.ts';
import { readManifest } from '../../../cli/src/laptop/manifests/manifest.ts';
import type { Refusal } from '../crds/refused-manifests.ts';

const TABLES = join(import.meta.dirname, '../crds');
const files = (await readdir(TABLES)).filter((name) => name.startsWith('refused-'));
const tables = await Promise.all(
  files.map(async (name) => (await import(join(TABLES, name))) as Record<string, Refusal[]>),
);
const refusals = tables.flatMap((table) => Object.values(table)).flat();

function judge(kind: string, fields: object): { path: string; message: string }[] {
  const object = { apiVersion: API_VERSION, kind, metadata: { generateName: 'test-' }, ...fields };
  const [document] = parseDocuments(stringify(JSON.parse(JSON.stringify(object)), { version: '1.1' }), 'test.yaml', 0);
  if (!document) throw new Error('there is no document');
  const read = readManifest(document, 'default');
  if ('manifest' in read) return read.manifest.problems;
  if ('problems' in read) return read.problems;
  throw new Error(`${kind} was not read`);
}

describe('without a cluster as with one, Kadre refuses, and says how to mend it,', () => {
  test.each(refusals)('$kind: $mistake', ({ kind, wrong, where = '', message, right }) => {
    const problems = judge(kind, wrong).map(({ path, message: text }) => `${path}: ${text}`);
    expect(problems).toContainEqual(expect.stringContaining(message));
    expect(problems).toContainEqual(expect.stringContaining(where));
    expect(judge(kind, right)).toEqual([]);
  });

  test('fields that do not exist, at any depth', () => {
    const misspelled = { spec: { instructions: 'x', model: 'm', serving: { replica: 1 } }, stauts: {} };
    expect(judge('Agent', misspelled)).toEqual([
      expect.objectContaining({
        path: 'spec.serving.replica',
        message: 'unknown field "replica": did you mean replicas?',
        line: 9,
        column: 5,
      }),
      expect.objectContaining({ path: 'stauts', message: 'unknown field "stauts"', line: 10, column: 1 }),
    ]);
  });
});

test('there are refusals of every kind that has rules', () => {
  expect([...new Set(refusals.map(({ kind }) => kind))].sort()).toEqual(Object.keys(kinds).sort());
});
