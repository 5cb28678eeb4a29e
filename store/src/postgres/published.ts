// What outlives a run for others to find: events from outside, and outputs that later steps take over.
import { json } from '../json.ts';
import { cachedOf, publishedOf, type CachedRow, type PublishedRow } from '../rows.ts';
import type { PublishedEvent, Store } from '../store.ts';
import type { Access } from './access.ts';

export function published({ db, touch }: Access) {
  return {
    publishEvent: async ({ id, namespace, name, payload, at }: PublishedEvent) => {
      const values = [namespace, id, name, json(payload), at, db.nextCall()];
      const first = (await db.write('publishEvent', values)).count > 0;
      if (first) touch('events', `${namespace}/${name}`);
      return first;
    },
    publishedEvents: async (namespace: string, name: string, since: number) =>
      (await db.read<PublishedRow>('publishedEvents', [namespace, name, since])).map(publishedOf),
    cachedOutput: async (key: string, now: number) => {
      const [row] = await db.read<CachedRow>('cachedOutput', [key, now]);
      return row && cachedOf(key, row);
    },
    prune: async (before: number) => {
      await db.write('prune', [before]);
      await db.write('pruneRunRequests', [before]);
      await db.write('pruneLedger', [before]);
    },
  } satisfies Partial<Store>;
}
