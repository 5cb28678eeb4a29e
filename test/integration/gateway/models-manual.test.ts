// What docs/models.md shows is what happens: its snippets are run as they stand, against a gateway with its Models.
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Model } from '@kadre/crds';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { parseAllDocuments } from 'yaml';
import { parsePriceList } from '../../../gateway/src/price/price-list.ts';
import { failure, NAMESPACE, startBed, user, type Bed } from './bed.ts';

const root = join(import.meta.dirname, '..', '..', '..');
const kadre = join(root, 'cli', 'src', 'main.ts');
const run = promisify(execFile);

interface Manifest {
  kind: string;
  metadata: { name: string };
  spec: Model['spec'];
  data?: Record<string, string>;
}

let bed: Bed;
let folder: string;
const page = await readFile(join(root, 'docs', 'models.md'), 'utf8');
const boxes = [...page.matchAll(/^```yaml\n([^]*?)^```$/gm)].map(([, text = '']) => text);
const manifests = boxes.flatMap((text) => parseAllDocuments(text).map((one) => one.toJS() as Manifest));
const snippets = [...page.matchAll(/^```ts\n([^]*?)^```\n\n```text\n([^]*?)^```$/gm)].map(
  ([, code = '', printed = '']) => [/from '([@a-z/-]+)'/.exec(code)?.[1] ?? '', code, printed] as const,
);

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kadre-manual-'));
  await writeFile(join(folder, 'token'), 'token-a');
  const list = manifests.find(({ metadata }) => metadata.name === 'kadre-prices')?.data?.['prices.json'];
  bed = await startBed({ prices: { current: () => list } });
  bed.secrets.set(`${NAMESPACE}/llm`, { anthropic: 'sk-some' });
  for (const { kind, metadata, spec } of manifests) if (kind === 'Model') bed.model(metadata.name, spec);
});
afterAll(async () => {
  await bed.close();
  await rm(folder, { recursive: true });
});

test('its manifests are what a cluster takes, and its list of prices is one', async () => {
  const file = join(folder, 'manifests.yaml');
  await writeFile(file, boxes.join('---\n'));
  const { stdout, stderr } = await run(process.execPath, [kadre, 'validate', '-f', file]);
  expect([stdout, stderr].join('')).toContain('8 manifests checked, 2 of other kinds skipped: 0 errors');
  const lists = manifests.flatMap(({ data }) => data?.['prices.json'] ?? []);
  expect(lists.map((list) => Object.keys(parsePriceList(list)))).toEqual([['openai', 'openaiCompatible']]);
});

test('it shows a snippet for each client', () => {
  expect(snippets.map(([client]) => client)).toEqual(['openai', '@anthropic-ai/sdk', '@google/genai', 'openai']);
  expect(page.match(/^```ts$/gm)).toHaveLength(snippets.length);
});

test.each(snippets)('what it asks with %s is answered as it says', async (_client, code, printed) => {
  const { stdout } = await run(process.execPath, ['--input-type=module-typescript', '--eval', code], {
    cwd: root,
    env: { PATH: process.env['PATH'], KADRE_GATEWAY_URL: bed.url, KADRE_TOKEN_FILE: join(folder, 'token') },
  });
  expect(stdout).toBe(printed);
});

test('it names the codes of a Model that lacks its Secret, and of one that is asked for what its provider lacks', async () => {
  const ask = (model: string, more: object = {}) =>
    failure(bed.client().chat.completions.create({ model, messages: user('hi'), ...more, stream: false }));
  expect(await ask('gpt')).toMatchObject({ status: 424, code: 'SecretNotFound' });
  expect(await ask('claude', { seed: 7 })).toMatchObject({ status: 400, code: 'ModelFailed' });
  const embeddings = bed.client().embeddings.create({ model: 'claude', input: 'text' });
  expect(await failure(embeddings)).toMatchObject({ status: 424, code: 'ModelFailed' });
  const kept = bed.client().responses.create({ model: 'assistant', input: 'hi', previous_response_id: 'resp_1' });
  expect((await failure(kept)).message).toContain('previous_response_id');
});
