// What docs/models-routes.md shows is what happens: its manifests are valid, and its routes answer.
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Model } from '@kadre/crds';
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { parseAllDocuments } from 'yaml';
import { NAMESPACE, startBed, user, type Bed } from './bed.ts';

const root = join(import.meta.dirname, '..', '..', '..');
const page = join(root, 'docs', 'models-routes.md');
const example = join(root, 'examples', 'models', 'routes.yaml');
const boxes = [...(await readFile(page, 'utf8')).matchAll(/^```yaml\n([^]*?)^```$/gm)].map(([, text = '']) => text);

let bed: Bed;
beforeAll(async () => {
  bed = await startBed();
  for (const { metadata, spec } of boxes.flatMap((text) => parseAllDocuments(text).map((one) => one.toJS() as Model))) {
    bed.model(metadata.name, spec);
    if (spec.route) delete bed.models.get(`${NAMESPACE}/${metadata.name}`)?.spec.provider;
  }
});
afterAll(() => bed.close());

async function ask(model: string, prompt: string): Promise<[text: string, by: string | null]> {
  const { data, response } = await bed
    .client()
    .chat.completions.create({ model, messages: user(prompt), stream: false })
    .withResponse();
  return [data.choices[0]?.message.content ?? '', response.headers.get('kadre-model')];
}

test('its manifests, and those of the example, are what a cluster takes', async () => {
  const run = promisify(execFile);
  const input = boxes.join('---\n');
  const validated = run(process.execPath, [join(root, 'cli', 'src', 'main.ts'), 'validate', '-f', '-', '-f', example]);
  validated.child.stdin?.end(input);
  const { stdout, stderr } = await validated;
  expect([stdout, stderr].join('')).toMatch(/ 0 errors/);
});

test.each([
  ['steady', 'Hello', 'Large: Hello', 'large'],
  ['sorted', 'Hello', 'Small: Hello', 'small'],
  ['sorted', 'Why?', 'Large: Why?', 'large'],
])('%s answers %s', async (route, prompt, text, by) => {
  expect(await ask(route, prompt)).toEqual([text, by]);
});

test('the council judges and writes, and the comparison shows both', async () => {
  const [written, by] = await ask('council', 'Hello');
  expect(written).toMatch(/^Large: Answer A:[^]*A judge holds answer A for the best: It is right\./);
  expect(by).toBe('large');
  const [json] = await ask('side-by-side', 'Hello');
  expect(JSON.parse(json)).toMatchObject({
    answers: [
      { model: 'small', text: 'Small: Hello' },
      { model: 'large', text: 'Large: Hello' },
    ],
  });
});
