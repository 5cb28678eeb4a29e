// Which engine may write. An embedded store serves one process, so there is one seat, and whoever comes takes it.
import type { Store } from '../store.ts';
import type { Access } from './access.ts';
import type { Statements } from './statements.ts';

export function engines({ sql, write }: Access) {
  return {
    joinEngines: (ttl: number) =>
      write(() => {
        release(sql, sql.evictAll.all());
        const { epoch } = sql.insertEngine.get(Date.now() + ttl) as { epoch: number };
        return epoch;
      }),
    renewEngine: (epoch: number, ttl: number) =>
      write(() => sql.renewEngine.run(epoch, Date.now(), Date.now() + ttl).changes > 0),
    leaveEngines: (epoch: number) => write(() => release(sql, sql.deleteEngine.all(epoch))),
    claimRuns: (epoch: number, limit: number) =>
      write((): string[] => {
        release(sql, sql.evictEngines.all(Date.now()));
        if (!sql.engine.get(epoch, Date.now())) return [];
        const free = sql.freeRuns.all(limit) as { id: number; uid: string }[];
        for (const { id } of free) sql.takeRun.run(epoch, id);
        return free.map(({ uid }) => uid);
      }),
  } satisfies Partial<Store>;
}

function release(sql: Statements, gone: unknown[]): void {
  for (const { epoch } of gone as { epoch: number }[]) sql.releaseRuns.run(epoch);
}
