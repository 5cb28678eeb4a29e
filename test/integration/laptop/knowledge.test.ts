// Agents of `kadre run` that search: what was embedded is kept for the next run, and what cannot be read says so.
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { openSqliteStore } from '@kadre/store';
import { Laptop } from './kadre.ts';

/** A server that embeds, and one page. */
let server: Server;
let embedded: string[];
let laptop: Laptop;
beforeEach(async () => {
  laptop = await Laptop.open();
  embedded = [];
  server = createServer((request, response) => {
    if (request.url === '/page') {
      response
        .writeHead(200, { 'content-type': 'text/html' })
        .end('<title>Shipping</title><p>A parcel takes two days.');
      return;
    }
    void text(request).then((body) => {
      const { input } = JSON.parse(body) as { input: string | string[] };
      const inputs = [input].flat();
      embedded.push(...inputs);
      const data = inputs.map((_, index) => ({ object: 'embedding', index, embedding: [1, 2] }));
      const usage = { prompt_tokens: 1, total_tokens: 1 };
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ object: 'list', data, model: 'e', usage }));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});
afterEach(async () => {
  server.closeAllConnections();
  server.close();
  await laptop.close();
});

const url = (): string => `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
const api = 'apiVersion: kadre.dev/v1alpha1';
const manifests = (pages: string, sources = '') => `${api}
kind: Knowledge
metadata: {name: handbook}
spec: {model: embed, sources: [{name: pages, configMap: {name: pages}}${sources}]}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: pages}
data: {${pages}}
---
${api}
kind: Agent
metadata: {name: clerk}
spec: {instructions: Help., model: m, knowledge: [{name: handbook}]}
---
${api}
kind: Model
metadata: {name: embed}
spec: {provider: openaiCompatible, model: e, baseUrl: '${url()}/v1'}
---
${api}
kind: Model
metadata: {name: m}
spec:
  provider: simulated
  simulated:
    script:
      - {matchToolResult: '.', reply: '$(toolResult)'}
      - {reply: '', toolCalls: [{name: search_handbook, arguments: '{"query": "parcel"}'}]}
`;
const run = async (text: string) =>
  laptop.kadre(['run', '-f', await laptop.manifests(text), 'agent/clerk', '--prompt', 'Go', '--quiet']);

test('the first run embeds all, and the next one what has changed', async () => {
  const page = `, {name: site, url: '${url()}/page'}`;
  const first = await run(manifests("a: 'One.', b: 'Two.'", page));
  expect(first).toMatchObject({ status: 0, stdout: expect.stringContaining('> A parcel takes two days.') });
  expect(embedded.splice(0).sort()).toEqual([
    'Shipping\n\nA parcel takes two days.',
    'a\n\nOne.',
    'b\n\nTwo.',
    'parcel',
  ]);
  const second = await run(manifests("a: 'One.', b: 'Changed.'", page));
  expect(second.stdout).toContain('> Changed.');
  expect(second.stdout).not.toContain('> Two.');
  expect(embedded.splice(0)).toEqual(['b\n\nChanged.', 'parcel']);
});

test('where nothing can be read the agent does not start, and what is wrong is said', async () => {
  const ended = await run(
    manifests('a: One.').replace(
      /sources: .*\]/,
      `sources: [{name: site, url: '${url().replace('127', '169.254.169.254#')}'}]`,
    ),
  );
  expect(ended.status).toBe(2);
  const gone = await run(
    manifests('a: One.').replace(/sources: .*\]/, `sources: [{name: site, url: 'http://127.0.0.1:9/'}]`),
  );
  expect(gone.stderr).toContain('Knowledge handbook: source site: 127.0.0.1:9');
});

test.each([
  [
    'a ConfigMap that is not among the manifests',
    'configMap: {name: pages}',
    'configMap: {name: others}',
    'ConfigMap others',
  ],
  ['a file', 'configMap: {name: pages}', "url: 'file:///etc/passwd'", 'should match'],
  [
    'a Secret that nobody has given',
    'configMap: {name: pages}',
    "url: 'http://a.b/', auth: {secretRef: {name: s, key: k}}",
    'KADRE_SECRET_S_K',
  ],
  [
    'a Knowledge that is not there',
    'kind: Knowledge\nmetadata: {name: handbook}',
    'kind: Knowledge\nmetadata: {name: x}',
    'Knowledge handbook is not among',
  ],
])('%s stands in the way before the run starts', async (_what, from, to, said) => {
  const ended = await run(manifests('a: One.').replace(from, to));
  expect(ended.status).toBe(2);
  expect(ended.stderr).toContain(said);
});

test('the history of a run keeps what the answer of each step rests on', async () => {
  await run(manifests("a: 'One.'"));
  const [name = ''] = await readdir(join(laptop.history, 'runs'));
  const store = openSqliteStore(join(laptop.history, 'runs', name, 'kadre.db'));
  const [uid = ''] = (await store.closedRuns(Date.now() + 1, 1)).map((one) => one.uid);
  const ended = (await store.events(uid)).find(({ type }) => type === 'StepSucceeded');
  await store.close();
  expect(ended?.data).toMatchObject({
    citations: [{ id: '1', source: 'handbook/pages', title: 'a', passage: 'One.' }],
  });
});
