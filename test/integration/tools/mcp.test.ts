import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { Tool, ToolSpec } from '@kadre/crds';
import {
  json,
  makeBed,
  makeTool,
  startServer,
  tokenRef,
  type Bed,
  type TestServer,
} from '../../../tools/src/testing/bed.ts';
import { startEverything, startModern, type Modern } from './mcp-servers.ts';

let bed: Bed;
beforeEach(() => {
  bed = makeBed();
});
afterEach(() => bed.toolbox.close());

const toolAt = (url: string, spec: Partial<ToolSpec> = {}, mcp: Partial<ToolSpec['mcp']> = {}): Tool =>
  makeTool({ mcp: { url, ...mcp }, ...spec });
const textOf = (answer: { content: { type: string; text?: string }[] }) =>
  answer.content.map(({ text }) => text).join('');

describe('the reference server of 2025', () => {
  let everything: Awaited<ReturnType<typeof startEverything>>;
  beforeAll(async () => {
    everything = await startEverything();
  });
  afterAll(() => everything.stop());

  test('says what it can do', async () => {
    const { operations, server, leftOut } = await bed.describe(toolAt(everything.url));
    expect(server).toMatch(/everything/);
    expect(leftOut).toBeUndefined();
    expect(operations.find(({ name }) => name === 'echo')).toMatchObject({
      description: expect.stringMatching(/echo/i),
      inputSchema: { type: 'object', properties: { message: { type: 'string' } }, required: ['message'] },
    });
    expect(operations.find(({ name }) => name === 'get-structured-content')).toHaveProperty('outputSchema');
  });

  test.each<[string, Record<string, unknown>, object]>([
    ['echo', { message: 'hi' }, { isError: false, content: [{ type: 'text', text: 'Echo: hi' }] }],
    ['get-sum', { a: 2, b: 3 }, { isError: false, content: [{ text: expect.stringMatching(/\b5\b/) }] }],
    [
      'get-tiny-image',
      {},
      {
        content: expect.arrayContaining([
          { type: 'image', mediaType: 'image/png', data: expect.stringMatching(/^iVBOR/) },
        ]),
      },
    ],
    [
      'get-structured-content',
      { location: 'New York' },
      { structured: expect.objectContaining({ temperature: expect.anything() }) },
    ],
    [
      'get-resource-links',
      { count: 1 },
      { content: expect.arrayContaining([{ type: 'text', text: expect.stringMatching(/a link to/) }]) },
    ],
    ['get-resource-reference', { resourceType: 'Text', resourceId: 1 }, { isError: false }],
    ['get-sum', { a: 'two' }, { isError: true }],
    ['no-such-tool', {}, { isError: true }],
  ])('does %s %j', async (operation, args, expected) => {
    expect(await bed.call(toolAt(everything.url), args, { operation })).toMatchObject(expected);
  });

  test('is asked by several at once over one session', async () => {
    const numbers = Array.from({ length: 20 }, (_none, index) => index);
    const answers = await Promise.all(
      numbers.map((n) => bed.call(toolAt(everything.url), { message: String(n) }, { operation: 'echo' })),
    );
    expect(answers.map(textOf)).toEqual(numbers.map((n) => `Echo: ${n}`));
  });

  test('is left when it takes too long, and is asked again after that', async () => {
    const tool = toolAt(everything.url, { timeout: '500ms' });
    const args = { duration: 60, steps: 2 };
    const late = bed.call(tool, args, { operation: 'trigger-long-running-operation' });
    await expect(late).rejects.toMatchObject({ fault: 'timeout', sent: true });
    expect(textOf(await bed.call(tool, { message: 'still there' }, { operation: 'echo' }))).toBe('Echo: still there');
  });

  test('is asked anew after it was killed and has forgotten all sessions', async () => {
    const mortal = await startEverything();
    const tool = toolAt(mortal.url);
    await bed.call(tool, { message: '1' }, { operation: 'echo' });
    const cut = bed.call(tool, { duration: 60, steps: 2 }, { operation: 'trigger-long-running-operation' });
    const heard = cut.catch((error: unknown) => error);
    await bed.call(tool, { message: '2' }, { operation: 'echo' });
    await mortal.stop();
    await expect(bed.call(tool, { message: '3' }, { operation: 'echo' })).rejects.toMatchObject({
      fault: 'unreachable',
      sent: false,
    });
    expect(await heard).toMatchObject({ fault: 'unreachable', sent: true });
    const reborn = await startEverything(mortal.port);
    expect(textOf(await bed.call(tool, { message: '4' }, { operation: 'echo' }))).toBe('Echo: 4');
    await reborn.stop();
  });

  test('that has merely forgotten the session is asked twice, and nobody notices', async () => {
    const mortal = await startEverything();
    const tool = toolAt(mortal.url);
    await bed.call(tool, { message: '1' }, { operation: 'echo' });
    await mortal.stop();
    const reborn = await startEverything(mortal.port);
    expect(textOf(await bed.call(tool, { message: '2' }, { operation: 'echo' }))).toBe('Echo: 2');
    await reborn.stop();
  });
});

describe('a server of 2026', () => {
  let modern: Modern;
  beforeEach(async () => {
    modern = await startModern();
  });
  afterEach(() => modern.stop());

  test('says what it can do, and does it', async () => {
    const tool = toolAt(modern.url);
    expect(await bed.describe(tool)).toMatchObject({
      server: 'modern 1.2.3',
      operations: [
        { name: 'add', outputSchema: { type: 'object' } },
        { name: 'wait' },
        { name: 'fail' },
        { name: 'large' },
      ],
    });
    const answer = { isError: false, content: [{ type: 'text', text: '5' }], structured: { sum: 5 } };
    expect(await bed.call(tool, { a: 2, b: 3 }, { operation: 'add' })).toEqual(answer);
    expect([...modern.eras]).toEqual(['modern']);
  });

  test('gets the key under which a call is one and the same, the trace and the secret', async () => {
    const tool = toolAt(modern.url, {}, { auth: { scheme: 'bearer', secretRef: tokenRef } });
    const traceparent = `00-${'1'.repeat(32)}-${'2'.repeat(16)}-01`;
    await bed.call(tool, { a: 1, b: 1 }, { operation: 'add', idempotencyKey: 'once', headers: { traceparent } });
    bed.secrets.set('keys/token', 'rotated-token');
    await bed.call(tool, { a: 1, b: 1 }, { operation: 'add', idempotencyKey: 'twice' });
    expect(modern.calls).toEqual([
      { name: 'add', key: 'once', header: 'once', authorization: 'Bearer s3cr3t-token', traceparent },
      { name: 'add', key: 'twice', header: 'twice', authorization: 'Bearer rotated-token', traceparent: null },
    ]);
  });

  test('tells the model what it did wrong', async () => {
    const tool = toolAt(modern.url);
    expect(await bed.call(tool, {}, { operation: 'fail' })).toEqual({
      isError: true,
      content: [{ type: 'text', text: 'no luck' }],
    });
    expect(await bed.call(tool, { a: 'one' }, { operation: 'add' })).toMatchObject({ isError: true });
    expect(await bed.call(tool, {}, { operation: 'gone' })).toMatchObject({ isError: true });
  });

  test('hears of it when nobody waits any more', async () => {
    const caller = new AbortController();
    const call = bed.call(toolAt(modern.url), {}, { operation: 'wait', signal: caller.signal });
    const started = bed.call(toolAt(modern.url), { a: 1, b: 1 }, { operation: 'add' });
    await started;
    caller.abort(new Error('enough'));
    await expect(call).rejects.toThrow('enough');
    await until(() => modern.cancelled.length > 0);
  });

  test('is not believed an answer that is larger than the Tool takes', async () => {
    const call = bed.call(toolAt(modern.url, { maxResultBytes: 4096 }), {}, { operation: 'large' });
    await expect(call).rejects.toMatchObject({ fault: 'tooLarge' });
  });

  test('is asked over another connection once the old one was idle, or there are too many', async () => {
    const few = makeBed({ allowLoopback: true, mcp: { maxClients: 2, idleMs: 60_000 } });
    for (const name of ['one', 'two', 'three', 'one']) {
      await few.call(makeTool({ mcp: { url: modern.url } }, name), { a: 1, b: 1 }, { operation: 'add' });
      few.clock.at += 61_000;
    }
    expect(modern.calls).toHaveLength(4);
    await few.toolbox.close();
  });

  test.each(['127.0.0.1', 'localhost', '[::ffff:127.0.0.1]'])('is not reached past the guard at %s', async (host) => {
    const guarded = makeBed({});
    const url = modern.url.replace('127.0.0.1', host);
    await expect(guarded.describe(toolAt(url))).rejects.toMatchObject({ fault: 'refused', sent: false });
    await guarded.toolbox.close();
  });
});

async function untilAsync(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setImmediate(resolve));
}

/** Without a fixed time: looks again whenever the event loop comes round. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}

describe('a server that', () => {
  let server: TestServer;
  beforeEach(async () => {
    server = await startServer();
  });
  afterEach(() => server.close());

  type Call = { id?: number; method: string };
  type Reply = (call: Call, response: Parameters<TestServer['answer']>[0]) => void;
  const initialized = {
    protocolVersion: '2025-06-18',
    capabilities: { tools: {} },
    serverInfo: { name: 'liar', version: '0' },
  };

  /** Behaves until it is asked for its tools, or to do something. */
  const lie = (reply: Reply): void => {
    server.answer = (response, { body, method }) => {
      if (method !== 'POST') return void response.writeHead(405).end();
      const call = JSON.parse(body) as Call;
      if (call.id === undefined) return void response.writeHead(202).end();
      const error = { jsonrpc: '2.0', id: call.id, error: { code: -32601, message: 'no such method' } };
      if (call.method === 'server/discover') {
        json(error)(response, { method, url: '', headers: {}, body });
        return;
      }
      if (call.method === 'initialize') {
        json({ jsonrpc: '2.0', id: call.id, result: initialized })(response, {
          method,
          url: '',
          headers: {},
          body,
        });
        return;
      }
      reply(call, response);
    };
  };
  const result =
    (value: unknown): Reply =>
    (call, response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ jsonrpc: '2.0', id: call.id, result: value }));
    };
  const small = { maxResultBytes: 1024, timeout: '1s' } as const;
  const deep = (levels: number): object =>
    levels === 0 ? {} : { type: 'object', properties: { a: deep(levels - 1) } };

  test.each<[string, unknown[], string[], number]>([
    [
      'schemas without end',
      [{ name: 'deep', inputSchema: deep(100) }],
      ['deep: its schema is nested more than 32 deep'],
      1,
    ],
    [
      'schemas that are huge',
      [{ name: 'huge', inputSchema: { type: 'object', description: 'x'.repeat(70_000) } }],
      ['huge: its schema is larger than 64 KiB'],
      1,
    ],
    [
      'one name twice',
      [{ name: 'good', inputSchema: { type: 'object' } }],
      ['good: there is another one of that name'],
      1,
    ],
    [
      'a name without end',
      [{ name: 'n'.repeat(1000), inputSchema: { type: 'object' } }],
      [`${'n'.repeat(128)}: its name is empty or longer than 128`],
      1,
    ],
  ])('has %s is heard as to the rest', async (_what, tools, leftOut, left) => {
    lie(result({ tools: [{ name: 'good', inputSchema: { type: 'object' } }, ...tools] }));
    const described = await bed.describe(toolAt(`${server.url}/mcp`));
    expect(described.operations).toHaveLength(left);
    expect(described.leftOut).toEqual(leftOut);
  });

  test('offers a thousand tools is heard as to the first 256', async () => {
    const tools = Array.from({ length: 1000 }, (_none, n) => ({ name: `t${n}`, inputSchema: { type: 'object' } }));
    lie(result({ tools }));
    const { operations, leftOut } = await bed.describe(toolAt(`${server.url}/mcp`));
    expect([operations.length, leftOut?.length]).toEqual([256, 256]);
  });

  test.each<[string, Reply, object]>([
    [
      'has a list of tools without end',
      (call, response) => result({ tools: [], nextCursor: String(call.id) })(call, response),
      { fault: 'tooLarge' },
    ],
    ['has a schema that is no object', result({ tools: [{ name: 'x', inputSchema: 'any' }] }), { fault: 'malformed' }],
    ['has no list of tools', result({}), { fault: 'malformed' }],
    [
      'answers with rubbish',
      (_call, response) => response.writeHead(200, { 'content-type': 'application/json' }).end('{'),
      { fault: 'malformed' },
    ],
    [
      'answers with a page',
      (_call, response) => response.writeHead(200, { 'content-type': 'text/html' }).end('<html>'),
      { fault: 'malformed' },
    ],
    ['fails', (_call, response) => response.writeHead(500).end('stack trace'), { fault: 'status', retry: true }],
    ['is busy', (_call, response) => response.writeHead(429).end(), { fault: 'rateLimited', retry: true }],
    ['wants another secret', (_call, response) => response.writeHead(401).end(), { fault: 'unauthorized' }],
    [
      'has moved',
      (_call, response) => response.writeHead(307, { location: 'http://169.254.169.254/' }).end(),
      { fault: 'misconfigured' },
    ],
    ['dies', (_call, response) => response.socket?.destroy(), { fault: 'unreachable', sent: true }],
    [
      'dies in the middle of a stream',
      (_call, response) => {
        response.writeHead(200, { 'content-type': 'text/event-stream' });
        response.write('event: message\ndata: {"jso', () => response.socket?.destroy());
      },
      { fault: 'unreachable', sent: true },
    ],
    [
      'ends a stream without an answer',
      (_call, response) => response.writeHead(200, { 'content-type': 'text/event-stream' }).end(': nothing\n\n'),
      {},
    ],
    ['never answers', () => undefined, { fault: 'timeout' }],
    [
      'sends 100 MB',
      (call, response) => {
        response.writeHead(200, { 'content-type': 'application/json' });
        response.write(`{"jsonrpc":"2.0","id":${call.id ?? 0},"result":{"tools":[],"x":"`);
        const more = () => {
          while (!response.destroyed && response.write('x'.repeat(65_536)));
        };
        response.on('drain', more);
        more();
      },
      { fault: 'tooLarge' },
    ],
    [
      'streams 100 MB',
      (_call, response) => {
        response.writeHead(200, { 'content-type': 'text/event-stream' });
        const more = () => {
          while (!response.destroyed && response.write(`data: ${'x'.repeat(65_536)}\n\n`));
        };
        response.on('drain', more);
        more();
      },
      { fault: 'tooLarge' },
    ],
  ])('%s is an error', async (_what, reply, fault) => {
    lie(reply);
    await expect(bed.describe(toolAt(`${server.url}/mcp`, small))).rejects.toMatchObject({
      name: 'ToolError',
      ...fault,
    });
    // Whatever a call comes to, it comes to an end.
    await bed.call(toolAt(`${server.url}/mcp`, small), {}, { operation: 'x' }).catch(() => undefined);
    // It is not held against the server for ever.
    lie(result({ content: [{ type: 'text', text: 'back' }], tools: [] }));
    expect(textOf(await bed.call(toolAt(`${server.url}/mcp`, small), {}, { operation: 'x' }))).toBe('back');
  });

  test('has a session is told when it is not needed any more', async () => {
    lie(result({ content: [{ type: 'text', text: 'done' }] }));
    const answer = server.answer;
    server.answer = (response, request) => answer(response.setHeader('mcp-session-id', 's-1'), request);
    const tool = (name: string) => makeTool({ mcp: { url: `${server.url}/mcp` } }, name);
    const ended = () =>
      server.received.filter(({ method }) => method === 'DELETE').map(({ headers }) => headers['mcp-session-id']);
    await bed.call(tool('one'), {}, { operation: 'x' });
    bed.clock.at += 300_000;
    await bed.call(tool('two'), {}, { operation: 'x' });
    await until(() => ended().length > 0);
    expect(ended()).toEqual(['s-1']);
  });

  test('hangs from the beginning is left, and asked anew once it is well', async () => {
    server.answer = () => undefined;
    await expect(bed.call(toolAt(`${server.url}/mcp`, small), {}, { operation: 'x' })).rejects.toMatchObject({
      fault: 'timeout',
    });
    lie(result({ content: [{ type: 'text', text: 'well' }] }));
    await untilAsync(async () => {
      const answer = await bed.call(toolAt(`${server.url}/mcp`, small), {}, { operation: 'x' }).catch(() => undefined);
      return answer !== undefined && textOf(answer) === 'well';
    });
  });

  test('is no server of the protocol at all is told from one that is', async () => {
    server.answer = (response) => response.writeHead(404).end('nothing here');
    await expect(bed.describe(toolAt(`${server.url}/mcp`))).rejects.toMatchObject({ fault: 'misconfigured' });
  });

  test('repeats the secret is not believed', async () => {
    lie(result({ content: [{ type: 'text', text: 'you said s3cr3t-token' }] }));
    const tool = toolAt(`${server.url}/mcp`, {}, { auth: { scheme: 'bearer', secretRef: tokenRef } });
    expect(textOf(await bed.call(tool, {}, { operation: 'x' }))).toBe('you said [redacted]');
  });
});
