// Budgets hold: over HTTP, with real stores, whoever calls at once.
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { budgetAccount, periodAt, STEP_HEADER, type AgentSpec, type Budget, type BudgetSpec } from '@kadre/crds';
import { mintStepToken, type Balance, type Store } from '@kadre/store';
import { Registry } from 'prom-client';
import { failure, NAMESPACE, startBed, step, until, user, type Bed } from './bed.ts';
import { balanceIn, budgetOf, PRICE, PROMPT, SPENT } from './budget-bed.ts';

let budgets: Budget[];
let ofAgent: AgentSpec['limits'];
let registry: Registry;
let bed: Bed;

const source = {
  list: (namespace: string) => budgets.filter(({ metadata }) => metadata.namespace === namespace),
  ofAgent: () => ofAgent,
};

const budget = (name: string, spec: Partial<BudgetSpec>): void => void budgets.push(budgetOf(name, spec));
const balanceOf = (name: string, period = 'total', store = bed.store, now?: number): Promise<Balance> =>
  balanceIn(store, name, period, now);

const ask = (more: { headers?: Record<string, string>; model?: string; max?: number; url?: string } = {}) =>
  bed.client('token-a', more.headers).chat.completions.create({
    model: more.model ?? 'echo',
    messages: user(PROMPT),
    max_completion_tokens: more.max ?? 20,
  });

async function stepHeaders(claims: Partial<typeof step> = {}): Promise<Record<string, string>> {
  const token = mintStepToken(await bed.store.secret('step-token'), { ...step, ...claims }, Date.now() + 60_000);
  return { [STEP_HEADER]: token };
}

beforeEach(async () => {
  [budgets, ofAgent, registry] = [[], undefined, new Registry()];
  bed = await startBed({ budgets: source, registry });
  bed.model('echo', { price: PRICE });
  bed.model('free', {});
});
afterEach(() => bed.close());

describe('a Budget', () => {
  test('counts what a call came to, and nothing stays reserved', async () => {
    budget('all', { limits: { costUsd: '5' } });
    await ask();
    expect(await balanceOf('all')).toMatchObject({ spent: SPENT, reserved: { requests: 0 } });
    const stream = await bed
      .client()
      .chat.completions.create({ model: 'echo', messages: user(PROMPT), stream: true, max_completion_tokens: 20 });
    for await (const chunk of stream) expect(chunk.object).toBe('chat.completion.chunk');
    expect(await balanceOf('all')).toMatchObject({ spent: { costNanoUsd: 40_000_000 }, reserved: { requests: 0 } });
  });

  test('refuses a call that it might not be able to pay, and says what to do', async () => {
    budget('monthly', { period: 'month', timeZone: 'Europe/Berlin', limits: { costUsd: '0.10' } });
    await ask();
    const error = await failure(ask({ max: 40 }));
    expect(error).toMatchObject({ status: 403, code: 'BudgetExceeded', type: 'permission_error' });
    expect(error.headers?.get('x-should-retry')).toBe('false');
    const { key, endsAt } = periodAt('month', 'Europe/Berlin', Date.now());
    expect(error.message).toContain(
      `No room is left for this call in Budget monthly of namespace ${NAMESPACE}: 0.02 of 0.1 USD are spent, and 0 reserved for calls under way. The period begins anew at ${new Date(endsAt ?? 0).toISOString().replace('.000', '')}.`,
    );
    expect(await balanceOf('monthly', key)).toMatchObject({ spent: SPENT, refusals: 1, reserved: { requests: 0 } });
    const metrics = await registry.metrics();
    expect(metrics).toContain(`kadre_gateway_budget_refusals_total{namespace="${NAMESPACE}",budget="monthly"} 1`);
    // What fits is still answered.
    await ask({ max: 20 });
  });

  test.each<[string, BudgetSpec['scope'], boolean]>([
    ['of all calls', undefined, true],
    ['of this agent', { agents: ['writer', 'researcher'] }, true],
    ['of another agent', { agents: ['writer'] }, false],
    ['of this model', { models: ['echo'] }, true],
    ['of another model', { models: ['other'] }, false],
    ['of this workflow', { workflows: ['article'] }, true],
    ['of another workflow', { workflows: ['other'] }, false],
    ['of this agent in another workflow', { agents: ['researcher'], workflows: ['other'] }, false],
    [
      'of this agent in this workflow with this model',
      { agents: ['researcher'], models: ['echo'], workflows: ['article'] },
      true,
    ],
  ])('%s counts those alone', async (_, scope, counts) => {
    const { run: uid, namespace } = step;
    await bed.store.submitRun({ uid, namespace, name: 'r', subject: 'article', workflow: { steps: [] }, input: null });
    budget('some', { limits: { requests: 0 }, ...(scope && { scope }) });
    const asked = ask({ headers: await stepHeaders() });
    if (counts) expect(await failure(asked)).toMatchObject({ status: 403, code: 'BudgetExceeded' });
    else expect((await asked).choices).toHaveLength(1);
  });

  test('of a workflow leaves calls outside of runs alone', async () => {
    budget('some', { limits: { requests: 0 }, scope: { workflows: ['article'] } });
    await ask();
  });

  test('of another namespace has nothing to say', async () => {
    budget('elsewhere', { limits: { requests: 0 } });
    budgets = budgets.map((one) => ({ ...one, metadata: { ...one.metadata, namespace: 'team-b' } }));
    await ask();
  });

  test('that only warns refuses nothing, and shows', async () => {
    budget('soft', { action: 'warn', limits: { costUsd: '0.01' } });
    budget('hard', { limits: { requests: 5 } });
    await ask();
    expect(await balanceOf('soft')).toMatchObject({ spent: SPENT, refusals: 0 });
    const metrics = await registry.metrics();
    expect(metrics).toContain(`kadre_gateway_budget_passed_total{namespace="${NAMESPACE}",budget="soft"} 1`);
  });

  test.each<[string, BudgetSpec['limits'], string]>([
    ['tokens', { tokens: 100 }, '20 of 100 tokens are spent'],
    ['requests', { requests: 1 }, '1 of 1 requests are spent'],
  ])('may limit %s', async (_, limits, message) => {
    budget('some', { limits });
    await ask();
    const error = await failure(ask({ max: 80 }));
    expect(error).toMatchObject({ status: 403, code: 'BudgetExceeded' });
    expect(error.message).toContain(message);
    expect(error.message).toContain('The budget never begins anew: raise its limits.');
  });

  test('holds in UTC where its time zone does not exist', async () => {
    budget('odd', { period: 'day', timeZone: 'Europe/Atlantis', limits: { requests: 0 } });
    expect(await failure(ask())).toMatchObject({ code: 'BudgetExceeded' });
  });

  test('gives back what was set aside for a call that was never made, or that the provider refused', async () => {
    budget('all', { limits: { requests: 1, costUsd: '5' } });
    bed.model('broken', { price: PRICE, simulated: { script: [{ error: { status: 500 } }] } });
    bed.model('keyless', {
      provider: 'openai',
      model: 'gpt',
      price: PRICE,
      auth: { secretRef: { name: 'none', key: 'key' } },
    });
    expect(await failure(ask({ model: 'keyless' }))).toMatchObject({ code: 'SecretNotFound' });
    await failure(ask({ model: 'broken' }));
    expect(await balanceOf('all')).toMatchObject({ spent: { requests: 0 }, reserved: { requests: 0 } });
    await ask();
  });

  test('of money lets free models pass when it is used up', async () => {
    budget('all', { limits: { costUsd: '0' } });
    await ask({ model: 'free' });
    expect(await failure(ask())).toMatchObject({ code: 'BudgetExceeded' });
  });
});

describe('a model without a known price', () => {
  beforeEach(() => bed.model('odd', { provider: 'openaiCompatible', model: 'odd', baseUrl: 'http://127.0.0.1:9' }));

  test('is refused where money is limited', async () => {
    budget('all', { limits: { costUsd: '5' } });
    const error = await failure(ask({ model: 'odd' }));
    expect(error).toMatchObject({ status: 424, code: 'ModelUnpriced' });
    expect(error.headers?.get('x-should-retry')).toBe('false');
    expect(error.message).toContain('Model odd has no known price, and Budget all');
  });

  test.each<[string, Partial<BudgetSpec>]>([
    ['nobody limits money', { limits: { tokens: 1_000_000 } }],
    ['a budget of money only warns', { action: 'warn', limits: { costUsd: '5' } }],
  ])('is asked where %s', async (_, spec) => {
    budget('all', spec);
    expect(await failure(ask({ model: 'odd' }))).toMatchObject({ code: 'ModelUnavailable' });
  });
});

describe('the maximum of an answer', () => {
  const answered = async (max: number | null): Promise<number> => {
    const answer = await bed.client().chat.completions.create({
      model: 'long',
      messages: user('x'),
      ...(max !== null && { max_completion_tokens: max }),
    });
    return answer.usage?.completion_tokens ?? 0;
  };
  const long = { script: [{ reply: 'x'.repeat(16_000) }] };

  test.each<[string, number | null, number | undefined, number]>([
    ['that the caller sets', 50, 70, 50],
    ["is the Model's own where the caller sets none", null, 70, 70],
  ])('%s is what is set aside, and what the provider is held to', async (_, asked, own, expected) => {
    bed.model('long', { price: PRICE, simulated: long, ...(own !== undefined && { parameters: { maxTokens: own } }) });
    budget('all', { limits: { costUsd: '100' } });
    expect(await answered(asked)).toBe(expected);
    budget('tight', { limits: { tokens: expected } });
    expect(await failure(answered(asked))).toMatchObject({ code: 'BudgetExceeded' });
  });

  test('is what is left where nobody sets one, at most 16384 tokens and not fewer than 256', async () => {
    bed.model('long', { price: PRICE, simulated: { script: [{ reply: 'x'.repeat(80_000) }] } });
    budget('all', { limits: { costUsd: '17' } });
    // One token of input, of which nine are thought possible.
    expect(await answered(null)).toBe(16_384);
    expect(await answered(null)).toBe(17_000 - 16_385 - 9);
    expect(await failure(answered(null))).toMatchObject({ code: 'BudgetExceeded' });
    expect(await balanceOf('all')).toMatchObject({ refusals: 1, spent: { requests: 2 } });
  });
});

describe('where only reservations of others stand in the way', () => {
  const asked = { model: 'echo', messages: user(PROMPT), max_completion_tokens: 20 };
  /** How often the gateway has asked for room. */
  let tries: number;
  let waiting: Bed;
  beforeEach(async () => {
    tries = 0;
    const store: Store = { ...bed.store, reserve: (entry) => ((tries += 1), bed.store.reserve(entry)) };
    waiting = await startBed({ store, budgets: source });
    waiting.model('echo', { price: PRICE });
    budget('all', { limits: { costUsd: '0.10' } });
    await bed.store.reserve({
      id: 'other',
      expiresAt: Date.now() + 600_000,
      charges: [{ account: budgetAccount(NAMESPACE, 'all'), period: 'total', limit: {} }],
      amount: { costNanoUsd: 90_000_000, tokens: 0 },
    });
  });
  afterEach(() => waiting.gateway.close());

  test('a call waits until they come to less', async () => {
    const answer = waiting.client().chat.completions.create(asked);
    await until(() => tries > 1);
    await bed.store.settle('other', { costNanoUsd: 10_000_000, tokens: 0 });
    expect((await answer).choices).toHaveLength(1);
    expect(await balanceOf('all')).toMatchObject({ spent: { costNanoUsd: 30_000_000 }, refusals: 0 });
  });

  test('a call is refused when they come to what they thought', async () => {
    const refused = failure(waiting.client().chat.completions.create(asked));
    await until(() => tries > 1);
    await bed.store.settle('other', { costNanoUsd: 90_000_000, tokens: 0 });
    expect(await refused).toMatchObject({ status: 403, code: 'BudgetExceeded' });
    expect(await balanceOf('all')).toMatchObject({ refusals: 1 });
  });

  test('whoever goes away meanwhile leaves nothing behind', async () => {
    const leaving = new AbortController();
    const answer = waiting.client().chat.completions.create(asked, { signal: leaving.signal });
    await until(() => tries > 1);
    leaving.abort();
    await expect(answer).rejects.toThrow();
    await until(() => waiting.lines().some(({ status }) => status === 499));
    await bed.store.release('other');
    expect(await balanceOf('all')).toMatchObject({ spent: { requests: 0 }, reserved: { requests: 0 } });
  });

  test('a call does not wait for ever', async () => {
    const began = Date.now();
    // A minute takes a fifth of a second.
    const now = (): number => began + (Date.now() - began) * 300;
    const after = (ms: number, callback: () => void): (() => void) => {
      const timer = setTimeout(callback, ms / 300);
      return () => clearTimeout(timer);
    };
    const hasty = await startBed({ store: bed.store, budgets: source, clock: { now, after } });
    hasty.model('echo', { price: PRICE });
    const error = await failure(hasty.client().chat.completions.create(asked));
    expect(error).toMatchObject({ status: 403, code: 'BudgetExceeded' });
    expect(error.message).toContain('0 of 0.1 USD are spent, and 0.09 reserved for calls under way');
    await hasty.gateway.close();
  });
});

describe("a run's limits", () => {
  const submit = (limits: object | undefined, ofWorkflow: object | undefined) =>
    bed.store.submitRun({
      uid: step.run,
      namespace: step.namespace,
      name: 'r',
      subject: 'article',
      workflow: { steps: [], ...(ofWorkflow && { limits: ofWorkflow }) },
      input: null,
      ...(limits && { limits }),
    });

  test.each<[string, object | undefined, object | undefined]>([
    ['those of the run', { costUsd: '0.07' }, { costUsd: '5' }],
    ['those of its workflow', { costUsd: '5', tokens: 5_000 }, { costUsd: '0.07' }],
    ['those in tokens', { tokens: 70 }, undefined],
  ])('hold before the money is spent: %s', async (_, limits, ofWorkflow) => {
    await submit(limits, ofWorkflow);
    const headers = await stepHeaders();
    await ask({ headers, max: 10 });
    const error = await failure(ask({ headers: await stepHeaders({ step: 'other' }), max: 60 }));
    expect(error).toMatchObject({ status: 403, code: 'RunLimitExceeded' });
    expect(error.message).toContain('No room is left for this call in the limits of the run: ');
    expect(error.message).toContain('Raise the limits of the Workflow and of the Run.');
  });

  test('hold for the runs that it asks for, however deep, and for all of them together', async () => {
    await submit({ costUsd: '0.07' }, undefined);
    for (const [child, parent] of [
      ['child', step.run],
      ['grandchild', 'child'],
    ] as const) {
      const { namespace } = step;
      const asked = { key: child, namespace, name: child, spec: {}, depth: 1, at: 1 };
      await bed.store.requestRun({ ...asked, parent: { run: parent, name: 'r', step: 's', attempt: 1 } });
      await bed.store.runRequestMade(child, child);
      await bed.store.submitRun({ uid: child, namespace, name: child, subject: 's', workflow: {}, input: null });
    }
    await ask({ headers: await stepHeaders({ run: 'grandchild' }), max: 10 });
    const error = await failure(ask({ headers: await stepHeaders({ run: 'child' }), max: 60 }));
    expect(error).toMatchObject({ status: 403, code: 'RunLimitExceeded' });
    expect(error.message).toContain('in the limits of the run that has asked for it: ');
    expect(await failure(ask({ headers: await stepHeaders(), max: 60 }))).toMatchObject({ code: 'RunLimitExceeded' });
  });

  test('are read once, and calls of runs without any set nothing aside', async () => {
    await submit(undefined, undefined);
    let reads = 0;
    let reservations = 0;
    const store: Store = {
      ...bed.store,
      submission: (uid) => ((reads += 1), bed.store.submission(uid)),
      reserve: (entry) => ((reservations += 1), bed.store.reserve(entry)),
    };
    const headers = await stepHeaders();
    const other = await startBed({ store });
    other.model('echo', { price: PRICE });
    const asked = Array.from({ length: 5 }, () =>
      other.client('token-a', headers).chat.completions.create({ model: 'echo', messages: user(PROMPT) }),
    );
    await Promise.all(asked);
    await other.client('token-a', headers).chat.completions.create({ model: 'echo', messages: user(PROMPT) });
    expect([reads, reservations]).toEqual([1, 0]);
    await other.close();
  });
});

test("an agent's limits hold for each attempt of a step anew", async () => {
  ofAgent = { tokens: 100 };
  const first = await stepHeaders();
  await ask({ headers: first });
  const error = await failure(ask({ headers: first, max: 90 }));
  expect(error).toMatchObject({ status: 403, code: 'LimitExceeded' });
  expect(error.message).toContain('the limits of Agent researcher for one attempt');
  await ask({ headers: await stepHeaders({ attempt: 2 }) });
  await ask();
});

describe('when the ledger is out of reach', () => {
  test('nothing is spent: the call is refused, and may be tried again', async () => {
    budget('all', { limits: { requests: 5 } });
    const store: Store = { ...bed.store, reserve: () => Promise.reject(new Error('the disk is full')) };
    const other = await startBed({ store, budgets: source });
    other.model('echo', { price: PRICE });
    const error = await failure(other.client().chat.completions.create({ model: 'echo', messages: user(PROMPT) }));
    expect(error).toMatchObject({ status: 503, code: 'ModelUnavailable' });
    expect(error.headers?.get('retry-after')).toBe('1');
    await other.close();
  });

  test('an answer that cannot be settled is withheld, and its reservation counts at its worst', async () => {
    budget('all', { limits: { costUsd: '5' } });
    const store: Store = { ...bed.store, settle: () => Promise.reject(new Error('the disk is full')) };
    const other = await startBed({ store, budgets: source });
    other.model('echo', { price: PRICE });
    const error = await failure(
      other.client().chat.completions.create({ model: 'echo', messages: user(PROMPT), max_completion_tokens: 20 }),
    );
    expect(error).toMatchObject({ status: 500, code: 'InternalError' });
    const { reserved } = await balanceOf('all');
    expect(reserved.requests).toBe(1);
    const later = await balanceOf('all', 'total', bed.store, Date.now() + 3_600_000);
    expect(later).toMatchObject({ spent: reserved, reserved: { requests: 0 } });
    await other.close();
  });
});
