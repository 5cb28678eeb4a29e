// Documents that agents search: cut into chunks, each with a vector once the gateway has embedded it.

export interface KnowledgeName {
  namespace: string;
  name: string;
}

export interface KnowledgeHead extends KnowledgeName {
  uid: string;
  /** Name of the Model that embeds. */
  model: string;
  /** Names the vectors that go together. */
  space: string;
}

export interface KnowledgeChunk {
  title: string;
  text: string;
  /** Of title and text. */
  hash: string;
}

export interface KnowledgeDocument {
  /** Unique in its Knowledge. */
  id: string;
  /** Of all that is kept of it. */
  hash: string;
  source: string;
  url: string;
  chunks: KnowledgeChunk[];
}

export interface KnowledgeState extends KnowledgeHead {
  /** Of the documents, as who last read all of them has said; empty before. */
  revision: string;
  documents: number;
  chunks: number;
  /** How many of the chunks have a vector. */
  indexed: number;
  /** Why the last try to embed failed. */
  failure?: { reason: string; message: string };
}

/** Chunks of one Knowledge, for one call of its Model. */
export interface ChunkClaim extends KnowledgeHead {
  chunks: { hash: string; text: string }[];
}

export interface FoundChunk {
  source: string;
  document: string;
  url: string;
  title: string;
  text: string;
  /** The cosine of the angle to what was asked: 1 is the same. */
  score: number;
}

export interface FoundChunks {
  found: FoundChunk[];
  /** Less than `chunks` while some have no vector yet. */
  indexed: number;
  chunks: number;
}

/** Where people look back, so that nothing that is not of the index is ever kept. */
export interface KnowledgeIndex {
  /** Makes it known, or takes over what has changed; vectors of another space are forgotten. Idempotent. */
  openKnowledge(head: KnowledgeHead): Promise<void>;
  /** What is known of it; undefined if nothing is. */
  knowledge(of: KnowledgeName): Promise<KnowledgeState | undefined>;
  /** All that are known. */
  knowledges(): Promise<KnowledgeHead[]>;
  /** The hashes of its documents, by id. */
  knowledgeDocuments(of: KnowledgeName): Promise<Map<string, string>>;
  /** Instead of what was there under its id; chunks that did not change keep their vectors. Of an unknown Knowledge nothing is kept. */
  putKnowledgeDocument(of: KnowledgeName, document: KnowledgeDocument): Promise<void>;
  /** Forgets all documents but these, and the vectors that no chunk needs. */
  keepKnowledgeDocuments(of: KnowledgeName, ids: readonly string[], revision: string): Promise<void>;
  /** Forgets all of it. Idempotent. */
  deleteKnowledge(of: KnowledgeName): Promise<void>;

  /** Takes chunks that have no vector, of one Knowledge; nobody else gets them until then. Times are milliseconds since 1970. */
  claimChunks(now: number, until: number, limit: number): Promise<ChunkClaim | undefined>;
  /** Dropped if the space is another one by now. */
  putVectors(
    of: KnowledgeName,
    space: string,
    vectors: readonly { hash: string; vector: Float32Array }[],
  ): Promise<void>;
  /** Gives claimed chunks back; none of that Knowledge is claimed before `retryAt`. */
  releaseChunks(
    of: KnowledgeName,
    hashes: readonly string[],
    failure: NonNullable<KnowledgeState['failure']>,
    retryAt: number,
  ): Promise<void>;

  /** The nearest chunks, the nearest first. */
  searchKnowledge(of: KnowledgeName, space: string, vector: Float32Array, limit: number): Promise<FoundChunks>;
}

/** As a Model is given it. */
export const embeddedText = ({ title, text }: Pick<KnowledgeChunk, 'title' | 'text'>): string =>
  title === '' ? text : `${title}\n\n${text}`;
