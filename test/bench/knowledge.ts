// How long a search takes among ten thousand passages, without what it takes to embed the question.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openSqliteStore } from '@kadre/store';
import { median, quantile, type Figure } from './report.ts';

const PASSAGES = 10_000;
const DIMENSIONS = 768;
const SEARCHES = 50;

export async function knowledge(): Promise<Figure[]> {
  const folder = await mkdtemp(join(tmpdir(), 'kadre-bench-knowledge-'));
  const store = openSqliteStore(join(folder, 'kadre.db'));
  const of = { namespace: 'bench', name: 'manual' };
  const vector = (): Float32Array => Float32Array.from({ length: DIMENSIONS }, () => Math.random() - 0.5);
  const search = async (): Promise<number> => {
    const began = performance.now();
    await store.searchKnowledge(of, 'bench', vector(), 5);
    return performance.now() - began;
  };
  try {
    await store.openKnowledge({ ...of, uid: 'u', model: 'm', space: 'bench' });
    const chunks = Array.from({ length: PASSAGES }, (_, at) => ({
      title: 'T',
      text: `Passage ${at}.`,
      hash: `#${at}`,
    }));
    await store.putKnowledgeDocument(of, { id: 'd', hash: 'h', source: 's', url: 'https://a.example', chunks });
    const vectors = chunks.map(({ hash }) => ({ hash, vector: vector() }));
    await store.putVectors(of, 'bench', vectors);
    const first = await search();
    const times: number[] = [];
    for (let left = SEARCHES; left > 0; left -= 1) times.push(await search());
    const what = `search of ${PASSAGES} passages of ${DIMENSIONS} numbers, SQLite`;
    const shown = (ms: number): string => `${ms.toFixed(1)} ms`;
    return [
      { what: `${what}, P50`, figure: shown(median(times)), beside: 'at most 100 ms' },
      { what: `${what}, P99`, figure: shown(quantile(times, 0.99)), beside: '' },
      { what: `${what}, the first, which reads all vectors`, figure: shown(first), beside: '' },
    ];
  } finally {
    await store.close();
    await rm(folder, { recursive: true });
  }
}
