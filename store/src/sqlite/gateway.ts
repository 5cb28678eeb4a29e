// What the gateway writes: usage, and the secret that step tokens are signed with.
import { randomBytes } from 'node:crypto';
import { usageOf, type UsageRow } from '../rows.ts';
import type { Store, UsageRecord } from '../store.ts';
import type { Access } from './access.ts';
import type { Statements } from './statements.ts';

export function gateway({ sql, write, read }: Access) {
  return {
    recordUsage: (record: UsageRecord) => write(() => insertUsage(sql, record)),
    usage: (run: string, step: string, attempt: number) =>
      read(() => usageOf(sql.usage.get(run, step, attempt) as unknown as UsageRow)),
    secret: (name: 'step-token') =>
      write(() => {
        sql.insertSecret.run(name, randomBytes(32));
        return (sql.secret.get(name) as { value: Uint8Array }).value;
      }),
    // One process holds the file, so there is nobody to count.
    seatGateway: () => Promise.resolve({ rank: 0, of: 1 }),
    unseatGateway: () => Promise.resolve(),
  } satisfies Partial<Store>;
}

export function insertUsage(sql: Statements, { run, ...call }: UsageRecord): void {
  const step = [run?.uid ?? null, run?.step ?? null, run?.attempt ?? null];
  const counts = [call.inputTokens, call.outputTokens, call.costNanoUsd];
  sql.insertUsage.run(call.id, call.at, call.namespace, call.agent, call.model, ...step, ...counts);
}
