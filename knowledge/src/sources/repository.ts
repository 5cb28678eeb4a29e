// Files of a Git repository: one commit without its history, through Kadre's own way out, and in memory alone.
import type { KnowledgeSource } from '@kadre/crds';
import type git from 'isomorphic-git';
import type { GitHttpRequest, GitHttpResponse } from 'isomorphic-git';
import type { RawDocument } from '../documents.ts';
import { matches } from '../glob.ts';
import { SourceError } from '../source-error.ts';
import { kindOf } from '../text.ts';
import { refusedStatus, type Web } from '../web.ts';
import { unsupported } from './config-map.ts';
import { memoryFs } from './memory-fs.ts';

export interface Commit {
  id: string;
  documents: RawDocument[];
}

export interface RepositoryRequest {
  git: NonNullable<KnowledgeSource['git']>;
  auth: Record<string, string>;
  /** The commit that was read before. */
  known: string | undefined;
  maxDocuments: number;
  signal: AbortSignal;
}

const USUAL_PATHS = ['**/*.md', '**/*.txt', '**/*.html'];
/** Of all that a repository sends: its newest files, whether they are documents or not. */
const MOST_BYTES = 64 * 1024 * 1024;
const DIR = '/repository';
const REGULAR = new Set([0o100644, 0o100755]);

/** Undefined if it is the commit that is known. */
export async function readRepository(web: Web, request: RepositoryRequest): Promise<Commit | undefined> {
  const { git, known, auth, signal } = request;
  const client = await import('isomorphic-git').then((loaded) => loaded.default);
  const http = { request: (asked: GitHttpRequest) => carried(web, asked, auth, signal) };
  const { url } = git;
  try {
    const ref = git.ref ?? 'HEAD';
    const refs = await client.listServerRefs({ http, url, protocolVersion: 1, symrefs: true });
    const names = [ref, `refs/heads/${ref}`, `refs/tags/${ref}`];
    const found = refs.find((one) => names.includes(one.ref));
    if (!found)
      throw new SourceError('RefNotFound', `${new URL(url).host}: the repository has no branch or tag ${ref}.`);
    if (found.oid === known) return undefined;
    const fs = memoryFs();
    const branch = found.ref === 'HEAD' ? (found.target ?? 'HEAD').replace('refs/heads/', '') : ref;
    const shallow = { depth: 1, singleBranch: true, noTags: true, noCheckout: true };
    await fs.promises.mkdir(DIR);
    await client.clone({ fs, http, dir: DIR, url, ref: branch, ...shallow });
    const documents = await documentsIn(client, fs, request, ref);
    return { id: found.oid, documents };
  } catch (error) {
    throw asSourceError(error, new URL(url).host, signal);
  }
}

type Git = typeof git;

async function documentsIn(
  client: Git,
  fs: ReturnType<typeof memoryFs>,
  { git, maxDocuments }: RepositoryRequest,
  ref: string,
): Promise<RawDocument[]> {
  const patterns = git.paths ?? USUAL_PATHS;
  const found: RawDocument[] = [];
  await client.walk({
    fs,
    dir: DIR,
    trees: [client.TREE({ ref: 'HEAD' })],
    map: async (path, [entry]) => {
      if (!entry || (await entry.type()) !== 'blob') return undefined;
      // A symbolic link has no text of its own.
      if (!REGULAR.has(await entry.mode()) || !patterns.some((pattern) => matches(pattern, path))) return undefined;
      if (found.length >= maxDocuments)
        throw new SourceError(
          'LimitExceeded',
          `More than ${maxDocuments} files: narrow paths, or raise limits.documents.`,
        );
      const kind = kindOf(path);
      const content = textOf((await entry.content()) ?? undefined);
      if (!kind || content === undefined) throw unsupported(`file ${path}`);
      found.push({ path, url: `${git.url}#${ref}:${path}`, kind, content });
      return undefined;
    },
  });
  if (found.length > 0) return found.sort((one, other) => (one.path < other.path ? -1 : 1));
  throw new SourceError('NoDocuments', `No file fits ${patterns.join(', ')}: change paths.`);
}

function textOf(bytes: Uint8Array | undefined): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes ?? new Uint8Array());
  } catch {
    return undefined;
  }
}

async function carried(
  web: Web,
  { url, method = 'GET', headers = {}, body }: GitHttpRequest,
  auth: Record<string, string>,
  signal: AbortSignal,
): Promise<GitHttpResponse> {
  const pieces: Uint8Array[] = [];
  if (body) for await (const piece of body) pieces.push(piece);
  const answer = await web.fetch({
    url,
    method: method === 'POST' ? 'POST' : 'GET',
    headers,
    ...(body && { body: Buffer.concat(pieces) }),
    auth,
    maxBytes: MOST_BYTES,
    signal,
  });
  if (answer.status !== 200) throw refusedStatus(answer.status, new URL(url).host);
  return {
    url: answer.url,
    method,
    headers: { ...answer.headers },
    body: once(answer.body),
    statusCode: answer.status,
    statusMessage: 'OK',
  };
}

// eslint-disable-next-line @typescript-eslint/require-await -- what is read as a stream elsewhere is here at once
async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array, void> {
  yield bytes;
}

/** The words of the library may quote what the server sent. */
function asSourceError(error: unknown, host: string, signal: AbortSignal): unknown {
  if (error instanceof SourceError) return error;
  if (signal.aborted) return signal.reason;
  const { code, data } = error as { code?: unknown; data?: { cause?: unknown } };
  if (data?.cause instanceof SourceError) return data.cause;
  const why = typeof code === 'string' ? ` (${code.slice(0, 64)})` : '';
  return new SourceError(
    'SourceFailed',
    `${host} does not answer as a Git repository does${why}: look at the address.`,
    {
      cause: error,
    },
  );
}
