// What people see of Budgets, on a real API server and with a real ledger.
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { budgetAccount, periodAt } from '@kadre/crds';
import { createGatewaySources, type GatewaySources } from '@kadre/operator';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { conditionOf, eventually, field, KADRE, startBed, startMs, type Bed, type Ref, type Seen } from './bed.ts';

let bed: Bed;
let sources: GatewaySources;
let namespace: string;
let calls = 0;

beforeAll(async () => {
  bed = await startBed();
  await bed.startOperator();
  sources = createGatewaySources({ client: bed.client, instance: 'test' });
  await sources.start();
  namespace = await bed.namespace('budgets');
}, startMs);
afterAll(async () => {
  await sources.stop();
  await bed.stop();
});

const refOf = (name: string): Ref => ({ apiVersion: KADRE, kind: 'Budget', namespace, name });

async function apply(name: string, spec: object): Promise<Ref> {
  await bed.apply({ apiVersion: KADRE, kind: 'Budget', metadata: { name, namespace }, spec });
  return refOf(name);
}

/** A call of that cost, as the gateway writes it down; refused if it is dearer than the limit allows. */
async function spend(name: string, costNanoUsd: number, limit: number): Promise<void> {
  const charge = { account: budgetAccount(namespace, name), period: periodAt('month', 'UTC', Date.now()).key };
  const id = `c${++calls}`;
  const amount = { costNanoUsd, tokens: 10 };
  const reserved = {
    id,
    expiresAt: Date.now() + 60_000,
    charges: [{ ...charge, limit: { costNanoUsd: limit } }],
    amount,
  };
  const { granted } = await bed.store.reserve(reserved);
  if (granted) await bed.store.settle(id, amount);
  else await bed.store.countRefusal(id, charge);
}

/** The operator looks at the ledger now and then; a change makes it look at once. */
const touch = (ref: Ref): Promise<unknown> =>
  bed.client.patch(ref, { metadata: { annotations: { touched: String((calls += 1)) } } });

async function events(name: string): Promise<string[]> {
  const all = await bed.list('events.k8s.io/v1', 'Event', namespace);
  return all.filter((event) => field(event, 'regarding.name') === name).map((event) => String(event['reason']));
}

test('a Budget tells what is spent and left, warns, and says that it is used up', async () => {
  const ref = await apply('monthly', { period: 'month', limits: { costUsd: '10' } });
  const fresh = await bed.condition(ref, 'Ready', 'True', 'Enforced');
  const { endsAt } = periodAt('month', 'UTC', Date.now());
  expect(fresh['status']).toMatchObject({
    spent: { costUsd: '0', tokens: 0, requests: 0 },
    left: { costUsd: '10' },
    periodEnd: new Date(endsAt ?? 0).toISOString().replace('.000', ''),
  });
  expect(conditionOf(fresh, 'Exceeded')?.status).toBe('False');

  await spend('monthly', 8_500_000_000, 10_000_000_000);
  await touch(ref);
  const near = await bed.condition(ref, 'Warning', 'True', 'NearLimit');
  expect(near['status']).toMatchObject({
    spent: { costUsd: '8.5', requests: 1 },
    left: { costUsd: '1.5' },
    refusals: 0,
  });

  await spend('monthly', 2_000_000_000, 10_000_000_000);
  await spend('monthly', 1_500_000_000, 10_000_000_000);
  await touch(ref);
  const full = await bed.condition(ref, 'Exceeded', 'True', 'LimitReached');
  expect(full['status']).toMatchObject({ spent: { costUsd: '10', requests: 2 }, left: { costUsd: '0' }, refusals: 1 });
  await eventually('all events', async () => {
    const told = await events('monthly');
    return ['Enforced', 'NearLimit', 'LimitReached', 'CallsRefused'].every((reason) => told.includes(reason));
  });

  // What is raised holds at once; what was spent stays.
  await apply('monthly', { period: 'month', limits: { costUsd: '20' } });
  const raised = await bed.condition(ref, 'Exceeded', 'False', 'WithinLimits');
  expect(raised['status']).toMatchObject({ spent: { costUsd: '10' }, left: { costUsd: '10' } });
});

test('the operator looks again by itself', async () => {
  const ref = await apply('quiet', { period: 'month', limits: { costUsd: '10' } });
  await bed.condition(ref, 'Ready', 'True');
  await spend('quiet', 1_000_000_000, 10_000_000_000);
  await eventually('what was spent', async () => field(await bed.get(ref), 'status.spent.costUsd') === '1');
});

test('a Budget that is made again goes on with what was spent', async () => {
  const ref = await apply('again', { period: 'month', limits: { costUsd: '10' } });
  await spend('again', 3_000_000_000, 10_000_000_000);
  await bed.client.delete(ref);
  await eventually('its end', async () => (await bed.get(ref)) === undefined);
  await apply('again', { period: 'month', limits: { costUsd: '10' } });
  expect((await bed.condition(ref, 'Ready', 'True'))['status']).toMatchObject({ spent: { costUsd: '3' } });
});

test('a time zone that there is not is complained of', async () => {
  const ref = await apply('lost', { period: 'day', timeZone: 'Europe/Atlantis', limits: { tokens: 5 } });
  const stalled = await bed.condition(ref, 'Stalled', 'True', 'InvalidTimeZone');
  expect(conditionOf(stalled, 'Ready')?.message).toContain('There is no time zone Europe/Atlantis');
});

test('what the manual shows is taken as it is', async () => {
  const manual = await readFile(join(import.meta.dirname, '..', '..', '..', 'docs', 'budgets.md'), 'utf8');
  const boxes = [...manual.matchAll(/^```yaml\n([^]*?)^```$/gm)].map(([, text = '']) => text);
  const objects = boxes.flatMap((text) => parseAllDocuments(text).map((one) => one.toJS() as Seen));
  const manifests = objects.filter(({ kind }) => (kind as string | undefined) !== undefined);
  expect(manifests.length).toBeGreaterThan(5);
  const elsewhere = await bed.namespace('manual');
  for (const manifest of manifests) {
    await bed.apply({ ...manifest, metadata: { ...manifest.metadata, namespace: elsewhere } });
    const ref = { apiVersion: KADRE, kind: manifest.kind, namespace: elsewhere, name: manifest.metadata.name };
    if (manifest.kind === 'Budget') await bed.condition(ref, 'Ready', 'True');
  }
});

test('gateway and engine see Budgets, and what Agents may use, in their caches', async () => {
  await apply('seen', { period: 'total', limits: { concurrentRuns: 2 } });
  const spec = { instructions: 'Write.', model: 'echo', limits: { tokens: 5000, costUsd: '0.5' } };
  await bed.apply({ apiVersion: KADRE, kind: 'Agent', metadata: { name: 'writer', namespace }, spec });
  await eventually('both', () => Promise.resolve(sources.budgets.ofAgent(namespace, 'writer')?.tokens === 5000));
  const names = sources.budgets.list(namespace).map(({ metadata }) => metadata.name);
  expect(names).toEqual(expect.arrayContaining(['seen']));
  expect(sources.budgets.list('elsewhere')).toEqual([]);
  expect(sources.budgets.ofAgent(namespace, 'nobody')).toBeUndefined();
});
