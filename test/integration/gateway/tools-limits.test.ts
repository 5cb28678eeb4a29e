// What a Tool bears: calls at the same time, calls a minute, and a rest where it keeps failing.
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import type { ServerResponse } from 'node:http';
import { Registry } from 'prom-client';
import { until } from './bed.ts';
import { json, startToolBed, type ToolBed } from './tool-bed.ts';

let bed: ToolBed;
let registry: Registry;
let now: number;
beforeEach(async () => {
  registry = new Registry();
  now = Date.now();
  bed = await startToolBed({
    registry,
    clock: {
      now: () => now,
      after: (ms, then) => {
        const timer = setTimeout(then, ms);
        return () => clearTimeout(timer);
      },
    },
  });
});
afterEach(() => bed.close());

const limited = { status: 200, result: { isError: true, reason: 'RateLimited', trust: 'trusted' } };
const passed = { status: 200, result: { isError: false } };

test('of a hundred calls at once two get through where two are borne, and their places are free again', async () => {
  bed.tool('search', { limits: { concurrent: 2 } });
  const held: ServerResponse[] = [];
  bed.server.answer = (response) => held.push(response);
  const calls = Array.from({ length: 100 }, () => bed.call());
  const first = await Promise.race(calls);
  expect(first).toMatchObject(limited);
  expect(first.text).toBe('Tool search cannot be called just now: 2 calls are under way, as many as it bears.');
  await until(async () => (await countOf('limited')) === 98);
  for (const response of held) json(response, 'done');
  const replies = await Promise.all(calls);
  expect(replies.filter(({ result }) => !result.isError)).toHaveLength(2);
  expect(bed.server.asked).toHaveLength(2);
  bed.server.answer = (response) => json(response, 'done');
  expect(await bed.call()).toMatchObject(passed);
});

test('calls a minute are counted, for all agents together, and said when the next may be made', async () => {
  bed.tool('search', { limits: { callsPerMinute: 6 } });
  expect(await bed.call()).toMatchObject(passed);
  const reply = await bed.call();
  expect(reply).toMatchObject(limited);
  expect(reply.text).toContain('6 calls a minute are all that it bears; try again in 10 s');
  now += 10_000;
  expect(await bed.call()).toMatchObject(passed);
});

test('what a policy refuses uses nothing up', async () => {
  bed.tool('search', { limits: { callsPerMinute: 6 }, policy: { rules: [{ rule: 'args.fine' }] } });
  for (let left = 5; left > 0; left -= 1) await bed.call({ args: { fine: false } });
  expect(await bed.call({ args: { fine: true } })).toMatchObject(passed);
});

test('a limit that is raised holds at once', async () => {
  bed.tool('search', { limits: { callsPerMinute: 6 } });
  await bed.call();
  expect(await bed.call()).toMatchObject(limited);
  bed.tool('search');
  expect(await bed.call()).toMatchObject(passed);
});

test('a Tool that keeps failing is left alone for a while, then tried', async () => {
  bed.tool('search');
  bed.tool('other');
  bed.server.answer = (response, { path }) => json(response, 'x', path === '/search' ? 503 : 200);
  for (let left = 5; left > 0; left -= 1) {
    expect(await bed.call()).toMatchObject({ status: 200, result: { reason: 'ToolFailed' } });
  }
  const reply = await bed.call();
  expect(reply.text).toContain('has been failing since');
  expect(bed.server.asked).toHaveLength(5);
  expect(await bed.call({ name: 'other' })).toMatchObject(passed);
  bed.server.answer = (response) => json(response, 'well');
  now += 10_000;
  expect(await bed.call()).toMatchObject(passed);
});

test('a server that asks to slow down is passed on to the model, with when to come again', async () => {
  bed.tool('search');
  bed.server.answer = (response) => response.writeHead(429, { 'retry-after': '7' }).end();
  const reply = await bed.call();
  expect(reply.result).toMatchObject({ isError: true, reason: 'RateLimited' });
  expect(reply.text).toContain('Try again in 7 s.');
});

test('what is wrong with a call does not count against the Tool', async () => {
  bed.tool('search');
  bed.server.answer = (response) => json(response, 'there is no such thing', 404);
  for (let left = 8; left > 0; left -= 1) await bed.call();
  expect(bed.server.asked).toHaveLength(8);
});

test('all of it is counted by Tool and outcome; names that agents make up get no series', async () => {
  bed.tool('search', { policy: { rules: [{ rule: 'args.fine' }] } });
  await bed.call({ args: { fine: true }, call: 1 });
  await bed.call({ args: { fine: true }, call: 1 });
  await bed.call({ args: { fine: false } });
  await bed.call({ args: 'rubbish' });
  await bed.call({ name: 'made-up' });
  const text = await registry.metrics();
  for (const outcome of ['ok', 'refused', 'invalid']) {
    expect(text).toContain(`kadre_gateway_tool_calls_total{namespace="team-a",tool="search",outcome="${outcome}"} 1`);
  }
  expect(text).toContain('kadre_gateway_tool_calls_total{namespace="team-a",tool="",outcome="refused"} 1');
  expect(text).toContain('outcome="replayed"} 1');
  expect(text).toContain('kadre_gateway_tool_call_duration_seconds_count{namespace="team-a",tool="search"} 3');
  expect(text).not.toContain('made-up');
});

async function countOf(outcome: string): Promise<number> {
  const metric = await registry.getSingleMetric('kadre_gateway_tool_calls_total')?.get();
  return metric?.values.find(({ labels }) => labels['outcome'] === outcome)?.value ?? 0;
}
