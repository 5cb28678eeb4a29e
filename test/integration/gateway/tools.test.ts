// What an agent may use, and that a call is held to no less than what is listed.
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { NAMESPACE, until } from './bed.ts';
import { json, startToolBed, type ToolBed } from './tool-bed.ts';

let bed: ToolBed;
beforeEach(async () => {
  bed = await startToolBed();
});
afterEach(() => bed.close());

const petstore = (url: string): string =>
  JSON.stringify({
    openapi: '3.1.0',
    info: { title: 'Pets', version: '1' },
    servers: [{ url }],
    paths: {
      '/pets': {
        get: { operationId: 'list.pets', summary: 'Lists pets.', responses: {} },
        delete: { operationId: 'delete_pets', summary: 'Deletes all pets.', responses: {} },
      },
      '/owners': { get: { operationId: 'list_pets', summary: 'Has a name that looks alike.', responses: {} } },
    },
  });

describe('what is listed', () => {
  test('is what the Agent grants, with what the model must know of it', async () => {
    bed.tool('search', { builtin: { calculator: {} } });
    bed.tool('other');
    bed.grants.set('researcher', [{ name: 'search' }]);
    expect(await bed.list()).toMatchObject({ names: ['search'], leftOut: null });
    expect((await bed.list()).tools[0]).toMatchObject({ inputSchema: { type: 'object' } });
  });

  test('is what both the Tool and the Agent allow, under names that providers take', async () => {
    const openapi = { document: petstore(bed.server.url) };
    bed.tool('pets', { openapi });
    expect((await bed.list()).names).toEqual([
      expect.stringMatching(/^pets__list_pets_[0-9a-f]{8}$/),
      'pets__delete_pets',
      'pets__list_pets',
    ]);
    bed.tool('pets', { openapi, allow: ['list*', 'delete_pets'] });
    bed.grants.set('researcher', [{ name: 'pets', allow: ['delete_*', 'list_*'] }]);
    expect((await bed.list()).names).toEqual(['pets__delete_pets', 'pets__list_pets']);
  });

  test('is nothing for an Agent without grants, for an account of no Agent, and for one of another namespace', async () => {
    bed.tool('search');
    const identity = { namespace: NAMESPACE, serviceAccount: 'agent-writer', uid: 'sa-2' };
    bed.tokens.set('token-b', identity);
    bed.tokens.set('token-c', { ...identity, serviceAccount: 'researcher' });
    bed.tokens.set('token-d', { ...identity, serviceAccount: 'agent-researcher', namespace: 'team-b' });
    for (const token of ['token-b', 'token-c', 'token-d']) {
      expect(await bed.list(token)).toMatchObject({ names: [] });
      expect(await bed.call({ token })).toMatchObject({
        status: 200,
        result: { reason: 'ToolRefused', isError: true },
      });
    }
    expect(bed.server.asked).toEqual([]);
  });

  test('is that of the step for an account that its Agent shares with others', async () => {
    bed.tool('search');
    bed.tokens.set('token-c', { namespace: NAMESPACE, serviceAccount: 'shared', uid: 'sa-3' });
    expect(await bed.call({ token: 'token-c' })).toMatchObject({ result: { reason: 'ToolRefused' } });
    expect(await bed.call({ token: 'token-c', call: 1 })).toMatchObject({ result: { isError: false } });
    const another = await bed.call({ token: 'token-c', call: 1, claims: { agent: 'writer', attempt: 2 } });
    expect(another.result.reason).toBe('ToolRefused');
  });

  test('leaves out what is away, and what is not there, and says so', async () => {
    bed.tool('search');
    bed.tool('away', { mcp: { url: 'http://127.0.0.1:9/mcp' } });
    bed.grants.get('researcher')?.push({ name: 'nowhere' });
    const { names, leftOut } = await bed.list();
    expect([names, leftOut?.split(', ').sort()]).toEqual([['search'], ['away', 'nowhere']]);
    expect(bed.log()).toContain('A Tool could not be asked what it offers.');
    expect(await bed.call({ name: 'away__x' })).toMatchObject({ status: 200, result: { reason: 'ToolFailed' } });
    expect(await bed.call({ name: 'nowhere' })).toMatchObject({ status: 200, result: { reason: 'ToolFailed' } });
  });
});

describe('a call', () => {
  test('gets to the tool with its arguments, and its answer back', async () => {
    bed.tool('search');
    const reply = await bed.call({ args: { q: 'cats', n: 5 } });
    expect(reply).toMatchObject({ status: 200, replayed: false, text: '{"answer":1}' });
    expect(reply.result).toMatchObject({ isError: false, trust: 'trusted' });
    expect(bed.server.asked[0]).toMatchObject({ path: '/search', body: { q: 'cats', n: 5 } });
  });

  test.each([
    ['an operation that the Tool does not allow', { allow: ['list*'] }, undefined],
    ['an operation that the grant does not allow', {}, ['list*']],
    ['any operation of a Tool that is not granted', {}, []],
  ])('by name to %s is refused', async (_, spec, allow) => {
    bed.tool('pets', { openapi: { document: petstore(bed.server.url) }, ...spec });
    const grant = allow === undefined ? { name: 'pets' } : { name: 'pets', allow };
    bed.grants.set('researcher', allow?.length === 0 ? [] : [grant]);
    const reply = await bed.call({ name: 'pets__delete_pets' });
    expect(reply).toMatchObject({ status: 200, result: { reason: 'ToolRefused', isError: true, trust: 'trusted' } });
    expect(reply.text).toContain('Agent researcher may not use pets__delete_pets.');
    expect(bed.server.asked).toEqual([]);
  });

  test.each([
    ['no JSON', '{"q": ', 'not JSON'],
    ['no object', '[1]', 'must be a JSON object'],
    ['null', 'null', 'must be a JSON object'],
    ['not what the schema asks for', '{"n": "five"}', '/n must be integer'],
    ['too little', '{}', "must have required property 'n'"],
    ['an attempt on the prototype', '{"n": 1, "a": [{"__proto__": {"admin": true}}]}', '__proto__'],
    ['nested without end', `{"n": 1, "a": ${'['.repeat(5000)}${']'.repeat(5000)}}`, 'nested'],
  ])('with arguments that are %s is told what is wrong, and goes nowhere', async (_, args, complaint) => {
    const schema = { type: 'object', properties: { n: { type: 'integer' } }, required: ['n'] };
    bed.tool('search', { http: { method: 'POST', url: `${bed.server.url}/x`, input: { schema } } });
    const reply = await bed.call({ args });
    expect(reply).toMatchObject({ status: 200, result: { reason: 'InvalidInput', isError: true } });
    expect(reply.text).toContain(complaint);
    expect(bed.server.asked).toEqual([]);
  });

  test.each(['rubbish', { name: 7 }, { name: 'search' }, []])('whose body is %j is a 400', async (body) => {
    const response = await fetch(`${bed.url}/v1/tools/call`, {
      method: 'POST',
      headers: { authorization: 'Bearer token-a', 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    expect(response.status).toBe(400);
  });

  test('needs a token', async () => {
    expect(await bed.call({ token: 'rubbish' })).toMatchObject({ status: 401 });
  });

  test('is not tried with a schema that is none', async () => {
    const schema = { type: 'object', properties: { n: { type: 'no such type' } } };
    bed.tool('search', { http: { method: 'POST', url: bed.server.url, input: { schema } } });
    expect(await bed.call()).toMatchObject({ status: 200, result: { reason: 'ToolFailed' } });
    expect(bed.server.asked).toEqual([]);
  });

  test('that is answered with what its output schema does not know has failed', async () => {
    const output = { schema: { type: 'object', required: ['title'] } };
    const input = { schema: { type: 'object' } };
    bed.tool('search', { http: { method: 'POST', url: bed.server.url, input, output } });
    const reply = await bed.call();
    expect(reply.result).toMatchObject({ isError: true, reason: 'ToolFailed' });
    expect(reply.text).toContain("required property 'title'");
    bed.server.answer = (response) => json(response, { title: 'x' });
    expect((await bed.call()).text).toBe('{"title":"x"}');
  });

  test('that is answered with more than the Tool may bring has failed', async () => {
    bed.tool('search', { maxResultBytes: 1024 });
    bed.server.answer = (response) => json(response, 'x'.repeat(100_000));
    const reply = await bed.call();
    expect(reply.result).toMatchObject({ isError: true, reason: 'ToolFailed' });
    expect(reply.text.length).toBeLessThan(1024);
  });

  test('that goes to this very machine is refused where that is not allowed, and written down', async () => {
    const strict = await startToolBed({ limits: { allowLoopback: false } });
    strict.tool('search');
    expect(await strict.call()).toMatchObject({ status: 200, result: { reason: 'ToolRefused' } });
    await until(async () => (await strict.store.decisions({ namespace: NAMESPACE })).length === 2);
    expect(await strict.store.decisions({ namespace: NAMESPACE })).toContainEqual(
      expect.objectContaining({ alternatives: expect.objectContaining({ verdict: 'refused', rule: 'address' }) }),
    );
    expect(strict.server.asked).toEqual([]);
    await strict.close();
  });

  test('whose caller goes away is broken off at the tool', async () => {
    bed.tool('search');
    const cut = Promise.withResolvers<undefined>();
    bed.server.answer = (response) => response.once('close', () => cut.resolve(undefined));
    const controller = new AbortController();
    const call = bed.call({ signal: controller.signal }).catch((error: unknown) => (error as Error).name);
    await until(() => bed.server.asked.length === 1);
    controller.abort();
    expect(await call).toBe('AbortError');
    await cut.promise;
  });

  test('to a tool that hangs ends at the timeout of the Tool', async () => {
    bed.tool('search', { timeout: '50ms' });
    bed.server.answer = () => undefined;
    const reply = await bed.call();
    expect(reply.result).toMatchObject({ isError: true, reason: 'ToolFailed' });
    expect(reply.text).toContain('may have taken effect');
  });

  test('leaves neither arguments nor results in the log, and a line that says what came of it', async () => {
    bed.tool('search');
    bed.server.answer = (response) => json(response, { secret: 'result-canary' });
    await bed.call({ args: { q: 'argument-canary' } });
    await bed.call({ args: '{"q": "argument-canary"' });
    expect(bed.log()).not.toContain('canary');
    const lines = bed
      .log()
      .split('\n')
      .filter((line) => line.includes('"tool call"'))
      .map((line) => JSON.parse(line) as object);
    expect(lines).toMatchObject([
      { tool: 'search', agent: 'researcher', outcome: 'ok' },
      { tool: 'search', outcome: 'invalid', rule: 'schema.input' },
    ]);
  });
});

describe('what a Tool offers', () => {
  test('is asked for once by many, and again when a model calls what is not known', async () => {
    let paths = ['a'];
    let asked = 0;
    const documents = createServer((_, response) => {
      asked += 1;
      const operation = (name: string): object => ({ [`/${name}`]: { get: { operationId: name, responses: {} } } });
      const document = { openapi: '3.1.0', info: { title: 'x', version: '1' }, servers: [{ url: bed.server.url }] };
      json(response, { ...document, paths: Object.assign({}, ...paths.map(operation)) as object });
    }).listen(0, '127.0.0.1');
    await once(documents, 'listening');
    let now = Date.now();
    const timed = await startToolBed({
      clock: { now: () => now, after: (ms, then) => clearable(setTimeout(then, ms)) },
    });
    const url = `http://127.0.0.1:${(documents.address() as AddressInfo).port}/x`;
    timed.tool('api', { openapi: { url, baseUrl: timed.server.url } });
    await Promise.all(Array.from({ length: 20 }, () => timed.list()));
    expect(asked).toBe(1);
    paths = ['a', 'b'];
    expect(await timed.call({ name: 'api__b' })).toMatchObject({ result: { reason: 'ToolRefused' } });
    now += 6_000;
    expect(await timed.call({ name: 'api__b' })).toMatchObject({ result: { isError: false } });
    expect(asked).toBe(2);
    // While its server is away, what is known holds.
    documents.closeAllConnections();
    documents.close();
    now += 600_000;
    expect(await timed.list()).toMatchObject({ names: ['api__a', 'api__b'], leftOut: null });
    await timed.close();
  });
});

const clearable = (timer: NodeJS.Timeout) => (): void => clearTimeout(timer);
