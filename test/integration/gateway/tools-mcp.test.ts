// Servers of the Model Context Protocol behind the gateway's door: the reference server of 2025, and one of 2026.
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { attemptSpanId, runTraceId, type Span } from '@kadre/telemetry';
import { startEverything, startModern, type Modern, type Running } from '../tools/mcp-servers.ts';
import { step } from './bed.ts';
import { startToolBed, type ToolBed } from './tool-bed.ts';

let everything: Running;
let modern: Modern;
let bed: ToolBed;
const spans: Span[] = [];

beforeAll(async () => {
  [everything, modern] = await Promise.all([startEverything(), startModern()]);
  bed = await startToolBed({ spans: { sampled: () => true, add: (span) => spans.push(span) } });
  bed.tool('everything', { mcp: { url: everything.url }, allow: ['echo', 'get-*'], trust: 'untrusted' });
  bed.tool('modern', { mcp: { url: modern.url } });
});
afterAll(async () => {
  await bed.close();
  await Promise.all([everything.stop(), modern.stop()]);
});

test('what they offer is listed, as far as it is allowed', async () => {
  const { names, leftOut } = await bed.list();
  expect(names).toEqual(expect.arrayContaining(['everything__echo', 'everything__get-sum']));
  expect(names.filter((name) => name.startsWith('modern__'))).not.toEqual([]);
  expect(leftOut).toBeNull();
  expect(names.filter((name) => /^everything__(?!echo|get-)/.test(name))).toEqual([]);
});

test('a call gets there and back, and once more from the journal', async () => {
  const first = await bed.call({ name: 'everything__echo', args: { message: 'hi' }, call: 1 });
  expect(first).toMatchObject({ status: 200, text: 'Echo: hi', result: { isError: false, trust: 'untrusted' } });
  const again = await bed.call({ name: 'everything__echo', args: { message: 'hi' }, call: 1 });
  expect(again).toMatchObject({ replayed: true, result: first.result });
});

test('arguments are held to the schema that the server tells', async () => {
  const reply = await bed.call({ name: 'everything__get-sum', args: { a: 'one', b: 2 } });
  expect(reply.result).toMatchObject({ isError: true, reason: 'InvalidInput' });
  expect(reply.text).toContain('/a must be number');
});

test('images come through', async () => {
  const { result } = await bed.call({ name: 'everything__get-tiny-image' });
  expect(result.content).toContainEqual(expect.objectContaining({ type: 'image', mediaType: 'image/png' }));
});

test('what is there and not allowed is refused, whoever knows its name', async () => {
  const reply = await bed.call({ name: 'everything__toggle-simulated-logging' });
  expect(reply.result).toMatchObject({ isError: true, reason: 'ToolRefused' });
});

test('each call is a span in the trace of its run, and the tool is told which', async () => {
  spans.length = 0;
  const reply = await bed.call({ name: 'modern__add', args: { a: 1, b: 2 }, call: 7 });
  expect(reply.text).toBe('3');
  const traceId = runTraceId(step.run);
  expect(spans).toMatchObject([
    {
      name: 'execute_tool modern',
      traceId,
      parentSpanId: attemptSpanId(step.run, step.step, step.attempt),
      attributes: {
        'gen_ai.operation.name': 'execute_tool',
        'gen_ai.tool.name': 'modern',
        'kadre.agent': 'researcher',
      },
    },
  ]);
  expect(modern.calls.at(-1)).toMatchObject({ key: expect.stringMatching(/^[0-9a-f]{64}$/) });
  expect(modern.calls.at(-1)?.traceparent).toBe(`00-${traceId}-${spans[0]?.spanId}-01`);
});
