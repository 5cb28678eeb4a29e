import { expect, test } from '@jest/globals';
import type { KnowledgeDocument, KnowledgeHead, KnowledgeState } from '../knowledge.ts';
import type { StoreUnderTest } from './fixtures.ts';

const of = { namespace: 'team', name: 'handbook' };
const head: KnowledgeHead = { ...of, uid: 'u1', model: 'embed', space: 'simulated embed' };
const NOW = 1_700_000_000_000;
const LATER = NOW + 60_000;

const document = (id: string, ...texts: string[]): KnowledgeDocument => ({
  id,
  hash: `of ${texts.join()}`,
  source: 'pages',
  url: `https://a.example/${id}`,
  chunks: texts.map((text) => ({ title: `About ${id}`, text, hash: `#${text}` })),
});
const vector = (...values: number[]): Float32Array => Float32Array.from(values);

export function describeKnowledge(it: () => StoreUnderTest): void {
  const state = async (): Promise<Partial<KnowledgeState>> => (await it().store.knowledge(of)) ?? {};
  const put = async (...documents: KnowledgeDocument[]): Promise<void> => {
    for (const one of documents) await it().store.putKnowledgeDocument(of, one);
  };
  const claimed = async (now = NOW, limit = 10, store = it().store): Promise<string[]> =>
    ((await store.claimChunks(now, now + 60_000, limit))?.chunks ?? []).map(({ hash }) => hash).sort();
  const place = (vectors: Record<string, number[]>, space = head.space): Promise<void> =>
    it().store.putVectors(
      of,
      space,
      Object.entries(vectors).map(([hash, values]) => ({ hash, vector: vector(...values) })),
    );
  const found = async (...asked: number[]): Promise<string[]> =>
    (await it().store.searchKnowledge(of, head.space, vector(...asked), 2)).found.map(({ text }) => text);

  test('documents are found by the vectors of their chunks, the nearest first', async () => {
    const { store } = it();
    await store.openKnowledge(head);
    await put(document('a', 'one é', 'two'), document('b', 'three'));
    expect(await claimed()).toEqual(['#one é', '#three', '#two']);
    await place({ '#one é': [3, 0], '#two': [1, 1], '#three': [0, 9] });
    const again = await it().reopen();
    const { found: near, ...counts } = await again.searchKnowledge(of, head.space, vector(2, 0.1), 2);
    expect(counts).toEqual({ chunks: 3, indexed: 3 });
    expect(near.map(({ score }) => score.toFixed(2))).toEqual(['1.00', '0.74']);
    expect(near[0]).toMatchObject({
      source: 'pages',
      document: 'a',
      url: 'https://a.example/a',
      title: 'About a',
      text: 'one é',
    });
    expect(near[1]).toMatchObject({ text: 'two' });
  });

  test('a chunk is embedded with its title, and only while it has no vector', async () => {
    const { store } = it();
    await store.openKnowledge(head);
    await put(document('a', 'one'));
    const claim = await store.claimChunks(NOW, LATER, 1);
    expect(claim).toEqual({ ...head, chunks: [{ hash: '#one', text: 'About a\n\none' }] });
    await place({ '#one': [1, 0] });
    expect(await claimed(LATER)).toEqual([]);
    await put(document('a', 'one', 'more'));
    expect(await claimed(LATER)).toEqual(['#more']);
  });

  test('two who claim at once get different chunks, and who dies leaves them to others', async () => {
    const second = await it().second();
    await it().store.openKnowledge(head);
    await put(document('a', 'one', 'two', 'three', 'four'));
    const [mine, theirs] = await Promise.all([claimed(NOW, 2), claimed(NOW, 2, second)]);
    expect(new Set([...mine, ...theirs]).size).toBe(mine.length + theirs.length);
    expect((await claimed(NOW, 10)).length).toBe(4 - mine.length - theirs.length);
    expect(await claimed(NOW + 60_000)).toEqual(['#four', '#one', '#three', '#two']);
    await second.close();
  });

  test('what failed says why, and is tried again when its time has come', async () => {
    const { store } = it();
    await store.openKnowledge(head);
    await put(document('a', 'one'));
    await claimed();
    const failure = { reason: 'BudgetExceeded', message: 'Nothing is left.' };
    await store.releaseChunks(of, ['#one'], failure, NOW + 5_000);
    expect(await state()).toMatchObject({ failure });
    expect(await claimed(NOW + 4_999)).toEqual([]);
    expect(await claimed(NOW + 5_000)).toEqual(['#one']);
    await place({ '#one': [1, 0] });
    expect(await state()).not.toHaveProperty('failure');
  });

  test('what is left out is gone, and the rest keeps its vectors', async () => {
    const { store } = it();
    await store.openKnowledge(head);
    await put(document('a', 'one', 'two'), document('b', 'three', 'one'));
    await place({ '#one': [1, 0], '#two': [1, 1], '#three': [0, 1] });
    await put(document('b', 'three'));
    await store.keepKnowledgeDocuments(of, ['b'], 'r2');
    expect(await store.knowledgeDocuments(of)).toEqual(new Map([['b', 'of three']]));
    expect(await found(1, 0)).toEqual(['three']);
    expect(await state()).toMatchObject({ revision: 'r2', documents: 1, chunks: 1, indexed: 1 });
    await put(document('a', 'one'));
    expect(await claimed()).toEqual(['#one']);
  });

  test('another Model that embeds begins anew, and vectors of the former are dropped', async () => {
    const { store } = it();
    await store.openKnowledge(head);
    await put(document('a', 'one'));
    await place({ '#one': [1, 0] });
    await store.openKnowledge(head);
    expect(await state()).toMatchObject({ indexed: 1 });
    await store.openKnowledge({ ...head, model: 'better', space: 'simulated better' });
    expect(await state()).toMatchObject({ model: 'better', documents: 1, indexed: 0 });
    expect(await found(1, 0)).toEqual([]);
    await place({ '#one': [1, 0] });
    expect(await state()).toMatchObject({ indexed: 0 });
    expect((await store.claimChunks(NOW, LATER, 5))?.space).toBe('simulated better');
  });

  test('a Knowledge that is deleted leaves nothing, and takes nothing more', async () => {
    const { store } = it();
    await store.openKnowledge(head);
    await put(document('a', 'one'));
    await place({ '#one': [1, 0] });
    expect(await found(1, 0)).toEqual(['one']);
    await store.deleteKnowledge(of);
    await store.deleteKnowledge(of);
    await put(document('a', 'one'));
    expect(await store.knowledge(of)).toBeUndefined();
    expect(await store.knowledges()).toEqual([]);
    expect(await found(1, 0)).toEqual([]);
    await store.openKnowledge({ ...head, uid: 'u2' });
    expect(await store.knowledges()).toEqual([{ ...head, uid: 'u2' }]);
    expect(await state()).toMatchObject({ uid: 'u2', revision: '', documents: 0, chunks: 0, indexed: 0 });
    await put(document('a', 'one'));
    expect(await claimed()).toEqual(['#one']);
  });

  test('vectors that cannot be compared are not found', async () => {
    await it().store.openKnowledge(head);
    await put(document('a', 'one', 'two'));
    await place({ '#one': [1, 0, 0], '#two': [0, 1] });
    expect(await found(1, 0)).toEqual(['two']);
  });
}
