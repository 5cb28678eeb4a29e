// What outlives a run for others to find: events from outside, and outputs that later steps take over.
import { json } from '../json.ts';
import { cachedOf, publishedOf, type CachedRow, type PublishedRow } from '../rows.ts';
import type { PublishedEvent, Store } from '../store.ts';
import type { Access } from './access.ts';
import { pruneLedger } from './ledger.ts';

export function published({ sql, write, read }: Access) {
  return {
    publishEvent: ({ id, namespace, name, payload, at }: PublishedEvent) =>
      write((touch) => {
        const first = sql.publishEvent.run(namespace, id, name, json(payload), at).changes > 0;
        if (first) touch('events', `${namespace}/${name}`);
        return first;
      }),
    publishedEvents: (namespace: string, name: string, since: number) =>
      read(() => (sql.publishedEvents.all(namespace, name, since) as unknown as PublishedRow[]).map(publishedOf)),
    cachedOutput: (key: string, now: number) =>
      read(() => {
        const row = sql.cachedOutput.get(key, now) as CachedRow | undefined;
        return row && cachedOf(key, row);
      }),
    prune: (before: number) =>
      write(() => {
        sql.pruneEvents.run(before);
        sql.pruneCache.run(before);
        sql.pruneDecisions.run(before);
        sql.forgetClaims.run(before);
        sql.pruneRunRequests.run(before);
        pruneLedger(sql, before);
      }),
  } satisfies Partial<Store>;
}
