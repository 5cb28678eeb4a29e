// What docs/budgets.md shows is what happens.
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { budgetAccount, kinds, objectSchema, type Budget } from '@kadre/crds';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { decideBudget } from '../../../operator/src/budget/decide.ts';
import { observeBudget } from '../../../operator/src/budget/observe.ts';
import { NAMESPACE, startBed, type Bed } from './bed.ts';

const NOW = Date.parse('2026-11-21T12:00:00Z');
const clock = { now: () => NOW, after: () => () => undefined };

let bed: Bed;
let page: string;
let budgets: Budget[];
beforeAll(async () => {
  page = await readFile(join(import.meta.dirname, '..', '..', '..', 'docs', 'budgets.md'), 'utf8');
  budgets = manifests().filter(({ kind }) => kind === 'Budget');
  bed = await startBed({ clock, budgets: { list: () => budgets.slice(0, 1), ofAgent: () => undefined } });
  bed.model('smart', { price: { inputPerMillion: '3', outputPerMillion: '15' } });
});
afterAll(() => bed.close());

const boxes = (language: string): string[] =>
  [...page.matchAll(new RegExp(`^\`\`\`${language}\\n([^]*?)^\`\`\`$`, 'gm'))].map(([, text = '']) => text);

/** With what the API server fills in. */
function manifests(): Budget[] {
  const documents = boxes('yaml').flatMap((text) => parseAllDocuments(text).map((one) => one.toJS() as Budget));
  return documents
    .filter((object) => 'kind' in object)
    .map((object) => ({
      ...object,
      metadata: { ...object.metadata, namespace: NAMESPACE },
      ...(object.kind === 'Budget' && { spec: kinds.Budget.spec.parse(object.spec) }),
    }));
}

test('its manifests are complete and right', () => {
  expect(budgets).toHaveLength(4);
  expect(objectSchema(kinds.Budget).required ?? []).not.toContain('status');
  for (const { kind, spec } of manifests()) {
    expect(kinds[kind as keyof typeof kinds].spec.safeParse(spec)).toMatchObject({ success: true });
  }
});

test('its budget is refused in the words that it shows, and has the status that it shows', async () => {
  const account = { account: budgetAccount(NAMESPACE, 'monthly'), period: '2026-11' };
  const limit = { costNanoUsd: 50_000_000_000 };
  const expiresAt = NOW + 600_000;
  for (let call = 0; call < 310; call++) {
    const amount = { costNanoUsd: call === 0 ? 49_500_000_000 : 0, tokens: call === 0 ? 4_125_000 : 0 };
    await bed.store.reserve({ id: `c${call}`, expiresAt, charges: [{ ...account, limit }], amount });
    await bed.store.settle(`c${call}`, amount);
  }
  const underWay = { costNanoUsd: 300_000_000, tokens: 20_000 };
  await bed.store.reserve({ id: 'under-way', expiresAt, charges: [{ ...account, limit }], amount: underWay });
  const messages = [{ role: 'user', content: 'What is new?' }];
  const asked = { model: 'smart', messages, max_completion_tokens: 40_000 };
  for (let times = 0; times < 4; times++) {
    const response = await fetch(`${bed.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: 'Bearer token-a', 'content-type': 'application/json' },
      body: JSON.stringify(asked),
    });
    expect([response.status, response.headers.get('x-should-retry')]).toEqual([403, 'false']);
    expect(await response.json()).toEqual(JSON.parse(boxes('json')[0] ?? ''));
  }
  const [budget] = budgets;
  const { status } = decideBudget(await observeBudget(budget as Budget, bed.store, [], NOW), new Date(NOW));
  const shown = parseAllDocuments(boxes('yaml')[1] ?? '')[0]?.toJS() as object;
  expect(status).toMatchObject(shown);
});
