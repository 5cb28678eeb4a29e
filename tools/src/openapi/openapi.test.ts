import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { ToolSpec } from '@kadre/crds';
import { stringify } from 'yaml';
import { faultOf, json, makeBed, makeTool, startServer, tokenRef, type Bed, type TestServer } from '../testing/bed.ts';

let bed: Bed;
let server: TestServer;
beforeEach(async () => {
  bed = makeBed();
  server = await startServer();
});
afterEach(async () => {
  await bed.toolbox.close();
  await server.close();
});

type Json = Record<string, unknown>;
const document = (paths: Json, more: Json = {}): Json => ({
  openapi: '3.1.0',
  info: { title: 'Pets', version: '2' },
  servers: [{ url: server.url }],
  paths,
  ...more,
});
const toolOf = (value: unknown, openapi: Partial<ToolSpec['openapi']> = {}, spec: Partial<ToolSpec> = {}) =>
  makeTool({ openapi: { document: typeof value === 'string' ? value : JSON.stringify(value), ...openapi }, ...spec });
const param = (name: string, place: string, more: Json = {}): Json => ({
  name,
  in: place,
  schema: { type: 'string' },
  ...more,
});
const get = (operation: Json = {}): Json => ({ '/x': { get: { operationId: 'x', ...operation } } });
const schemaOf = async (value: Json) => (await bed.describe(toolOf(value))).operations[0]?.inputSchema;

describe('a document', () => {
  const pets = () =>
    document(
      {
        '/pets/{id}': {
          parameters: [param('id', 'path', { description: 'Which one.' }), param('verbose', 'query')],
          get: {
            operationId: 'getPet',
            summary: 'Finds a pet',
            description: 'By its id.',
            parameters: [param('verbose', 'query', { schema: { type: 'boolean' } })],
          },
          put: {
            requestBody: {
              required: true,
              content: { 'application/json': { schema: { $ref: '#/components/schemas/Pet' } } },
            },
          },
        },
      },
      { components: { schemas: { Pet: { type: 'object', properties: { name: { type: 'string' } } } } } },
    );
  const described = {
    server: 'Pets 2',
    operations: [
      {
        name: 'getPet',
        description: 'Finds a pet. By its id.',
        inputSchema: {
          type: 'object',
          properties: { id: { type: 'string', description: 'Which one.' }, verbose: { type: 'boolean' } },
          required: ['id'],
          additionalProperties: false,
        },
      },
      {
        name: 'put_pets_id',
        description: 'PUT /pets/{id}',
        inputSchema: {
          type: 'object',
          properties: {
            id: { type: 'string', description: 'Which one.' },
            verbose: { type: 'string' },
            body: { type: 'object', properties: { name: { type: 'string' } } },
          },
          required: ['id', 'body'],
          additionalProperties: false,
        },
      },
    ],
  };

  test.each<[string, (value: Json) => string]>([
    ['JSON', JSON.stringify],
    ['YAML', (value) => stringify(value)],
    ['YAML with anchors', (value) => stringify({ ...value, 'x-again': value['paths'] })],
  ])('in %s says what can be done', async (_what, write) => {
    expect(await bed.describe(toolOf(write(pets())))).toEqual(described);
  });

  test('is fetched, with the secret, and once for many calls', async () => {
    server.answer = (response, request) =>
      json(request.url === '/openapi.json' ? { ...pets(), servers: [{ url: '/v1/' }] } : { ok: true })(
        response,
        request,
      );
    const auth = { scheme: 'bearer', secretRef: tokenRef } as const;
    const tool = makeTool({ openapi: { url: `${server.url}/openapi.json`, auth } });
    for (const id of ['1', '2']) await bed.call(tool, { id }, { operation: 'getPet' });
    expect(server.received.map(({ url }) => url)).toEqual(['/openapi.json', '/v1/pets/1', '/v1/pets/2']);
    expect(server.received.map(({ headers }) => headers.authorization)).toEqual(Array(3).fill('Bearer s3cr3t-token'));
    bed.clock.at += 300_001;
    await bed.call(tool, { id: '3' }, { operation: 'getPet' });
    expect(server.received.slice(3).map(({ url }) => url)).toEqual(['/openapi.json', '/v1/pets/3']);
  });

  test.each([
    ['a server elsewhere', 'https://evil.example/v1', /names a server on evil.example/],
    ['a server on another port', 'http://127.0.0.1:1/', /names a server on 127.0.0.1:1/],
    ['a file', 'file:///etc/passwd', /no plain HTTP address/],
    ['a user name', 'http://user@127.0.0.1/', /no plain HTTP address/],
  ])('that was fetched and names %s sends no secret there', async (_what, url, message) => {
    server.answer = json({ ...pets(), servers: [{ url }] });
    const tool = makeTool({
      openapi: { url: `${server.url}/openapi.json`, auth: { scheme: 'bearer', secretRef: tokenRef } },
    });
    const refused = { fault: 'misconfigured', message: expect.stringMatching(message) };
    await expect(bed.describe(tool)).rejects.toMatchObject(refused);
    await expect(bed.call(tool, { id: '1' }, { operation: 'getPet' })).rejects.toMatchObject(refused);
  });

  test('may name its server with variables, and the Tool another one', async () => {
    const variables = { port: { default: String(server.port) } };
    const value = { ...pets(), servers: [{ url: 'http://127.0.0.1:{port}/a', variables }] };
    await bed.call(toolOf(value), { id: '1' }, { operation: 'getPet' });
    await bed.call(toolOf(value, { baseUrl: `${server.url}/b` }), { id: '1' }, { operation: 'getPet' });
    expect(server.received.map(({ url }) => url)).toEqual(['/a/pets/1', '/b/pets/1']);
  });

  test.each<[string, unknown]>([
    ['nothing', ''],
    ['rubbish', '{"openapi": '],
    ['YAML that is none', 'a: [b\n- c: }'],
    ['Swagger 2', { swagger: '2.0', paths: {} }],
    ['no paths', { openapi: '3.0.0' }],
    ['a list', []],
    [
      'endless YAML',
      `a: &a [x,x,x,x,x,x,x,x,x]\n${'bcdefghi'
        .split('')
        .map(
          (name, n) =>
            `${name}: &${name} [${Array(9)
              .fill(`*${'abcdefghi'[n] ?? ''}`)
              .join()}]`,
        )
        .join('\n')}`,
    ],
    ['YAML that is too long', `openapi: 3.0.0\n#${'x'.repeat(600_000)}`],
  ])('that is %s is turned down', async (_what, value) => {
    await expect(bed.describe(toolOf(value))).rejects.toMatchObject({
      fault: 'misconfigured',
      message: expect.stringMatching(/^The document cannot be used/),
    });
  });

  test.each([
    [404, { fault: 'misconfigured', retry: false }],
    [403, { fault: 'unauthorized', retry: false }],
    [503, { fault: 'status', retry: true }],
    [302, { fault: 'misconfigured', retry: false }],
  ])('that is answered with %d is not kept', async (status, fault) => {
    server.answer = (response) => response.writeHead(status, { location: '/elsewhere' }).end();
    const tool = makeTool({ openapi: { url: `${server.url}/openapi.json` } });
    expect(await bed.describe(tool).catch(faultOf)).toMatchObject(fault);
    server.answer = json({ ...pets(), servers: undefined });
    await bed.call(tool, { id: '1' }, { operation: 'getPet' });
  });
});

type Row = [what: string, operation: Json, reason: string, more?: Json];
const rowsOf = (rows: Row[]) =>
  rows.map(([what, operation, reason, more = {}]) => [what, { operation, reason, more }] as const);

describe('left out, with a reason, is what', () => {
  const circle = {
    components: { parameters: { A: { $ref: '#/components/parameters/B' }, B: { $ref: '#/components/parameters/A' } } },
  };
  test.each(
    rowsOf([
      [
        'has a body that is no JSON',
        { requestBody: { required: true, content: { 'multipart/form-data': {} } } },
        'its body is not JSON, which is not supported',
      ],
      [
        'needs a cookie',
        { parameters: [param('c', 'cookie', { required: true })] },
        'the parameter c stands in cookie, which is not supported',
      ],
      [
        'has a reference to elsewhere',
        { parameters: [{ $ref: 'http://169.254.169.254/x' }] },
        'http://169.254.169.254/x lies outside of the document',
      ],
      [
        'has a reference to nothing',
        { parameters: [{ $ref: '#/components/none' }] },
        '#/components/none is not in the document',
      ],
      [
        'has a reference to what every object has',
        { parameters: [{ $ref: '#/constructor' }] },
        '#/constructor is not in the document',
      ],
      [
        'has references in a circle',
        { parameters: [{ $ref: '#/components/parameters/A' }] },
        'a reference leads in a circle',
        circle,
      ],
      ['has a parameter of that name', { parameters: [{ name: '__proto__', in: 'query' }] }, 'a parameter has no name'],
      [
        'is served elsewhere',
        { servers: [{ url: 'http://evil.example' }] },
        'it is served elsewhere, which is not supported',
      ],
      [
        'has a schema that is too large',
        { parameters: [param('p', 'query', { schema: { enum: Array(9000).fill('xxxxxxxxxx') } })] },
        'its schema is larger than 64 KiB',
      ],
    ]),
  )('%s', async (_what, { operation, reason, more }) => {
    const paths = { ...get(operation), '/y': { get: { operationId: 'y' } } };
    const { operations, leftOut } = await bed.describe(toolOf(document(paths, more)));
    expect(operations.map(({ name }) => name)).toEqual(['y']);
    expect(leftOut).toEqual([`x: ${reason}`]);
  });

  test('comes after the 256th operation, or has the name of another', async () => {
    const many = Object.fromEntries(
      Array.from({ length: 300 }, (_none, n) => [`/${n}`, { get: { operationId: `o${n}` } }]),
    );
    const { operations, leftOut } = await bed.describe(
      toolOf(document({ '/first': { get: { operationId: 'o0' } }, ...many })),
    );
    expect([operations.length, leftOut?.length]).toEqual([256, 45]);
    expect(leftOut).toContain('o0: there is another operation of that name');
  });

  test('says nothing of a place in its path', async () => {
    const { operations, leftOut } = await bed.describe(toolOf(document({ '/x/{id}': { get: { operationId: 'x' } } })));
    expect([operations, leftOut]).toEqual([[], ['x: nothing is said of {id} in its path']]);
  });
});

describe('schemas', () => {
  const body = (schema: Json) => ({ requestBody: { content: { 'application/json': { schema } } } });
  const inBody = async (schema: Json, more: Json = {}) =>
    ((await schemaOf(document(get(body(schema)), more))) as { properties: { body: unknown } }).properties.body;

  test('stand alone; where one holds itself, the inner one is anything', async () => {
    const Node = {
      type: 'object',
      properties: { next: { $ref: '#/components/schemas/Node' }, xml: { type: 'string' } },
      xml: {},
    };
    expect(await inBody({ $ref: '#/components/schemas/Node' }, { components: { schemas: { Node } } })).toEqual({
      type: 'object',
      properties: { next: {}, xml: { type: 'string' } },
    });
  });

  test('of 3.0 become those of JSON Schema', async () => {
    const schema = {
      type: 'object',
      properties: {
        a: { type: 'string', nullable: true, enum: ['x'], example: 'x' },
        b: { type: 'number', minimum: 1, exclusiveMinimum: true, maximum: 2, exclusiveMaximum: false },
      },
    };
    expect(await inBody(schema, { openapi: '3.0.3' })).toEqual({
      type: 'object',
      properties: {
        a: { type: ['string', 'null'], enum: ['x', null] },
        b: { type: 'number', exclusiveMinimum: 1, maximum: 2 },
      },
    });
  });

  test('that grow without end are left out', async () => {
    const all = Object.fromEntries(
      Array.from({ length: 20 }, (_none, n) => [
        `S${n}`,
        { allOf: Array(9).fill({ $ref: `#/components/schemas/S${n + 1}` }) },
      ]),
    );
    const schemas = { ...all, S20: { type: 'string' } };
    const value = document(get(body({ $ref: '#/components/schemas/S0' })), { components: { schemas } });
    expect((await bed.describe(toolOf(value))).leftOut).toEqual(['x: its schema is too large']);
  });
});

describe('a request', () => {
  test.each<[string, Json, unknown, string]>([
    ['a list', { schema: { type: 'array' } }, ['a', 'b&c'], '?p=a&p=b%26c'],
    ['a list with commas', { explode: false }, ['a', 'b'], '?p=a%2Cb'],
    ['a list with bars', { style: 'pipeDelimited' }, ['a', 'b'], '?p=a%7Cb'],
    ['an object', {}, { a: 1, b: 'x' }, '?a=1&b=x'],
    ['a deep object', { style: 'deepObject' }, { a: 1, b: 'x' }, '?p%5Ba%5D=1&p%5Bb%5D=x'],
    ['JSON', { content: { 'application/json': {} }, schema: undefined }, { a: [1] }, '?p=%7B%22a%22%3A%5B1%5D%7D'],
    ['a number', {}, 1.5, '?p=1.5'],
    ['nothing', {}, null, ''],
  ])('has %s in its query', async (_what, more, value, query) => {
    await bed.call(
      toolOf(document(get({ parameters: [param('p', 'query', more)] }))),
      { p: value },
      { operation: 'x' },
    );
    expect(server.received[0]?.url).toBe(`/x${query}`);
  });

  test('has a header, a body and the secret; none of them replaces another', async () => {
    const parameters = [param('X-Trace', 'header'), param('Authorization', 'header'), param('body', 'query')];
    const requestBody = { content: { 'application/vnd.api+json': { schema: { type: 'object' } } } };
    const value = document({ '/x': { post: { operationId: 'x', parameters, requestBody } } });
    const tool = toolOf(value, {
      auth: { scheme: 'bearer', secretRef: tokenRef },
      headers: [{ name: 'X-Team', value: 'blue' }],
    });
    const args = { 'X-Trace': 'abc', Authorization: 'Bearer stolen', query_body: 'q', body: { n: 1 } };
    await bed.call(tool, args, { operation: 'x' });
    expect(server.received[0]).toMatchObject({
      method: 'POST',
      url: '/x?body=q',
      body: '{"n":1}',
      headers: {
        'x-trace': 'abc',
        'x-team': 'blue',
        authorization: 'Bearer s3cr3t-token',
        'content-type': 'application/json',
      },
    });
  });

  test.each([
    ['a\r\nX-Evil: 1', /must be plain ASCII in one line/],
    ['\u2028', /must be plain ASCII/],
  ])('is not made from the header %j', async (value, message) => {
    const answer = await bed.call(
      toolOf(document(get({ parameters: [param('h', 'header')] }))),
      { h: value },
      { operation: 'x' },
    );
    expect(answer).toMatchObject({ isError: true, content: [{ text: expect.stringMatching(message) }] });
    expect(server.received).toEqual([]);
  });

  test('does not leave its path', async () => {
    const tool = toolOf(document({ '/a/{id}': { get: { operationId: 'x', parameters: [param('id', 'path')] } } }));
    for (const id of ['..', '../b', ''])
      expect(await bed.call(tool, { id }, { operation: 'x' })).toMatchObject({ isError: true });
    expect(server.received).toEqual([]);
  });

  test('of an operation that is gone is told', async () => {
    expect(await bed.call(toolOf(document(get())), {}, { operation: 'y' })).toMatchObject({ isError: true });
  });
});
