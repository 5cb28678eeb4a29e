// What the gateway writes: usage, and the secret that step tokens are signed with.
import { randomBytes } from 'node:crypto';
import { usageOf, type UsageRow } from '../rows.ts';
import type { GatewaySeat, Store, UsageRecord } from '../store.ts';
import type { Access } from './access.ts';

const NOTHING: UsageRow = { input_tokens: 0, output_tokens: 0, cost_nano_usd: 0, unpriced: 0 };

export function gateway({ db }: Access) {
  return {
    recordUsage: async ({ run, ...call }: UsageRecord) => {
      const step = [run?.uid ?? null, run?.step ?? null, run?.attempt ?? null];
      const counts = [call.inputTokens, call.outputTokens, call.costNanoUsd];
      await db.write('insertUsage', [call.id, call.at, call.namespace, call.agent, call.model, ...step, ...counts]);
    },
    usage: async (run: string, step: string, attempt: number) =>
      usageOf((await db.read<UsageRow>('usage', [run, step, attempt]))[0] ?? NOTHING),
    secret: async (name: 'step-token') => {
      await db.write('insertSecret', [name, randomBytes(32)]);
      const [row] = await db.read<{ value: Uint8Array }>('secret', [name]);
      return Uint8Array.from(row?.value ?? []);
    },
    seatGateway: async (id: string, ttl: number) => {
      await db.write('seatGateway', [id, ttl]);
      const [seat] = await db.read<GatewaySeat>('gatewaySeat', [id]);
      return seat ?? { rank: 0, of: 1 };
    },
    unseatGateway: async (id: string) => {
      await db.write('unseatGateway', [id]);
    },
  } satisfies Partial<Store>;
}
