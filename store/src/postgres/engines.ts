// Which engine may write which run. The server's clock says when a seat is lost.
import { StoreInterruptedError } from '../errors.ts';
import type { Store } from '../store.ts';
import type { Access } from './access.ts';

interface Claimed {
  uid: string;
}

export function engines({ db }: Access) {
  /** Engines whose last claim nobody saw the answer of: they may own runs that they don't know of. */
  const doubtful = new Set<number>();
  return {
    joinEngines: async (ttl: number) => {
      const { rows } = await db.write<{ epoch: number }>('joinEngines', [ttl]);
      return rows[0]?.epoch ?? 0;
    },
    renewEngine: async (epoch: number, ttl: number) => (await db.write('renewEngine', [epoch, ttl])).count > 0,
    leaveEngines: async (epoch: number) => {
      await db.write('leaveEngines', [epoch]);
    },
    claimRuns: async (epoch: number, limit: number) => {
      const answer = await db.write<Claimed>('claimRuns', [epoch, limit]).catch((error: unknown) => {
        if (error instanceof StoreInterruptedError) doubtful.add(epoch);
        throw error;
      });
      if (answer.unsure) doubtful.add(epoch);
      if (!doubtful.has(epoch)) return answer.rows.map(({ uid }) => uid);
      const owned = await db.read<Claimed>('ownedRuns', [epoch]);
      doubtful.delete(epoch);
      return owned.map(({ uid }) => uid);
    },
  } satisfies Partial<Store>;
}
