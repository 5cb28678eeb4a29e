// Steps that call Tools: a real engine, a real gateway on the same store, and a plain HTTP server behind it.
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { Tool } from '@kadre/crds';
import { startEngine, type Engine } from '@kadre/engine';
import type { StoredEvent } from '@kadre/store';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import pino from 'pino';
import { NAMESPACE, until } from '../gateway/bed.ts';
import { json, startToolBed, type ToolBed } from '../gateway/tool-bed.ts';

let bed: ToolBed;
const engines: { stop: AbortController; engine: Engine }[] = [];
beforeEach(async () => {
  bed = await startToolBed();
});
afterEach(async () => {
  await stopEngines();
  await bed.close();
});

async function runEngine(gateway = bed.url): Promise<void> {
  const stop = new AbortController();
  const engine = await startEngine({
    store: bed.store,
    agents: { resolve: () => ({ found: false, serving: false }) },
    gateway: () => Promise.resolve(gateway),
    logger: pino({ level: 'silent' }),
    signal: stop.signal,
    limits: { poll: 50 },
  });
  engines.push({ stop, engine });
}

async function stopEngines(): Promise<void> {
  for (const { stop, engine } of engines.splice(0)) {
    stop.abort();
    await engine.stopped;
  }
}

const call = (tool: object, more: object = {}) => ({ name: 'ask', tool: { name: 'search', ...tool }, ...more });

async function submit(steps: object[], input: unknown = {}, more: object = {}): Promise<void> {
  const head = { uid: 'u1', namespace: NAMESPACE, name: 'monthly', subject: 'report', requestedBy: 'alice' };
  await bed.store.submitRun({ ...head, workflow: { steps }, input, ...more });
}

type Ended = { phase: string; output?: unknown; failure?: { reason: string; message: string } };

async function ended(): Promise<Ended> {
  let found: Ended | undefined;
  await until(async () => {
    const projection = await bed.store.projection('u1');
    const { phase = '', output } = projection?.status ?? {};
    found = { phase, output, ...(projection?.failure && { failure: projection.failure }) };
    return ['Succeeded', 'Failed', 'Cancelled'].includes(phase);
  });
  return found as Ended;
}

async function run(steps: object[], input: unknown = {}): Promise<Ended> {
  await submit(steps, input);
  await runEngine();
  return ended();
}

const events = async (type: string): Promise<StoredEvent[]> =>
  (await bed.store.events('u1')).filter((event) => event.type === type);

describe('a step calls a tool', () => {
  test('with arguments that keep their types, and its data is what later steps see', async () => {
    bed.tool('search');
    bed.server.answer = (response) => json(response, { hits: [{ title: 'Kadre', stars: 7 }] });
    const args = { query: '$(input.topic)', limit: '$(input.limit * 2)', note: 'about $(input.topic)' };
    const steps = [call({ args }), { name: 'best', value: '$(steps.ask.output.hits[0].stars + 1)' }];
    expect(await run(steps, { topic: 'agents', limit: 5 })).toEqual({ phase: 'Succeeded', output: 8 });
    expect(bed.server.asked.map(({ body }) => body)).toEqual([{ query: 'agents', limit: 10, note: 'about agents' }]);
    expect(bed.server.asked[0]?.headers['idempotency-key']).toMatch(/^[0-9a-f]{64}$/);
  });

  test('that no Agent is granted, and a decision says that the Workflow names it', async () => {
    bed.tool('search');
    bed.grants.clear();
    expect(await run([call({})])).toMatchObject({ phase: 'Succeeded' });
    await until(async () => (await bed.store.decisions({ namespace: NAMESPACE, kind: 'tool' })).length > 0);
    expect(await bed.store.decisions({ namespace: NAMESPACE, kind: 'tool' })).toMatchObject([
      {
        subject: 'search',
        run: { uid: 'u1', step: 'ask', attempt: 1 },
        alternatives: { verdict: 'allowed', rule: 'workflow' },
      },
    ]);
  });

  test('that has consequences, whatever was read before: its author put it there', async () => {
    bed.tool('search', { trust: 'untrusted' });
    bed.tool('pay', { consequential: true });
    const pay = { name: 'pay', tool: { name: 'pay', args: { why: '$(steps.ask.output)' } } };
    expect(await run([call({}), pay])).toMatchObject({ phase: 'Succeeded' });
  });

  test('whose policy knows the run and the step, and no agent', async () => {
    const rule = `agent == '' && run.name == 'monthly' && run.requestedBy == 'alice' && step == 'ask' && attempt == 1`;
    bed.tool('search', { policy: { rules: [{ rule }] } });
    expect(await run([call({})])).toMatchObject({ phase: 'Succeeded' });
  });

  test('once for each element of a list', async () => {
    bed.tool('search');
    bed.server.answer = (response, { body }) => json(response, (body as { n: number }).n * 10);
    const each = call({ args: { n: '$(item)' } }, { forEach: { items: [1, 2, 3], parallelism: 2 } });
    expect(await run([each])).toMatchObject({ phase: 'Succeeded', output: [10, 20, 30] });
  });

  test('again, with another key, when it failed and may be tried again', async () => {
    bed.tool('search');
    bed.server.answer = (response) => json(response, { n: 1 }, bed.server.asked.length === 1 ? 500 : 200);
    const retry = { limit: 1, backoff: { initial: '1ms', max: '1ms' }, reasons: ['ToolFailed'] };
    expect(await run([call({}, { retry })])).toMatchObject({ phase: 'Succeeded', output: { n: 1 } });
    expect(new Set(bed.server.asked.map(({ headers }) => headers['idempotency-key'])).size).toBe(2);
  });
});

describe('one of several operations', () => {
  const document = JSON.stringify({
    openapi: '3.0.0',
    info: { title: 'x', version: '1' },
    paths: Object.fromEntries(
      ['find', 'drop'].map((id) => [
        `/${id}`,
        { post: { operationId: id, responses: { 200: { description: 'ok' } } } },
      ]),
    ),
  });
  const openapi = (allow?: string[]): Partial<Tool['spec']> => ({
    openapi: { document, baseUrl: bed.server.url },
    ...(allow && { allow }),
  });

  test('is called by its name', async () => {
    bed.tool('search', openapi());
    expect(await run([call({ operation: 'find' })])).toMatchObject({ phase: 'Succeeded' });
    expect(bed.server.asked.map(({ path }) => path)).toEqual(['/find']);
  });

  test('need not be named if it is the only one that the Tool allows', async () => {
    bed.tool('search', openapi(['find']));
    expect(await run([call({})])).toMatchObject({ phase: 'Succeeded' });
    expect(bed.server.asked.map(({ path }) => path)).toEqual(['/find']);
  });

  test.each<[string, string | undefined, string[] | undefined, RegExp]>([
    ['is not named', undefined, undefined, /can do several things: set tool.operation to one of find, drop/],
    ['is not there', 'fetch', undefined, /has no operation fetch: set tool.operation to one of find, drop/],
    ['is not allowed', 'drop', ['find'], /has no operation drop: set tool.operation to one of find\./],
  ])('that %s is refused', async (_, operation, allow, message) => {
    bed.tool('search', openapi(allow));
    const { failure } = await run([call({ ...(operation !== undefined && { operation }) })]);
    expect(failure).toMatchObject({ reason: 'ToolRefused', message: expect.stringMatching(message) });
    expect(bed.server.asked).toEqual([]);
  });
});

describe('a step fails', () => {
  test.each<[string, Partial<Tool['spec']> | undefined, object, string, RegExp]>([
    ['for a Tool that is not there', undefined, {}, 'ToolFailed', /There is no Tool search in namespace team-a/],
    ['for what a rule forbids', { policy: { rules: [{ rule: 'false' }] } }, {}, 'ToolRefused', /policy of Tool search/],
    [
      'for arguments that are no object',
      {},
      { args: '$(input.n)' },
      'InvalidExpression',
      /tool.args: must be an object/,
    ],
    [
      'for what only an operation takes',
      { builtin: { calculator: {} } },
      { args: { expression: 1 } },
      'InvalidInput',
      /expression/,
    ],
  ])('%s', async (_, spec, tool, reason, message) => {
    if (spec) bed.tool('search', spec);
    const { failure } = await run([call(tool)], { n: 1 });
    expect(failure).toMatchObject({ reason, message: expect.stringMatching(message) });
    expect(bed.server.asked).toEqual([]);
  });

  test('at its timeout, with which the call is broken off', async () => {
    bed.tool('search');
    let hungUp = false;
    bed.server.answer = (response) => void response.on('close', () => (hungUp = true));
    const { failure } = await run([call({}, { timeout: '100ms' })]);
    expect(failure).toMatchObject({ reason: 'TimedOut' });
    await until(() => hungUp);
  });

  test('for more than the gateway takes', async () => {
    bed.tool('search');
    const { failure } = await run([call({ args: { q: '$(input)' } })], '"'.repeat(1_500_000));
    expect(failure).toMatchObject({ reason: 'InvalidInput', message: expect.stringMatching(/too large/) });
  });

  test('and can be gone on from', async () => {
    const onError = { fallback: [{ name: 'instead', value: '$(steps.ask.failure.reason)' }] };
    expect(await run([call({}, { onError })])).toEqual({ phase: 'Succeeded', output: 'ToolFailed' });
  });

  test('without a gateway, and says what is missing', async () => {
    const closed = createServer().listen(0, '127.0.0.1');
    await once(closed, 'listening');
    const { port } = closed.address() as AddressInfo;
    closed.close();
    await submit([call({}, { timeout: '300ms' })]);
    await runEngine(`http://127.0.0.1:${port}`);
    expect(await ended()).toMatchObject({ phase: 'Failed', failure: { reason: 'TimedOut' } });
  });
});

test('a run that is cancelled hangs up on its tool', async () => {
  bed.tool('search');
  let hungUp = false;
  bed.server.answer = (response) => void response.on('close', () => (hungUp = true));
  await submit([call({})]);
  await runEngine();
  await until(() => bed.server.asked.length === 1);
  await bed.store.cancelRun('u1', 'enough');
  expect(await ended()).toMatchObject({ phase: 'Cancelled' });
  await until(() => hungUp);
});

describe('what a tool has answered is kept', () => {
  /** Passes questions on to the gateway, and loses its answers while it is told to. */
  async function forgetful(): Promise<{ url: string; answered: () => number; losing: boolean; server: Server }> {
    let answered = 0;
    const server = createServer((request, response) => {
      void (async () => {
        const body = await text(request);
        const headers = Object.fromEntries(
          Object.entries(request.headers).filter(([name]) => !['host', 'connection', 'content-length'].includes(name)),
        ) as Record<string, string>;
        const answer = await fetch(`${bed.url}${request.url ?? ''}`, { method: 'POST', headers, body });
        const said = await answer.text();
        answered += 1;
        if (it.losing) response.destroy();
        else response.writeHead(answer.status, { 'content-type': 'application/json' }).end(said);
      })();
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const it = { url: `http://127.0.0.1:${port}`, answered: () => answered, losing: true, server };
    return it;
  }

  test('so that an answer that got lost is not asked of the tool again', async () => {
    bed.tool('search');
    const between = await forgetful();
    await submit([call({})]);
    await runEngine(between.url);
    await until(() => between.answered() >= 2);
    between.losing = false;
    expect(await ended()).toMatchObject({ phase: 'Succeeded', output: { answer: 1 } });
    expect(bed.server.asked).toHaveLength(1);
    between.server.close();
  });

  test('so that an engine that takes the run over finds it', async () => {
    bed.tool('search');
    const between = await forgetful();
    await submit([call({}), { name: 'next', value: '$(steps.ask.output.answer + 1)' }]);
    await runEngine(between.url);
    await until(() => between.answered() >= 1);
    await stopEngines();
    expect(await events('StepSucceeded')).toEqual([]);
    await runEngine();
    expect(await ended()).toMatchObject({ phase: 'Succeeded', output: 2 });
    expect(bed.server.asked).toHaveLength(1);
    between.server.closeAllConnections();
    between.server.close();
  });
});

describe('a call that people must approve', () => {
  const guarded = () => bed.tool('search', { approval: { groups: ['finance'] } });
  const opened = async () => {
    await until(async () => (await bed.store.openApprovals()).length > 0);
    const [request] = await bed.store.openApprovals();
    return request as NonNullable<typeof request>;
  };

  test('is made once they have, also if the engine was begun anew meanwhile', async () => {
    guarded();
    await submit([call({ args: { amount: 5 } })]);
    await runEngine();
    const { key, message, policy } = await opened();
    expect({ message, policy }).toEqual({
      message: expect.stringMatching(/Step ask wants to call Tool search.[^]*"amount": 5/),
      policy: { groups: ['finance'] },
    });
    await until(async () => (await bed.store.projection('u1'))?.status.phase === 'Waiting');
    expect((await bed.store.projection('u1'))?.status).toMatchObject({
      steps: [{ name: 'ask', phase: 'Waiting' }],
      waitingFor: [{ step: 'ask', approval: expect.stringMatching(/^monthly-ask-search-/) }],
    });
    await stopEngines();
    await runEngine();
    await bed.store.decideApproval(key, { approved: true, by: 'carol', at: Date.now() });
    expect(await ended()).toMatchObject({ phase: 'Succeeded' });
    expect(bed.server.asked).toHaveLength(1);
  });

  test('is not made when they say no', async () => {
    guarded();
    await submit([call({})]);
    await runEngine();
    await bed.store.decideApproval((await opened()).key, { approved: false, by: 'carol', at: Date.now() });
    expect((await ended()).failure).toMatchObject({
      reason: 'ApprovalRejected',
      message: 'step ask: carol rejected this call of Tool search.',
    });
    expect(bed.server.asked).toEqual([]);
  });

  test('is not asked for any more when the step is over', async () => {
    guarded();
    await submit([call({}, { timeout: '300ms', onError: { continue: true } }), { name: 'w', wait: { for: '1h' } }]);
    await runEngine();
    await opened();
    await until(async () => (await bed.store.openApprovals()).length === 0);
    expect(await events('StepFailed')).toMatchObject([{ data: { failure: { reason: 'TimedOut' } } }]);
  });
});
