import { API_VERSION } from '@kadre/crds';
import { by } from '../caches.ts';
import { joinKey, keyOf, splitKey, watching } from '../kube/index.ts';
import { polling } from '../polling.ts';
import { decideKnowledge } from './decide.ts';
import { observeKnowledge } from './observe.ts';
import type { DocumentReader } from './reader.ts';
import type { Look } from './snapshot.ts';
import type { Context } from '../context.ts';

const CONCURRENCY = 2;
/** A repository may take a while. */
const TIMEOUT_MS = 180_000;
/** What was deleted while nobody watched is noticed at the start; this is for what slipped through. */
const ORPHANS_MS = 600_000;

/** Brings documents into the store as their sources have them, and says how far they are indexed. */
export function registerKnowledgeController(context: Context, reader: DocumentReader): void {
  const { manager, caches, store, clock, log } = context;
  const { knowledges, models } = caches;
  // Status alone would not do: each write of it is a change that comes back here.
  const looks = new Map<string, Look>();
  const stored = async (enqueue: (key: string) => void): Promise<void> => {
    for (const { namespace, name } of await store.knowledges()) enqueue(joinKey(namespace, name));
  };
  manager.controller({
    name: 'knowledge',
    for: knowledges,
    concurrency: CONCURRENCY,
    timeoutMs: TIMEOUT_MS,
    watches: [
      watching(models, ({ metadata }) =>
        knowledges.byIndex(by.model, joinKey(metadata.namespace, metadata.name)).map(keyOf),
      ),
      polling({ periodMs: ORPHANS_MS, look: stored, clock, log }),
    ],
    reconcile: async (key, { signal }) => {
      const { namespace, name } = splitKey(key);
      const knowledge = knowledges.get(namespace, name);
      if (!knowledge) {
        looks.delete(key);
        return forget(context, namespace ?? '', name);
      }
      const model = models.get(namespace, knowledge.spec.model);
      const observer = { reader, store, clock };
      const snapshot = await observeKnowledge(knowledge, model, looks.get(key), observer, signal);
      if (snapshot.look) looks.set(key, snapshot.look);
      else looks.delete(key);
      const plan = decideKnowledge(snapshot, new Date(clock.now()));
      return manager.executor.execute(knowledge, plan, { signal });
    },
  });
}

/** A cache may lag behind, so the API server itself is asked first. */
async function forget({ manager, caches, store }: Context, namespace: string, name: string): Promise<undefined> {
  if (!caches.watches(namespace)) return undefined;
  const live = await manager.client.get({ apiVersion: API_VERSION, kind: 'Knowledge', namespace, name });
  if (!live) await store.deleteKnowledge({ namespace, name });
  return undefined;
}
