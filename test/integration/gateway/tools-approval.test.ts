// Calls that people must approve, on both stores: what is asked, who is believed, and that nothing is asked or done twice,
// whichever gateway is asked and whoever dies.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { Tool } from '@kadre/crds';
import {
  openPostgresStore,
  openSqliteStore,
  type ApprovalDecision,
  type ApprovalRecord,
  type Store,
} from '@kadre/store';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startPostgres, type PostgresServer } from '../../support/postgres.ts';
import { NAMESPACE, step, until } from './bed.ts';
import { json, startToolBed, type Reply, type ToolBed } from './tool-bed.ts';

let server: PostgresServer;
let folder: string;
let schemas = 0;
beforeAll(async () => {
  server = await startPostgres();
  folder = await mkdtemp(join(tmpdir(), 'kadre-approvals-'));
});
afterAll(async () => {
  await server.remove();
  await rm(folder, { recursive: true });
});

let bed: ToolBed;
let store: Store;

async function begin(open: () => Store | Promise<Store>): Promise<void> {
  store = await open();
  const run = { uid: step.run, namespace: NAMESPACE, name: 'monthly', subject: 'report', workflow: {}, input: {} };
  await store.submitRun({ ...run, requestedBy: 'alice' });
  bed = await startToolBed({ store });
}
async function end(): Promise<void> {
  await bed.close();
  await store.close();
}

const sqlite = () => openSqliteStore(join(folder, `${(schemas += 1)}.db`));
const yes = (more: Partial<ApprovalDecision> = {}): ApprovalDecision => ({ approved: true, by: 'bob', at: 1, ...more });
const no: ApprovalDecision = { approved: false, by: 'bob', at: 1 };

/** The only approval that is open, once it is. */
async function asked(): Promise<ApprovalRecord> {
  await until(async () => (await store.openApprovals()).length > 0);
  const [one, ...others] = await store.openApprovals();
  if (!one || others.length > 0) throw new Error(`${others.length + 1} approvals are open`);
  return one;
}

/** As the runtime does: the same call again for as long as it waits. */
async function patient(call: () => Promise<Reply>): Promise<Reply> {
  let reply = await call();
  while (reply.pending !== undefined) reply = await call();
  return reply;
}

const approved = (approval: Tool['spec']['approval'] = {}): Partial<Tool['spec']> => ({ approval });

describe.each<[string, () => Store | Promise<Store>]>([
  ['SQLite', sqlite],
  ['PostgreSQL', () => openPostgresStore(server.url(`approvals${(schemas += 1)}`))],
])('on %s', (_, open) => {
  beforeEach(() => begin(open));
  afterEach(end);

  test('a call waits until it is approved, is made then, and answered from the journal ever after', async () => {
    bed.tool('pay', approved({ groups: ['finance'], message: 'Is this in the budget?' }));
    const waiting = patient(() => bed.call({ name: 'pay', args: { amount: 5 }, call: 3 }));
    const record = await asked();
    expect(bed.server.asked).toEqual([]);
    expect(record).toMatchObject({
      key: 'run-1/research/1/3',
      run: { uid: 'run-1', namespace: NAMESPACE, name: 'monthly' },
      call: { number: 3 },
      name: expect.stringMatching(/^monthly-research-pay-[0-9a-f]{10}$/),
      message:
        'Is this in the budget?\nAgent researcher in step research wants to call Tool pay.\nThe arguments:\n{\n  "amount": 5\n}',
      policy: { groups: ['finance'] },
      requestedBy: 'alice',
    });
    await store.decideApproval(record.key, yes());
    expect(await waiting).toMatchObject({ status: 200, text: '{"answer":1}' });
    expect(await bed.call({ name: 'pay', args: { amount: 5 }, call: 3 })).toMatchObject({ replayed: true });
    expect(bed.server.asked).toHaveLength(1);
    await until(async () => (await store.decisions({ run: step.run })).length > 0);
    expect(await store.decisions({ run: step.run })).toEqual([
      expect.objectContaining({
        reason: 'granted to Agent researcher, and bob approved it',
        alternatives: expect.objectContaining({ verdict: 'allowed', rule: 'grant, approval' }),
      }),
    ]);
  });

  test('a call that is rejected is told to the model, and nothing is done', async () => {
    bed.tool('pay', approved());
    const waiting = patient(() => bed.call({ name: 'pay', call: 1 }));
    await store.decideApproval((await asked()).key, no);
    const reply = await waiting;
    expect(reply).toMatchObject({
      status: 200,
      result: { isError: true, reason: 'ApprovalRejected', trust: 'trusted' },
    });
    expect(reply.text).toBe('bob rejected this call of Tool pay.');
    expect(await bed.call({ name: 'pay', call: 1 })).toMatchObject({ replayed: true, result: reply.result });
    expect(bed.server.asked).toEqual([]);
    await until(async () => (await store.decisions({ run: step.run })).length > 0);
    expect(await store.decisions({ run: step.run })).toEqual([
      expect.objectContaining({
        reason: expect.stringMatching(/^bob rejected it \(Approval monthly-research-pay-/),
        alternatives: expect.objectContaining({ verdict: 'refused', rule: 'approval' }),
      }),
    ]);
  });

  test('two gateways ask people once, and either of them finds the decision', async () => {
    const second = await startToolBed({ store });
    for (const one of [bed, second]) one.tool('pay', approved());
    const gone = new AbortController();
    const lost = bed.call({ name: 'pay', call: 1, signal: gone.signal }).catch(() => 'gone');
    const record = await asked();
    gone.abort();
    expect(await lost).toBe('gone');
    const waiting = patient(() => second.call({ name: 'pay', call: 1 }));
    await store.decideApproval(record.key, yes());
    expect(await waiting).toMatchObject({ status: 200 });
    expect(bed.server.asked).toEqual([]);
    expect(second.server.asked).toHaveLength(1);
    expect(await store.approvalsOfRun(step.run)).toHaveLength(1);
    await second.close();
  });

  test('whoever waits at a gateway that stops is let go, and finds at the next one what was decided meanwhile', async () => {
    bed.tool('pay', approved());
    const waiting = bed.call({ name: 'pay', call: 1 });
    const record = await asked();
    await bed.gateway.close();
    expect(await waiting).toMatchObject({ status: 202, pending: record.name });
    await store.decideApproval(record.key, yes());
    const next = await startToolBed({ store });
    next.tool('pay', approved());
    expect(await next.call({ name: 'pay', call: 1 })).toMatchObject({ status: 200, replayed: false });
    await next.close();
  });

  test('whoever has waited and is gone without a word has nothing done for them', async () => {
    bed.tool('pay', approved());
    const waiting = bed.call({ name: 'pay', call: 1 });
    await store.decideApproval((await asked()).key, yes());
    expect(await waiting).toMatchObject({ status: 202 });
    expect(bed.server.asked).toEqual([]);
  });

  test('an agent asks people, and gets their words', async () => {
    bed.tool('ask', { builtin: { ask: { users: ['bob'] } } });
    const ask = () => bed.call({ name: 'ask', args: { question: 'Red or blue?' }, call: 1 });
    const waiting = patient(ask);
    const record = await asked();
    expect(record).toMatchObject({
      message: 'Agent researcher in step research asks:\nRed or blue?',
      policy: { users: ['bob'], form: { schema: { type: 'string' } } },
    });
    await store.decideApproval(record.key, yes({ answer: 'Blue.' }));
    expect(await waiting).toMatchObject({ text: 'Blue.', result: { isError: false } });
    expect(await ask()).toMatchObject({ replayed: true, text: 'Blue.' });
  });
});

describe('which calls', () => {
  beforeEach(() => begin(sqlite));
  afterEach(end);

  test.each<[string, unknown, 'asked for' | 'made at once']>([
    ['args.amount > 100', { amount: 100 }, 'made at once'],
    ['args.amount > 100', { amount: 101 }, 'asked for'],
    ['args.amount > 100', {}, 'asked for'],
    ['run.requestedBy == "alice" && step == "research" && attempt == 1', {}, 'asked for'],
    ['this is no expression', {}, 'asked for'],
  ])('when %s, given %j: %s', async (when, args, what) => {
    bed.tool('pay', approved({ when }));
    const stop = new AbortController();
    const reply = bed.call({ name: 'pay', args, call: 1, signal: stop.signal }).catch(() => undefined);
    if (what === 'made at once') expect(await reply).toMatchObject({ status: 200 });
    else await asked();
    stop.abort();
    await reply;
    expect(bed.server.asked).toHaveLength(what === 'made at once' ? 1 : 0);
  });

  test.each<[string, Partial<Tool['spec']>, object]>([
    ['a call', approved(), {}],
    ['a question', { builtin: { ask: {} } }, { question: 'Why?' }],
  ])('outside of steps nobody can be asked: %s is refused', async (_, spec, args) => {
    bed.tool('pay', spec);
    const reply = await bed.call({ name: 'pay', args });
    expect(reply).toMatchObject({ status: 200, result: { reason: 'ToolRefused' } });
    expect(reply.text).toContain('in steps of Runs alone');
  });

  test('what the policy refuses is not asked for, and needs nobody to decide any more', async () => {
    bed.tool('pay', { ...approved(), policy: { rules: [{ rule: 'args.amount < 10' }] } });
    expect(await bed.call({ name: 'pay', args: { amount: 11 }, call: 1 })).toMatchObject({
      result: { reason: 'ToolRefused' },
    });
    expect(await store.openApprovals()).toEqual([]);
    const stop = new AbortController();
    const lost = bed.call({ name: 'pay', args: { amount: 9 }, call: 2, signal: stop.signal }).catch(() => undefined);
    await asked();
    stop.abort();
    await lost;
    bed.tool('pay', { ...approved(), policy: { rules: [{ rule: 'args.amount < 5' }] } });
    expect(await bed.call({ name: 'pay', args: { amount: 9 }, call: 2 })).toMatchObject({
      result: { reason: 'ToolRefused' },
    });
    expect(await store.openApprovals()).toEqual([]);
  });

  test('after words of strangers, a Tool with consequences needs those whom it names, whatever `when` says', async () => {
    bed.tool('read', { trust: 'untrusted' });
    bed.tool('pay', { ...approved({ when: 'false', users: ['bob'] }), consequential: true });
    bed.tool('send', { ...approved({ when: 'false' }), consequential: true });
    expect(await bed.call({ name: 'pay', call: 1 })).toMatchObject({ status: 200, result: { isError: false } });
    await bed.call({ name: 'read', call: 2 });
    const refused = await bed.call({ name: 'send', call: 3 });
    expect(refused).toMatchObject({ result: { reason: 'ToolRefused' } });
    expect(refused.text).toContain('spec.approval');
    const waiting = patient(() => bed.call({ name: 'pay', call: 4 }));
    const record = await asked();
    expect(record.message).toContain('It has read what strangers may have written');
    await store.decideApproval(record.key, yes());
    expect(await waiting).toMatchObject({ status: 200, result: { isError: false } });
    expect(await bed.call({ name: 'pay', tainted: true })).toMatchObject({ result: { reason: 'ToolRefused' } });
  });
});

describe('what is approved', () => {
  beforeEach(() => begin(sqlite));
  afterEach(end);

  test('is this call: under its number nothing else is done', async () => {
    bed.tool('pay', approved());
    const waiting = bed.call({ name: 'pay', args: { amount: 5 }, call: 1 });
    await store.decideApproval((await asked()).key, yes());
    await waiting;
    expect(await bed.call({ name: 'pay', args: { amount: 5000 }, call: 1 })).toMatchObject({
      status: 409,
      code: 'JournalDiverged',
      retry: 'false',
    });
    expect(bed.server.asked).toEqual([]);
  });

  test('is seen as a whole: what hides is spelled out, and what is too long is not asked for', async () => {
    bed.tool('pay', approved());
    const stop = new AbortController();
    const args = { to: 'eve\u202egro.elpmaxe\u200b' };
    const lost = bed.call({ name: 'pay', args, call: 1, signal: stop.signal }).catch(() => undefined);
    expect((await asked()).message).toContain('"to": "eve\\u{202e}gro.elpmaxe\\u{200b}"');
    stop.abort();
    await lost;
    const long = await bed.call({ name: 'pay', args: { text: 'x'.repeat(25_000) }, call: 2 });
    expect(long).toMatchObject({ result: { reason: 'ApprovalRejected' } });
    expect(long.text).toContain('make it shorter');
  });

  test('ends with its time, and with the right of the step to ask', async () => {
    bed.tool('pay', approved({ timeout: '300ms' }));
    bed.tool('send', approved({ timeout: '30d' }));
    expect((await patient(() => bed.call({ name: 'pay', call: 1 }))).text).toMatch(
      /^Nobody was there to approve this call of Tool pay in time, which ended at /,
    );
    expect(await store.approval('run-1/research/1/1')).toMatchObject({ state: 'withdrawn' });
    const stop = new AbortController();
    const lost = bed.call({ name: 'send', call: 2, signal: stop.signal }).catch(() => undefined);
    expect((await asked()).expiresAt).toBeLessThan(Date.now() + 600_000);
    stop.abort();
    await lost;
  });

  test('ends with the run, and a call that comes after is told so', async () => {
    bed.tool('pay', approved());
    const waiting = patient(() => bed.call({ name: 'pay', call: 1 }));
    await asked();
    await store.append(step.run, 0, [{ at: 1, type: 'RunCancelled', data: {} }], { closed: true });
    expect(await waiting).toMatchObject({ result: { reason: 'ApprovalRejected' } });
    expect(await bed.call({ name: 'pay', call: 2 })).toMatchObject({ status: 409, code: 'Cancelled' });
  });

  test('needs another person than the one who asked for the run, if the Tool says so', async () => {
    const other = { ...step, run: 'run-2' };
    const run = { uid: other.run, namespace: NAMESPACE, name: 'nobodys', subject: 'report', workflow: {}, input: {} };
    await store.submitRun(run);
    bed.tool('pay', approved({ otherThanRequester: true }));
    const refused = await bed.call({ name: 'pay', call: 1, claims: other });
    expect(refused).toMatchObject({ result: { reason: 'ApprovalRejected' } });
    expect(refused.text).toContain('spec.requestedBy');
    const stop = new AbortController();
    const lost = bed.call({ name: 'pay', call: 1, signal: stop.signal }).catch(() => undefined);
    expect(await asked()).toMatchObject({ requestedBy: 'alice', policy: { otherThanRequester: true } });
    stop.abort();
    await lost;
  });

  test('bothers nobody with more than they can read', async () => {
    bed.tool('pay', approved());
    const asks = (number: number) => ({ ...template, key: `run-1/research/1/${number}`, call: { number, hash: 'h' } });
    const run = { uid: step.run, namespace: NAMESPACE, name: 'monthly' };
    const template = { run, step: 'research', attempt: 1, name: 'one', message: 'Pay?', policy: {} };
    for (let number = 101; number <= 164; number += 1) await store.askApproval(asks(number));
    const refused = await bed.call({ name: 'pay', call: 1 });
    expect(refused).toMatchObject({ status: 200, result: { reason: 'RateLimited' } });
    expect(await store.openApprovals()).toHaveLength(64);
  });

  test('a store that is away is a 503, and nothing is done', async () => {
    const away = { ...store, askApproval: () => Promise.reject(new Error('away')) };
    const other = await startToolBed({ store: away });
    other.tool('pay', approved());
    expect(await other.call({ name: 'pay', call: 1 })).toMatchObject({ status: 503 });
    expect(other.server.asked).toEqual([]);
    await other.close();
  });

  test('the same call twice at once asks once, and is made once', async () => {
    bed.tool('pay', approved());
    bed.server.answer = (response) => json(response, 'paid');
    const both = [1, 2].map(() => patient(() => bed.call({ name: 'pay', call: 1 })));
    await store.decideApproval((await asked()).key, yes());
    expect((await Promise.all(both)).map(({ text }) => text)).toEqual(['"paid"', '"paid"']);
    expect(bed.server.asked).toHaveLength(1);
  });
});
