// Brings what the store has of a Knowledge in line with its sources. A source that cannot be read keeps the documents that it
// had; one that is no longer named loses them.
import type { Knowledge, KnowledgeSource, KnowledgeSpec } from '@kadre/crds';
import type { KnowledgeIndex } from '@kadre/store';
import type { ReadSecret } from '@kadre/tools';
import { documentId, documentOf, hashOf, revisionOf, type RawDocument } from './documents.ts';
import { SourceError } from './source-error.ts';
import { readConfigMapSource, type ReadConfigMap } from './sources/config-map.ts';
import { readPage } from './sources/page.ts';
import { signedIn, type Web } from './web.ts';

export interface Refresher {
  web: Web;
  readConfigMap: ReadConfigMap;
  /** Of the namespace of the Knowledge. */
  secret: ReadSecret;
  store: KnowledgeIndex;
}

/** What sources were like when they were last read: by it they are asked whether they have changed. Worth nothing for another spec. */
export type SourceTags = ReadonlyMap<string, string>;

export interface Refreshed {
  tags: SourceTags;
  /** One for each source that could not be read. */
  problems: { source: string; error: SourceError }[];
}

export interface RefreshRequest {
  knowledge: Pick<Knowledge, 'metadata' | 'spec'>;
  /** Of the vectors, as the Model that embeds makes them. */
  space: string;
  tags: SourceTags;
  /** Those that are due; of the others everything stays. Absent: all. */
  due?: (source: KnowledgeSource) => boolean;
  signal: AbortSignal;
}

const USUAL_DOCUMENTS = 1000;
const USUAL_BYTES = 16 * 1024 * 1024;

const limitsOf = ({ limits }: KnowledgeSpec): { documents: number; bytes: number } => ({
  documents: limits?.documents ?? USUAL_DOCUMENTS,
  bytes: limits?.bytes ?? USUAL_BYTES,
});

/** Throws what is no fault of a source: a StoreError, or the reason of the signal. */
export async function refresh(refresher: Refresher, request: RefreshRequest): Promise<Refreshed> {
  const { store } = refresher;
  const { metadata, spec } = request.knowledge;
  const of = { namespace: metadata.namespace ?? '', name: metadata.name };
  await store.openKnowledge({ ...of, uid: metadata.uid, model: spec.model, space: request.space });
  const known = await store.knowledgeDocuments(of);
  const kept = new Map<string, string>();
  const tags = new Map<string, string>();
  const problems: Refreshed['problems'] = [];
  const room = limitsOf(spec);
  for (const source of spec.sources) {
    const keep = (): void => {
      const own = [...known].filter(([id]) => id.startsWith(documentId(source.name, '')));
      for (const [id, hash] of own) kept.set(id, hash);
      room.documents -= own.length;
    };
    const tag = request.tags.get(source.name);
    if (tag !== undefined) tags.set(source.name, tag);
    if (request.due?.(source) === false) {
      keep();
      continue;
    }
    try {
      const read = await readSource(refresher, request, source, known.size > 0 ? tag : undefined);
      if (!read) {
        keep();
        continue;
      }
      mustFit(read.documents, room, spec);
      for (const raw of read.documents) {
        const id = documentId(source.name, raw.path);
        const hash = hashOf(raw, spec.chunking);
        if (known.get(id) !== hash) await store.putKnowledgeDocument(of, documentOf(source.name, raw, spec.chunking));
        kept.set(id, hash);
      }
      if (read.tag !== undefined) tags.set(source.name, read.tag);
      else tags.delete(source.name);
    } catch (error) {
      if (!(error instanceof SourceError)) throw error;
      problems.push({ source: source.name, error });
      tags.delete(source.name);
      keep();
    }
  }
  await store.keepKnowledgeDocuments(of, [...kept.keys()], revisionOf(kept));
  return { tags, problems };
}

/** Takes the room that the documents need. */
function mustFit(
  documents: readonly RawDocument[],
  room: { documents: number; bytes: number },
  spec: KnowledgeSpec,
): void {
  const limits = limitsOf(spec);
  const bytes = documents.reduce((sum, { content }) => sum + Buffer.byteLength(content), 0);
  if (documents.length > room.documents)
    throw new SourceError(
      'LimitExceeded',
      `There are more than ${limits.documents} documents: raise limits.documents, or take fewer.`,
    );
  if (bytes > room.bytes)
    throw new SourceError(
      'LimitExceeded',
      `The documents have more than ${limits.bytes} bytes: raise limits.bytes, or take fewer.`,
    );
  room.documents -= documents.length;
  room.bytes -= bytes;
}

/** Undefined if it is as its tag says. */
async function readSource(
  { web, readConfigMap, secret }: Refresher,
  { knowledge: { metadata, spec }, signal }: RefreshRequest,
  source: KnowledgeSource,
  tag: string | undefined,
): Promise<{ tag?: string; documents: RawDocument[] } | undefined> {
  const { configMap, url, git } = source;
  const { documents: maxDocuments, bytes: maxBytes } = limitsOf(spec);
  if (configMap) return { documents: await readConfigMapSource(configMap, metadata.namespace ?? '', readConfigMap) };
  const auth = await signedIn(source, secret);
  if (url !== undefined) {
    const page = await readPage(web, { url, auth, tag, maxBytes, signal });
    return page && { ...(page.tag !== undefined && { tag: page.tag }), documents: [page.document] };
  }
  if (!git) return { documents: [] };
  const { readRepository } = await import('./sources/repository.ts');
  const commit = await readRepository(web, { git, auth, known: tag, maxDocuments, signal });
  return commit && { tag: commit.id, documents: commit.documents };
}
