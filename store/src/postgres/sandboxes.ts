// Where sandboxes are found.
import { json } from '../json.ts';
import { claimOf, type ClaimRow } from '../rows.ts';
import { sandboxPool, sandboxPoolKey } from '../sandboxes.ts';
import type { OfferedSandbox, SandboxClaim, SandboxOffer, Sandboxes, SandboxPlace } from '../sandboxes.ts';
import type { Access } from './access.ts';

interface PoolRow {
  namespace: string;
  pool: string;
}
type ClaimedRow = { changed: boolean } & { [Field in keyof SandboxPlace]: string | null };

export function sandboxes({ db, touch }: Access) {
  return {
    offerSandbox: async ({ id, namespace, pool, url, key }: SandboxOffer) => {
      const first = (await db.write('offerSandbox', [id, namespace, pool, url, key, db.nextCall()])).count > 0;
      if (first) touch('sandboxes', sandboxPoolKey(namespace, pool));
      return first;
    },
    withdrawSandbox: async (id: string) => (await db.write('withdrawSandbox', [id])).count > 0,
    forgetSandbox: async (id: string) => {
      await db.write('forgetSandbox', [id]);
    },
    sandboxPool: async (namespace: string, pool: string) => {
      const [offered, waiting] = await Promise.all([
        db.read<OfferedSandbox>('offeredSandboxes', [namespace, pool]),
        db.read<ClaimRow>('waitingClaims', [namespace, pool]),
      ]);
      return { offered, waiting: waiting.map(claimOf) };
    },
    sandboxPools: () => db.read<PoolRow>('sandboxPools'),
    claimSandbox: async ({ id, namespace, spec }: SandboxClaim, ttl: number) => {
      const pool = sandboxPool(spec);
      const { rows, unsure } = await db.write<ClaimedRow>('claimSandbox', [id, namespace, pool, json(spec), ttl]);
      const [row] = rows;
      if (row?.changed || unsure) touch('sandbox-claims', sandboxPoolKey(namespace, pool));
      if (row?.id == null || row.url === null || row.key === null) return undefined;
      return { id: row.id, url: row.url, key: row.key };
    },
    releaseSandbox: async (claim: string) => {
      const { rows, unsure } = await db.write<PoolRow>('releaseSandbox', [claim]);
      const [gone] = rows;
      if (gone) touch('sandbox-claims', sandboxPoolKey(gone.namespace, gone.pool));
      else if (unsure) touch('sandbox-claims', '');
    },
  } satisfies Sandboxes;
}
