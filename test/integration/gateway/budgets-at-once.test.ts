// A thousand calls at once, through two gateways: what is left pays for them, or they are refused.
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { openPostgresStore, openSqliteStore, type Store } from '@kadre/store';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startPostgres, type PostgresServer } from '../../support/postgres.ts';
import { startBed, user } from './bed.ts';
import { balanceIn, budgetOf, PRICE, PROMPT, SPENT } from './budget-bed.ts';

let folder: string;
let server: PostgresServer;
beforeAll(async () => {
  server = await startPostgres();
  folder = await mkdtemp(join(tmpdir(), 'kadre-budgets-'));
});
afterAll(async () => {
  await server.remove();
  await rm(folder, { recursive: true });
});

const stores: [string, () => Promise<Store>][] = [
  ['SQLite', () => Promise.resolve(openSqliteStore(join(folder, 'kadre.db')))],
  ['PostgreSQL', () => openPostgresStore(server.url('budgets'))],
];
test.each(stores)('never overspend one budget on %s', async (_, open) => {
  const budgets = [
    budgetOf('all', { limits: { costUsd: '10', tokens: 1_000_000 } }),
    budgetOf('few', { limits: { requests: 600 } }),
  ];
  const source = { list: () => budgets, ofAgent: () => undefined };
  const opened = [await open(), await open()];
  const beds = await Promise.all(
    opened.map((store) => startBed({ store, budgets: source, limits: { concurrentRequests: 2000 } })),
  );
  for (const one of beds) one.model('echo', { price: PRICE });
  const asked = Array.from({ length: 1000 }, async (__, index) => {
    const response = await fetch(`${beds[index % 2]?.url ?? ''}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: 'Bearer token-a', 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'echo', messages: user(PROMPT), max_completion_tokens: 20 }),
    });
    await response.text();
    return response.status;
  });
  const statuses = await Promise.all(asked);
  const answered = statuses.filter((status) => status === 200).length;
  expect(new Set(statuses)).toEqual(new Set([200, 403]));
  const store = opened[0] as Store;
  const { spent, reserved, refusals } = await balanceIn(store, 'all');
  expect(spent).toEqual({ costNanoUsd: answered * SPENT.costNanoUsd, tokens: answered * 20, requests: answered });
  expect(spent.costNanoUsd).toBeLessThanOrEqual(10_000_000_000);
  // What is left would not have paid for another one.
  expect(10_000_000_000 - spent.costNanoUsd).toBeLessThan(80_000_000);
  expect(reserved.requests).toBe(0);
  expect(refusals).toBe(1000 - answered);
  await Promise.all(beds.map((one) => one.gateway.close()));
  await Promise.all(opened.map((one) => one.close()));
});
