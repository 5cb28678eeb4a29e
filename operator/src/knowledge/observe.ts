// Reads those sources of a Knowledge that are due, and what the store has of it.
import { isProviderModel, vectorSpace, type Knowledge, type Model } from '@kadre/crds';
import type { Store } from '@kadre/store';
import type { Clock } from '../kube/index.ts';
import type { DocumentReader } from './reader.ts';
import { configMapsDueAt, isSlow, otherDueAt, type KnowledgeSnapshot, type Look } from './snapshot.ts';

export interface Observer {
  reader: Pick<DocumentReader, 'refresh'>;
  store: Pick<Store, 'knowledge'>;
  clock: Clock;
}

/** `before`: what the last look at a Knowledge of this name came to, if there was one. */
export async function observeKnowledge(
  knowledge: Knowledge,
  model: Model | undefined,
  before: Look | undefined,
  { reader, store, clock }: Observer,
  signal: AbortSignal,
): Promise<KnowledgeSnapshot> {
  const { namespace = '', name } = knowledge.metadata;
  // Without a Model nobody knows which vectors go together.
  const look =
    model && isProviderModel(model) ? await lookAt(knowledge, model, before, { reader, clock }, signal) : undefined;
  const state = await store.knowledge({ namespace, name });
  return { knowledge, ...(model && { model }), ...(look && { look }), ...(state && { state }) };
}

async function lookAt(
  knowledge: Knowledge,
  model: Model,
  before: Look | undefined,
  { reader, clock }: Pick<Observer, 'reader' | 'clock'>,
  signal: AbortSignal,
): Promise<Look> {
  const { uid, generation } = knowledge.metadata;
  const space = vectorSpace(model.metadata.name, model.spec);
  const same = before?.uid === uid && before.generation === generation && before.space === space ? before : undefined;
  const now = clock.now();
  const slow = !same || otherDueAt(knowledge, same) <= now;
  const quick = !same || configMapsDueAt(same) <= now;
  if (!slow && !quick) return same;
  const due = (source: Knowledge['spec']['sources'][number]): boolean => (isSlow(source) ? slow : quick);
  const { tags, problems } = await reader.refresh({ knowledge, space, tags: same?.tags ?? new Map(), due, signal });
  const isRead = new Map(knowledge.spec.sources.map((source) => [source.name, due(source)]));
  const found = problems.map(({ source, error: { reason, message, passing } }) => ({
    source,
    reason,
    message,
    passing,
  }));
  const kept = same?.problems.filter(({ source }) => isRead.get(source) === false) ?? [];
  const slowNames = new Set(knowledge.spec.sources.filter(isSlow).map((source) => source.name));
  const failed = found.some(({ source }) => slowNames.has(source));
  return {
    ...{ uid, generation, space, tags },
    problems: [...kept, ...found],
    configMapsAt: quick ? now : same.configMapsAt,
    otherAt: slow ? now : same.otherAt,
    failures: slow ? (failed ? (same?.failures ?? 0) + 1 : 0) : same.failures,
  };
}
