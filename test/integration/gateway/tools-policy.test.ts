// Policies are held to at the call: rules, a real Open Policy Agent, and what becomes of an agent that read what strangers
// wrote. Whatever goes wrong on the way to a yes is a no.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { Tool } from '@kadre/crds';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startOpa, type OpaServer } from '../../support/opa.ts';
import { NAMESPACE, step, until } from './bed.ts';
import { json, startToolBed, type ToolBed } from './tool-bed.ts';

let bed: ToolBed;
beforeEach(async () => {
  bed = await startToolBed();
});
afterEach(() => bed.close());

const refused = { status: 200, result: { isError: true, reason: 'ToolRefused', trust: 'trusted' } };
const passed = { status: 200, result: { isError: false } };
const ruled = (rule: string, message?: string): Pick<Tool['spec'], 'policy'> => ({
  policy: { rules: [{ rule, ...(message !== undefined && { message }) }] },
});

async function decisions(count: number): Promise<Record<string, unknown>[]> {
  const all = () => bed.store.decisions({ namespace: NAMESPACE, kind: 'tool' });
  await until(async () => (await all()).length >= count);
  return (await all()) as unknown as Record<string, unknown>[];
}

describe('rules', () => {
  test.each<[string, unknown, boolean]>([
    ['args.amount <= 100', { amount: 100 }, true],
    ['args.amount <= 100', { amount: 100.5 }, false],
    ['args.amount * 2 < 11', { amount: 5 }, true],
    ['args.to.endsWith("@example.com")', { to: 'a@example.com' }, true],
    ['args.to.endsWith("@example.com")', { to: 'a@example.com.evil' }, false],
    ['args.to.all(one, one.endsWith("@example.com"))', { to: ['a@example.com', 'b@evil'] }, false],
    ['!has(args.admin)', {}, true],
    ['agent == "researcher" && run == null && step == null', {}, true],
  ])('%s, given %j: %s', async (rule, args, allowed) => {
    bed.tool('search', ruled(rule));
    expect(await bed.call({ args })).toMatchObject(allowed ? passed : refused);
    expect(bed.server.asked).toHaveLength(allowed ? 1 : 0);
  });

  test.each([
    ['fail on the arguments', 'args.amount <= 100', { amount: 'a-secret-amount' }],
    ['ask for what is not there', 'args.missing == 1', {}],
    ['give no truth', 'args.amount', { amount: 1 }],
    ['are no expressions', 'args.amount <', { amount: 1 }],
    ['know a name that is none', 'amount == 1', { amount: 1 }],
    ['could take for ever', 'args.list.all(a, args.list.all(b, a == b))', { list: [1] }],
  ])('that %s allow nothing', async (_, rule, args) => {
    bed.tool('search', ruled(rule));
    const reply = await bed.call({ args });
    expect(reply).toMatchObject(refused);
    expect(bed.server.asked).toEqual([]);
    expect(JSON.stringify([await decisions(1), reply.text, bed.log()])).not.toContain('a-secret-amount');
  });

  test('know the run of a step, who asked for it, and its attempt', async () => {
    await bed.store.submitRun({
      uid: step.run,
      namespace: NAMESPACE,
      name: 'monthly',
      subject: 'report',
      workflow: {},
      input: {},
      requestedBy: 'alice',
    });
    bed.tool(
      'search',
      ruled('run.name == "monthly" && run.requestedBy == "alice" && step == "research" && attempt == 1'),
    );
    expect(await bed.call({ call: 1 })).toMatchObject(passed);
    expect(await bed.call({ call: 1, claims: { run: 'another' } })).toMatchObject(refused);
    expect(await bed.call()).toMatchObject(refused);
  });

  test('tell the model what their author says, and people which rule it was; of the arguments there is a hash', async () => {
    bed.tool('search', ruled('args.amount <= 100', 'Ask a person for more than 100.'));
    expect((await bed.call({ args: { amount: 4711 } })).text).toBe('Ask a person for more than 100.');
    await bed.call({ args: { amount: 1 } });
    const made = await decisions(2);
    expect(made).toContainEqual(
      expect.objectContaining({
        agent: 'researcher',
        subject: 'search',
        reason: 'the rule is not true (spec.policy.rules[0])',
        alternatives: {
          verdict: 'refused',
          rule: 'rules[0]',
          arguments: expect.stringMatching(/^sha256:[0-9a-f]{64}$/),
        },
      }),
    );
    expect(made).toContainEqual(
      expect.objectContaining({
        chosen: 'search',
        reason: 'granted to Agent researcher, and its policy agrees',
        alternatives: expect.objectContaining({ verdict: 'allowed', rule: 'grant, rules[0]' }),
      }),
    );
    expect(JSON.stringify(made)).not.toContain('4711');
  });
});

describe('an Open Policy Agent', () => {
  let opa: OpaServer;
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'kadre-opa-'));
    opa = await startOpa(folder, POLICY);
  });
  afterAll(async () => {
    await opa.stop();
    await rm(folder, { recursive: true });
  });

  const POLICY = `package kadre
    default allow := false
    allow if { input.tool == "search"; input.agent == "researcher"; input.args.amount <= 100 }
    decision := {"allow": allow, "reason": reason}
    reason := "no more than 100" if not allow
    reason := "fine" if allow
    echo := {"allow": false, "reason": json.marshal(input)}`;
  const asking = (path: string, url = opa.url): Partial<Tool['spec']> => ({
    policy: { opa: { url: `${url}/v1/data/kadre/${path}` } },
  });

  test.each([
    ['allow', 100, true],
    ['allow', 101, false],
    ['decision', 100, true],
    ['decision', 101, false],
  ])('that is asked for %s about %d says %s', async (path, amount, allowed) => {
    bed.tool('search', asking(path));
    const reply = await bed.call({ args: { amount } });
    expect(reply).toMatchObject(allowed ? passed : refused);
    if (path === 'decision' && !allowed) expect(reply.text).toContain('no more than 100');
    expect(bed.server.asked).toHaveLength(allowed ? 1 : 0);
  });

  test('is told of the call, its agent and its run', async () => {
    bed.tool('search', asking('echo'));
    const said = JSON.parse(/\{.*\}/.exec((await bed.call({ call: 3, args: { q: 'x' } })).text)?.[0] ?? '') as unknown;
    const run = { uid: step.run, name: '', requestedBy: null };
    expect(said).toEqual({
      tool: 'search',
      operation: '',
      args: { q: 'x' },
      agent: 'researcher',
      namespace: NAMESPACE,
      run,
      step: 'research',
      attempt: 1,
    });
  });

  test('that knows no such decision, or is not there, allows nothing', async () => {
    bed.tool('search', asking('nothing'));
    expect(await bed.call()).toMatchObject(refused);
    bed.tool('search', asking('allow', 'http://127.0.0.1:9'));
    expect(await bed.call()).toMatchObject(refused);
    expect((await decisions(2)).map(({ reason }) => reason).sort()).toEqual([
      'the Open Policy Agent gave no clear answer: it cannot be reached (ECONNREFUSED) (spec.policy.opa)',
      'the Open Policy Agent gave no clear answer: it knows no such decision (spec.policy.opa)',
    ]);
  });

  test('is not asked where a rule refuses already', async () => {
    bed.tool('search', { policy: { ...asking('allow', 'http://127.0.0.1:9').policy, rules: [{ rule: 'false' }] } });
    await bed.call();
    expect(await decisions(1)).toMatchObject([{ alternatives: { rule: 'rules[0]' } }]);
  });

  test.each<[string, (response: ServerResponse) => void]>([
    ['an error, though it says yes', (response) => json(response, { result: true }, 500)],
    ['a redirect', (response) => response.writeHead(302, { location: `${opa.url}/v1/data/kadre/allow` }).end()],
    ['the word yes', (response) => json(response, { result: 'true' })],
    ['a number', (response) => json(response, { result: 1 })],
    ['an object that does not say', (response) => json(response, { result: { allowed: true } })],
    ['allow as a text', (response) => json(response, { result: { allow: 'true' } })],
    ['no result', (response) => json(response, { allow: true })],
    ['no JSON', (response) => response.writeHead(200).end('true')],
    ['nothing', (response) => response.writeHead(200).end()],
    ['half an answer', (response) => response.writeHead(200, { 'content-length': '99' }).write('{"result": true}')],
    ['more than anybody asked for', (response) => response.writeHead(200).end(' '.repeat(1_000_000))],
    ['silence', () => undefined],
  ])('that answers with %s allows nothing', async (_, answer) => {
    const rough = createServer((request, response) => {
      request.resume().on('end', () => answer(response));
    }).listen(0, '127.0.0.1');
    await once(rough, 'listening');
    const url = `http://127.0.0.1:${(rough.address() as AddressInfo).port}`;
    bed.tool('search', { policy: { opa: { url, timeout: '200ms' } } });
    expect(await bed.call()).toMatchObject(refused);
    expect(bed.server.asked).toEqual([]);
    rough.closeAllConnections();
    rough.close();
  });
});

describe('once an agent has read what strangers wrote', () => {
  beforeEach(() => {
    bed.tool('browse', { trust: 'untrusted' });
    bed.tool('pay', { consequential: true });
  });
  /** The model answers, and asks for these. */
  const model = (call: number, ...names: string[]): Promise<boolean> => {
    const parts = names.map((name) => ({ type: 'toolCall', id: `${call}`, name, arguments: '{}' }));
    return bed.store.recordJournal({
      ...step,
      call,
      hash: 'h',
      kind: 'model',
      answer: { chat: { parts } },
      at: Date.now(),
    });
  };

  test('it may do nothing that has consequences any more, in this attempt', async () => {
    await model(1, 'pay', 'browse');
    expect(await bed.call({ name: 'pay', call: 2 })).toMatchObject(passed);
    expect((await bed.call({ name: 'browse', call: 3 })).result.trust).toBe('untrusted');
    await model(4, 'pay');
    const reply = await bed.call({ name: 'pay', call: 5 });
    expect(reply).toMatchObject(refused);
    expect(reply.text).toContain('strangers');
    expect(await bed.call({ name: 'pay', call: 5, claims: { attempt: 2 } })).toMatchObject(passed);
    expect(await decisions(4)).toContainEqual(
      expect.objectContaining({ alternatives: expect.objectContaining({ rule: 'taint', number: 5 }) }),
    );
  });

  test('calls of one answer of the model do not taint each other, whichever is first', async () => {
    await model(1, 'browse', 'pay', 'pay');
    await bed.call({ name: 'browse', call: 2 });
    expect(await bed.call({ name: 'pay', call: 3 })).toMatchObject(passed);
    expect(await bed.call({ name: 'pay', call: 4 })).toMatchObject(passed);
  });

  test('what the answer does not ask for is no part of it', async () => {
    await model(1, 'browse', 'pay');
    await bed.call({ name: 'browse', call: 2 });
    expect(await bed.call({ name: 'pay', call: 3, args: { to: 'a stranger' } })).toMatchObject(refused);
    expect(await bed.call({ name: 'pay', call: 4 })).toMatchObject(passed);
  });

  test('numbers out of order do not hide what was read before', async () => {
    await bed.call({ name: 'browse', call: 2 });
    await until(() => Date.now() > Number(bed.lines().at(-1)?.['time'] ?? Infinity) + 1);
    await model(1, 'browse', 'pay');
    expect(await bed.call({ name: 'pay', call: 3 })).toMatchObject(refused);
  });

  test('an agent that does not number the calls of its model is tainted by whatever it read', async () => {
    await bed.call({ name: 'browse', call: 2 });
    expect(await bed.call({ name: 'pay', call: 3 })).toMatchObject(refused);
    expect(await bed.call({ name: 'pay', call: 1 })).toMatchObject(refused);
  });

  test('its own word counts outside of steps', async () => {
    expect(await bed.call({ name: 'pay' })).toMatchObject(passed);
    expect(await bed.call({ name: 'pay', tainted: true })).toMatchObject(refused);
  });

  test('a refusal does not taint: those are our own words', async () => {
    bed.tool('browse', { trust: 'untrusted', ...ruled('false') });
    await model(1, 'browse');
    await bed.call({ name: 'browse', call: 2 });
    await model(3, 'pay');
    expect(await bed.call({ name: 'pay', call: 4 })).toMatchObject(passed);
  });
});
