// What was indexed of Knowledge, kept beside the runs: the next run embeds only what has changed. Each Knowledge of each file has a
// store of its own, so that namesakes of other folders are apart, and no run works on what it has no Model for.
import { createHash } from 'node:crypto';
import { chmodSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { openSqliteStore, type KnowledgeIndex, type KnowledgeName, type Store } from '@kadre/store';

export interface KnowledgePlace {
  name: string;
  /** The file with its manifest. */
  file: string;
}

export interface KnowledgeStores {
  index: KnowledgeIndex & Pick<Store, 'subscribe'>;
  close(): Promise<void>;
}

export function openKnowledgeStores(history: string, places: readonly KnowledgePlace[]): KnowledgeStores {
  const folder = join(history, 'knowledge');
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const stores = new Map(
    places.map(({ name, file }) => {
      const path = join(folder, `${name}-${createHash('sha256').update(file).digest('hex').slice(0, 12)}.db`);
      const store = openSqliteStore(path);
      chmodSync(path, 0o600);
      return [name, store] as const;
    }),
  );
  const of = ({ name }: KnowledgeName): Store => {
    const store = stores.get(name);
    if (!store) throw new Error(`nothing of this run searches Knowledge ${name}`);
    return store;
  };
  const all = [...stores.values()];
  return {
    index: {
      openKnowledge: (head) => of(head).openKnowledge(head),
      knowledge: (one) => of(one).knowledge(one),
      knowledges: async () => (await Promise.all(all.map((store) => store.knowledges()))).flat(),
      knowledgeDocuments: (one) => of(one).knowledgeDocuments(one),
      putKnowledgeDocument: (one, document) => of(one).putKnowledgeDocument(one, document),
      keepKnowledgeDocuments: (one, ids, revision) => of(one).keepKnowledgeDocuments(one, ids, revision),
      deleteKnowledge: (one) => of(one).deleteKnowledge(one),
      claimChunks: async (now, until, limit) => {
        for (const store of all) {
          const claim = await store.claimChunks(now, until, limit);
          if (claim) return claim;
        }
        return undefined;
      },
      putVectors: (one, space, vectors) => of(one).putVectors(one, space, vectors),
      releaseChunks: (one, hashes, failure, retryAt) => of(one).releaseChunks(one, hashes, failure, retryAt),
      searchKnowledge: (one, space, vector, limit) => of(one).searchKnowledge(one, space, vector, limit),
      subscribe: (topic, listener) => {
        const stops = all.map((store) => store.subscribe(topic, listener));
        return () => {
          for (const stop of stops) stop();
        };
      },
    },
    close: async () => {
      await Promise.all(all.map((store) => store.close()));
    },
  };
}

/** The store of one run, which searches what is kept for all. */
export function withKnowledge(store: Store, { index }: KnowledgeStores): Store {
  const { subscribe, ...own } = index;
  return {
    ...store,
    ...own,
    subscribe: (topic, listener) =>
      topic === 'knowledge' ? subscribe(topic, listener) : store.subscribe(topic, listener),
  };
}
