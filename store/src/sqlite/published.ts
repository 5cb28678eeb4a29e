// What outlives a run for others to find: events from outside, and outputs that later steps take over.
import { json } from '../json.ts';
import type { CachedOutput, PublishedEvent, Store } from '../store.ts';
import type { Access } from './access.ts';
import type { CachedRow, PublishedRow } from './statements.ts';

export function published({ sql, write, read }: Access) {
  return {
    publishEvent: ({ id, namespace, name, payload, at }: PublishedEvent) =>
      write((touch) => {
        const first = sql.publishEvent.run(namespace, id, name, json(payload), at).changes > 0;
        if (first) touch('events', `${namespace}/${name}`);
        return first;
      }),
    publishedEvents: (namespace: string, name: string, since: number) =>
      read(() =>
        (sql.publishedEvents.all(namespace, name, since) as unknown as PublishedRow[]).map((row) => ({
          ...row,
          payload: JSON.parse(row.payload) as unknown,
        })),
      ),
    cachedOutput: (key: string, now: number) =>
      read((): CachedOutput | undefined => {
        const row = sql.cachedOutput.get(key, now) as CachedRow | undefined;
        return row && { key, output: JSON.parse(row.output), run: row.run, expiresAt: row.expires_at };
      }),
    prune: (before: number) =>
      write(() => {
        sql.pruneEvents.run(before);
        sql.pruneCache.run(before);
      }),
  } satisfies Partial<Store>;
}
