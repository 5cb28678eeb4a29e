// Knowledge in a real API server: its documents are fetched from where they really are, and kept in the store.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { KnowledgeState } from '@kadre/store';
import { conditionOf, eventually, field, KADRE, startBed, startMs, type Bed, type Ref } from './bed.ts';

const NAMESPACE = 'knowing';
const TOKEN = 'user:token-that-nobody-may-see';

let bed: Bed;
let site: Site;
let git: Git;
beforeAll(async () => {
  bed = await startBed();
  site = await startSite();
  git = await startGit();
  await bed.namespace(NAMESPACE);
  await apply('Model', 'embed', { provider: 'simulated' });
  await bed.startOperator();
}, startMs);
afterAll(async () => {
  site.stop();
  git.stop();
  await bed.stop();
});

const ref = (name: string, kind = 'Knowledge'): Ref => ({ apiVersion: KADRE, kind, name, namespace: NAMESPACE });
const apply = (kind: string, name: string, spec: object) =>
  bed.apply({ apiVersion: KADRE, kind, metadata: { name, namespace: NAMESPACE }, spec });
const knowledge = (name: string, source: object, more: object = {}) =>
  apply('Knowledge', name, { model: 'embed', sources: [{ name: 'pages', ...source }], ...more });
const configMap = (name: string, data: Record<string, string>) =>
  bed.apply({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace: NAMESPACE }, data });
const state = (name: string): Promise<KnowledgeState | undefined> =>
  bed.store.knowledge({ namespace: NAMESPACE, name });
const documents = async (name: string) => [
  ...(await bed.store.knowledgeDocuments({ namespace: NAMESPACE, name })).keys(),
];
const stalled = async (name: string, reason: string): Promise<string> =>
  conditionOf(await bed.condition(ref(name), 'Stalled', 'True', reason), 'Stalled')?.message ?? '';
const soon = (what: string, check: () => Promise<void> | void): Promise<true> =>
  eventually(what, async () => {
    await check();
    return true;
  });
/** As a gateway would. */
async function embedAll(name: string): Promise<number> {
  const claim = await bed.store.claimChunks(Date.now(), Date.now() + 60_000, 1000);
  if (claim?.name !== name) return 0;
  const vectors = claim.chunks.map(({ hash }) => ({ hash, vector: Float32Array.from([1, 0]) }));
  await bed.store.putVectors(claim, claim.space, vectors);
  return vectors.length;
}

describe('a ConfigMap', () => {
  test('is cut into passages, and the status says how far they are indexed', async () => {
    await configMap('handbook', {
      'refunds.md': '# Refunds\n\nThirty days.\n\n## Gifts\n\nNever.',
      shipping: 'Two days.',
    });
    await knowledge('handbook', { configMap: { name: 'handbook' } });
    const before = await bed.condition(ref('handbook'), 'Ready', 'False', 'Indexing');
    expect(field(before, 'status.chunks')).toBe(3);
    expect(await embedAll('handbook')).toBe(3);
    const after = await bed.condition(ref('handbook'), 'Ready', 'True');
    expect(after['status']).toMatchObject({
      documents: 2,
      chunks: 3,
      indexed: 3,
      revision: expect.stringMatching(/^\w{16}$/),
    });
    expect(await documents('handbook')).toEqual(['pages/refunds.md', 'pages/shipping']);
    const [first] = (
      await bed.store.searchKnowledge(
        { namespace: NAMESPACE, name: 'handbook' },
        'simulated embed',
        Float32Array.from([1, 0]),
        1,
      )
    ).found;
    expect(first).toMatchObject({ source: 'pages', url: expect.stringMatching(`^configmap:${NAMESPACE}/handbook/`) });
  });

  test('that changes is read again by itself, and what did not change is not embedded again', async () => {
    await configMap('handbook', { 'refunds.md': '# Refunds\n\nThirty days.\n\n## Gifts\n\nAlways.' });
    await soon('the change', async () => {
      const { documents: count, chunks, indexed } = (await state('handbook')) ?? {};
      expect({ count, chunks, indexed }).toEqual({ count: 1, chunks: 2, indexed: 1 });
    });
  });

  test('that is not there, or lacks a key, stalls with what to do', async () => {
    await knowledge('nowhere', { configMap: { name: 'nowhere' } });
    expect(await stalled('nowhere', 'ConfigMapNotFound')).toContain('Create it.');
    await configMap('nowhere', { a: 'b' });
    await knowledge('nowhere', { configMap: { name: 'nowhere', keys: ['c'] } });
    expect(await stalled('nowhere', 'KeyNotFound')).toContain('it has a.');
  });

  test('whose Knowledge is deleted leaves nothing', async () => {
    await bed.client.delete(ref('handbook'));
    await soon('the store', async () => expect(await state('handbook')).toBeUndefined());
  });
});

test('a Model that is not there, or is a route, stalls it, and an Agent that names no Knowledge is told', async () => {
  await configMap('pages', { a: 'text' });
  await knowledge('modelless', { configMap: { name: 'pages' } }, { model: 'missing' });
  await stalled('modelless', 'ModelNotFound');
  await apply('Model', 'missing', { route: { strategy: 'priority', candidates: [{ model: 'embed' }] } });
  await stalled('modelless', 'ModelIsRoute');
  await apply('Agent', 'reader', { instructions: 'Read.', model: 'embed', knowledge: [{ name: 'unwritten' }] });
  await bed.condition(ref('reader', 'Agent'), 'Stalled', 'True', 'KnowledgeNotFound');
});

describe('an address', () => {
  test('is fetched as text or HTML, with its title, and asked again only whether it has changed', async () => {
    await knowledge('site', { url: `${site.url}/page` }, { refresh: '1s' });
    await soon('the page', async () => expect((await state('site'))?.chunks).toBe(1));
    await soon('another look', () => expect(site.answers).toContain(304));
    site.page = '<title>New</title><p>Other words.';
    await soon('the change', async () => {
      await embedAll('site');
      const { found } = await bed.store.searchKnowledge(
        { namespace: NAMESPACE, name: 'site' },
        'simulated embed',
        Float32Array.from([1, 0]),
        1,
      );
      expect(found[0]).toMatchObject({ title: 'New', text: 'Other words.', url: `${site.url}/page` });
    });
    site.page = undefined;
    const gone = await bed.condition(ref('site'), 'Ready', 'False', 'SourceFailed');
    expect(conditionOf(gone, 'Ready')?.message).toContain('HTTP 404');
    expect((await state('site'))?.chunks).toBe(1);
  });

  test.each([
    ['leads to the metadata of a cloud', 'metadata', 'Refused'],
    ['redirects into a private network', 'private', 'Refused'],
    ['redirects for ever', 'circle', 'SourceFailed'],
    ['is a picture', 'picture', 'UnsupportedDocument'],
    ['is no text after all', 'binary', 'UnsupportedDocument'],
    ['wants somebody to sign in', 'secret', 'Unauthorized'],
    ['sends more than the limits allow', 'huge', 'LimitExceeded'],
  ])('that %s is refused', async (_what, path, reason) => {
    await knowledge(path, { url: `${site.url}/${path}` }, { limits: { bytes: 2048 } });
    await stalled(path, reason);
    expect((await state(path))?.chunks).toBe(0);
  });

  test('gets the Secret of its source, which follows no redirect to another place', async () => {
    const auth = { secretRef: { name: 'site', key: 'token' }, scheme: 'basic' };
    await knowledge('signed', { url: `${site.url}/secret`, auth });
    expect(await stalled('signed', 'SecretNotFound')).toContain('Secret site');
    await bed.apply({
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'site', namespace: NAMESPACE },
      stringData: { token: TOKEN },
    });
    await knowledge('signed', { url: `${site.url}/secret`, auth }, { description: 'Look again.' });
    await soon('the page', async () => expect((await state('signed'))?.chunks).toBe(1));
    await knowledge('leaky', { url: `${site.url}/private`, auth });
    await stalled('leaky', 'Refused');
    expect(JSON.stringify(await bed.client.get(ref('signed')))).not.toContain('nobody-may-see');
  });
});

describe('a repository', () => {
  test('gives the files that its paths name, at the newest commit of its branch', async () => {
    git.commit({
      'README.md': '# Hello',
      'docs/a.md': 'A.',
      'docs/deep/b.txt': 'B.',
      'src/code.ts': 'let x;',
      'docs/c.png': 'x',
    });
    await knowledge('repository', { git: { url: git.url } }, { refresh: '1s' });
    await soon('the files', async () =>
      expect(await documents('repository')).toEqual(['pages/README.md', 'pages/docs/a.md', 'pages/docs/deep/b.txt']),
    );
    git.commit({ 'docs/a.md': 'A, too.', 'docs/d.md': 'D.' });
    await soon('the next commit', async () => expect(await documents('repository')).toContain('pages/docs/d.md'));
    await knowledge('repository', { git: { url: git.url, paths: ['docs/*.md'] } });
    await soon('other paths', async () =>
      expect(await documents('repository')).toEqual(['pages/docs/a.md', 'pages/docs/d.md']),
    );
  });

  test.each([
    ['has no such branch', { ref: 'nothing' }, 'RefNotFound'],
    ['has no such files', { paths: ['*.rst'] }, 'NoDocuments'],
    ['has pictures among them', { paths: ['docs/*'] }, 'UnsupportedDocument'],
  ])('that %s stalls with what to do', async (what, spec, reason) => {
    const name = `git-${what.replaceAll(' ', '-')}`;
    await knowledge(name, { git: { url: git.url, ...spec } });
    await stalled(name, reason);
  });

  test('that is none is said to be none, and one with too many files is left alone', async () => {
    await knowledge('no-git', { git: { url: `${site.url}/page` } });
    await stalled('no-git', 'SourceFailed');
    await knowledge('many-files', { git: { url: git.url } }, { limits: { documents: 1 } });
    await stalled('many-files', 'LimitExceeded');
  });
});

test('what was deleted while no operator was there is gone when one is', async () => {
  await bed.store.openKnowledge({ namespace: NAMESPACE, name: 'orphan', uid: 'u', model: 'embed', space: 's' });
  const second = await bed.startOperator();
  await soon('the store', async () => expect(await state('orphan')).toBeUndefined());
  await bed.stopOperator(second);
});

type Site = Awaited<ReturnType<typeof startSite>>;

async function startSite() {
  const it: { url: string; page: string | undefined; answers: number[]; stop: () => void } = {
    url: '',
    page: '<title>Old</title><p>Some words.',
    answers: [],
    stop: () => undefined,
  };
  const redirect = (location: string) => [302, { location }, ''] as const;
  const answer = ({
    url = '',
    headers,
  }: IncomingMessage): readonly [number, Record<string, string>, string | Buffer] => {
    const html = { 'content-type': 'text/html; charset=utf-8' };
    switch (url) {
      case '/page': {
        if (it.page === undefined) return [404, {}, ''];
        const etag = `"${it.page.length}"`;
        return headers['if-none-match'] === etag ? [304, {}, ''] : [200, { ...html, etag }, it.page];
      }
      case '/metadata':
        return redirect('http://169.254.169.254/latest/meta-data/');
      case '/private':
        return redirect('http://10.0.0.1/');
      case '/circle':
        return redirect('/circle');
      case '/picture':
        return [200, { 'content-type': 'image/png' }, 'x'];
      case '/binary':
        return [200, { 'content-type': 'text/plain' }, Buffer.from([0xff, 0xfe, 0x00])];
      case '/secret': {
        const signed = headers.authorization === `Basic ${Buffer.from(TOKEN).toString('base64')}`;
        return signed ? [200, html, '<p>For members.'] : [401, {}, ''];
      }
      default:
        return [200, { 'content-type': 'text/plain' }, 'word '.repeat(10_000)];
    }
  };
  const server = createServer((request, response) => {
    const [status, headers, body] = answer(request);
    if (request.url === '/page') it.answers.push(status);
    response.writeHead(status, headers).end(body);
  });
  it.url = await listening(server);
  it.stop = () => ending(server);
  return it;
}

type Git = Awaited<ReturnType<typeof startGit>>;

/** Git's own server of repositories over HTTP. */
async function startGit() {
  const folder = mkdtempSync(join(tmpdir(), 'kadre-git-'));
  const work = join(folder, 'work');
  const bare = join(folder, 'shop.git');
  const run = (cwd: string, ...args: string[]) =>
    execFileSync('git', ['-c', 'user.name=T', '-c', 'user.email=t@example.com', ...args], { cwd, stdio: 'pipe' });
  mkdirSync(work);
  run(folder, 'init', '-q', '--bare', '-b', 'main', bare);
  run(work, 'init', '-q', '-b', 'main');
  const server = createServer((request, response) => backend(folder, request, response));
  const url = `${await listening(server)}/shop.git`;
  return {
    url,
    commit: (files: Record<string, string>) => {
      for (const [path, content] of Object.entries(files)) {
        mkdirSync(dirname(join(work, path)), { recursive: true });
        writeFileSync(join(work, path), content);
      }
      run(work, 'add', '-A');
      run(work, 'commit', '-q', '-m', 'x');
      run(work, 'push', '-q', bare, 'main');
    },
    stop: () => {
      ending(server);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function backend(root: string, request: IncomingMessage, response: ServerResponse): void {
  const { pathname, search } = new URL(request.url ?? '', 'http://localhost');
  const child = spawn('git', ['http-backend'], {
    env: {
      ...process.env,
      GIT_PROJECT_ROOT: root,
      GIT_HTTP_EXPORT_ALL: '1',
      PATH_INFO: pathname,
      QUERY_STRING: search.slice(1),
      REQUEST_METHOD: request.method ?? 'GET',
      CONTENT_TYPE: request.headers['content-type'] ?? '',
      ...(request.headers['git-protocol'] && { GIT_PROTOCOL: String(request.headers['git-protocol']) }),
    },
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  request.pipe(child.stdin);
  child.stdin.on('error', () => undefined);
  const pieces: Buffer[] = [];
  child.stdout.on('data', (piece: Buffer) => pieces.push(piece));
  child.on('close', () => {
    const answer = Buffer.concat(pieces);
    const end = answer.indexOf('\r\n\r\n');
    const headers = answer
      .subarray(0, Math.max(0, end))
      .toString()
      .split('\r\n')
      .map((line) => line.split(': '));
    const status = Number.parseInt(headers.find(([name]) => name === 'Status')?.[1] ?? '200', 10);
    const rest = headers.filter(([name]) => name !== 'Status' && name !== '');
    response.writeHead(status, Object.fromEntries(rest) as Record<string, string>).end(answer.subarray(end + 4));
  });
}

async function listening(server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function ending(server: Server): void {
  server.closeAllConnections();
  server.close();
}
