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

export function sandboxes({ sql, write, read }: Access) {
  return {
    offerSandbox: ({ id, namespace, pool, url, key }: SandboxOffer) =>
      write((touch) => {
        const first = sql.offerSandbox.run(id, namespace, pool, url, key).changes > 0;
        if (first) touch('sandboxes', sandboxPoolKey(namespace, pool));
        return first;
      }),
    withdrawSandbox: (id: string) => write(() => sql.withdrawSandbox.run(id).changes > 0),
    forgetSandbox: (id: string) =>
      write(() => {
        sql.forgetSandbox.run(id);
        sql.forgetClaims.run(Date.now());
      }),
    sandboxPool: (namespace: string, pool: string) =>
      read(() => ({
        offered: sql.offeredSandboxes.all(namespace, pool, Date.now()) as unknown as OfferedSandbox[],
        waiting: (sql.waitingClaims.all(namespace, pool, Date.now()) as unknown as ClaimRow[]).map(claimOf),
      })),
    sandboxPools: () =>
      read(() => (sql.sandboxPools.all(Date.now()) as unknown as PoolRow[]).map((row) => ({ ...row }))),
    claimSandbox: ({ id, namespace, spec }: SandboxClaim, ttl: number) =>
      write((touch): SandboxPlace | undefined => {
        const pool = sandboxPool(spec);
        const first = sql.insertClaim.run(id, namespace, pool, json(spec), Date.now() + ttl).changes > 0;
        if (!first) sql.renewClaim.run(Date.now() + ttl, id);
        const took = sql.takeSandbox.run(id, namespace, pool).changes > 0;
        if (first || took) touch('sandbox-claims', sandboxPoolKey(namespace, pool));
        const place = sql.claimedSandbox.get(id) as SandboxPlace | undefined;
        return place && { ...place };
      }),
    releaseSandbox: (claim: string) =>
      write((touch) => {
        sql.spendSandbox.run(claim);
        const gone = sql.deleteClaim.get(claim) as PoolRow | undefined;
        if (gone) touch('sandbox-claims', sandboxPoolKey(gone.namespace, gone.pool));
      }),
  } satisfies Sandboxes;
}
