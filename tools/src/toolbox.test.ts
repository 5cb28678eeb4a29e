import type { ToolSpec } from '@kadre/crds';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { makeBed, makeTool, startServer, tokenRef, type Bed, type TestServer } from './testing/bed.ts';

let bed: Bed;
let server: TestServer;
beforeEach(async () => {
  bed = makeBed();
  server = await startServer();
});
afterEach(() => Promise.all([bed.toolbox.close(), server.close()]));

const calculator = makeTool({ builtin: { calculator: {} } });
const endpoint = (spec: Partial<ToolSpec> = {}) =>
  makeTool({
    description: 'x',
    http: { method: 'GET', url: server.url, input: { schema: {} }, auth: { scheme: 'bearer', secretRef: tokenRef } },
    ...spec,
  });

describe('the calculator', () => {
  test('says what it takes', async () => {
    expect((await bed.describe(calculator)).operations).toMatchObject([
      { description: expect.stringMatching(/^Computes exactly/), inputSchema: { required: ['expression'] } },
    ]);
  });

  test.each([
    [{ expression: '2394.50 * 1.081' }, { isError: false, content: [{ type: 'text', text: '2588.4545' }] }],
    [{ expression: '1 +' }, { isError: true, content: [{ type: 'text', text: 'At the end: a number is expected.' }] }],
    [{ expression: 7 }, { isError: true }],
    [{ expression: '1'.repeat(2001) }, { isError: true }],
    [{}, { isError: true }],
  ])('is asked %j', async (args, answer) => {
    expect(await bed.call(calculator, args)).toMatchObject(answer);
  });
});

test('a Tool of a kind that is not known here is told', async () => {
  for (const spec of [{}, { builtin: {} }]) {
    await expect(bed.call(makeTool(spec))).rejects.toMatchObject({ fault: 'misconfigured', sent: false });
  }
});

test('a Secret that cannot be read now may be read later, and nothing was sent', async () => {
  const call = bed.toolbox.call(endpoint(), () => Promise.reject(new Error('ECONNREFUSED 10.96.0.1')), {
    args: {},
    idempotencyKey: 'k',
    signal: new AbortController().signal,
    headers: {},
  });
  const fault = { fault: 'misconfigured', retry: true, sent: false, message: 'The Secret keys cannot be read now.' };
  await expect(call).rejects.toMatchObject(fault);
  expect(server.received).toEqual([]);
});

test('a call that is over before it began is not made', async () => {
  await expect(bed.call(endpoint(), {}, { signal: AbortSignal.abort(new Error('over')) })).rejects.toThrow('over');
  expect(server.received).toEqual([]);
});

test('an answer of just the size that is taken is taken, an image by its own size', async () => {
  server.answer = (response) => response.writeHead(200, { 'content-type': 'image/png' }).end(Buffer.alloc(1024));
  expect(await bed.call(endpoint({ maxResultBytes: 1024 }))).toMatchObject({ isError: false });
  await expect(bed.call(endpoint({ maxResultBytes: 1023 }))).rejects.toMatchObject({ fault: 'tooLarge' });
});

test('what was begun ends with the toolbox', async () => {
  server.answer = () => undefined;
  const call = bed.call(endpoint()).catch((error: unknown) => error);
  while (server.received.length === 0) await new Promise((resolve) => setImmediate(resolve));
  await bed.toolbox.close();
  expect(await call).toMatchObject({ fault: 'unreachable', sent: true });
});
