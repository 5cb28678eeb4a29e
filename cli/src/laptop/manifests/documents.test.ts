import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseDocuments, readDocuments } from './documents.ts';

let folder: string;
beforeEach(async () => (folder = await mkdtemp(join(tmpdir(), 'kadre-manifests-'))));
afterEach(() => rm(folder, { recursive: true, force: true }));

const noInput = () => Promise.resolve('');
const values = (text: string) => parseDocuments(text, 'x.yaml', 0).map(({ value }) => value);

describe('manifests are read', () => {
  test('from folders with all below them, in order, and from standard input', async () => {
    await mkdir(join(folder, 'b/.git'), { recursive: true });
    await writeFile(join(folder, 'b/two.yml'), 'id: 2\n---\nid: 3');
    await writeFile(join(folder, 'a.json'), '{"id": 1}');
    await writeFile(join(folder, 'b/.git/old.yaml'), 'id: 9');
    await writeFile(join(folder, 'notes.txt'), 'id: 9');
    const read = await readDocuments([folder, '-'], () => Promise.resolve('id: 4'));
    expect(read.map(({ value, source }) => [value, source])).toEqual([
      [{ id: 1 }, 0],
      [{ id: 2 }, 0],
      [{ id: 3 }, 0],
      [{ id: 4 }, 1],
    ]);
  });

  test.each([
    ['a file that is not there', 'absent.yaml', /absent.yaml: there is no such file or folder/],
    ['a folder without manifests', '', /holds no file that ends in .yaml/],
  ])('but not from %s', async (_, name, message) => {
    await expect(readDocuments([join(folder, name)], noInput)).rejects.toThrow(message);
  });

  test.each([
    ['as booleans what YAML 1.1 takes for them', 'a: on\nb: n', [{ a: true, b: false }]],
    ['dates and times of day as texts', 'a: 2026-01-01\nb: 1:30', [{ a: '2026-01-01', b: '1:30' }]],
    ['anchors and merges', 'a: &a {x: 1}\nb: {<<: *a, z: 2}', [{ a: { x: 1 }, b: { x: 1, z: 2 } }]],
    ['nothing out of empty documents', '---\n# only this\n---\n', []],
    ['the items of a List one by one', 'kind: List\nitems: [{id: 1}, {id: 2}]', [{ id: 1 }, { id: 2 }]],
  ])('as kubectl reads them: %s', (_, text, expected) => {
    expect(values(text)).toEqual(expected);
  });

  test.each([
    ['a document that is no YAML', 'a: [1,\nb: }', 'x.yaml', 2],
    ['a key that comes twice', 'a: 1\na: 2', 'x.yaml', 2],
    ['aliases that multiply', bomb(), 'x.yaml', 1],
  ])('with the place of what is wrong: %s', (_, text, file, line) => {
    const [document] = parseDocuments(text, file, 0);
    expect(document?.faults).toHaveLength(1);
    expect(document?.faults[0]?.at).toMatchObject({ file, line });
  });
});

function bomb(): string {
  const lines = ['a0: &a0 [x, x]'];
  for (let i = 1; i < 40; i++) lines.push(`a${i}: &a${i} [*a${i - 1}, *a${i - 1}]`);
  return lines.join('\n');
}

test('a field is found in its file, and one that is missing at what it is missing from', () => {
  const [, second] = parseDocuments('id: 1\n---\nspec:\n  steps:\n    - name: a\n    - name: b\n', 'x.yaml', 0);
  expect(second?.locate(['spec', 'steps', 1, 'name'])).toEqual({ file: 'x.yaml', line: 6, column: 7 });
  expect(second?.locate(['spec', 'steps', 1, 'agent', 'name'])).toEqual({ file: 'x.yaml', line: 6, column: 7 });
  expect(second?.locate(['metadata'])).toMatchObject({ line: 3 });
});
