import { describe, expect, test } from '@jest/globals';
import type { ModelSpec } from '@kadre/crds';
import { Registry } from 'prom-client';
import { GatewayError, unavailable } from '../errors.ts';
import type { Outcome } from '../pipeline/hooks.ts';
import { ProviderError } from '../providers/provider.ts';
import { answered, setUp } from './testing/calls.ts';

const broken: Outcome = {
  status: 500,
  durationMs: 5,
  error: unavailable('no', undefined, new ProviderError('status', 'no', { status: 500 })),
};
const tooMany = (retryAfterMs: number): Outcome => ({
  status: 429,
  durationMs: 5,
  retryAfterMs,
  error: new GatewayError(429, 'RateLimited', 'no'),
});

describe('a Model without limits', () => {
  test('lets everybody go at once, without a timer and without a lease of one’s own', () => {
    const { call, clock } = setUp(undefined);
    const calls = Array.from({ length: 100 }, () => call('a'));
    expect(new Set(calls.map(({ lease }) => lease)).size).toBe(1);
    expect(calls[0]?.lease).toBeDefined();
    expect(clock.timers).toBe(0);
  });

  test('whose provider asks to wait is left alone until then; whoever can wait does', async () => {
    const { call, clock } = setUp(undefined);
    call('a').lease?.release(tooMany(12_000));
    const waits = call('a');
    expect(call('a', { patienceMs: 11_000 }).error).toMatchObject({
      status: 429,
      code: 'RateLimited',
      retryAfter: '12',
    });
    await clock.pass(11_999);
    expect(waits.lease).toBeUndefined();
    await clock.pass(1);
    expect(waits.lease).toBeDefined();
    expect(call('a').lease).toBeDefined();
  });

  test('whose provider asks to wait for a day is asked again after five minutes', async () => {
    const { call, clock } = setUp(undefined);
    call('a').lease?.release(tooMany(86_400_000));
    expect(call('a').error).toMatchObject({ retryAfter: '300' });
    await clock.pass(300_000);
    expect(call('a').lease).toBeDefined();
  });
});

describe('requests a minute', () => {
  test('those beyond it wait for their turn, and whoever would wait too long is told when to come', async () => {
    const { call, clock } = setUp({ requestsPerMinute: 6, maxWait: '25s' });
    const [first, second, third, fourth] = [call('a'), call('a'), call('a'), call('a')];
    expect(first.lease).toBeDefined();
    expect(fourth.error).toMatchObject({ status: 429, code: 'RateLimited', retryAfter: '30', retry: true });
    expect(String(fourth.error)).toBe(
      'GatewayError: Model m: its limit of 6 requests a minute is reached, and this call can wait for 25 s. Raise spec.limits of the Model, or try again in 30 s.',
    );
    await clock.pass(10_000);
    expect([second.lease !== undefined, third.lease]).toEqual([true, undefined]);
    await clock.pass(10_000);
    expect(third.lease).toBeDefined();
    await clock.pass(10_000);
    expect(call('a').lease).toBeDefined();
  });

  test('an attempt that was never sent is given back', () => {
    const { call } = setUp({ requestsPerMinute: 6 });
    call('a').lease?.release({ status: 0, durationMs: 0, error: new GatewayError(403, 'BudgetExceeded', 'no') });
    expect(call('a').lease).toBeDefined();
  });
});

describe('tokens a minute', () => {
  test('are taken by estimate, and set right by what the call really used', async () => {
    const { call, clock } = setUp({ tokensPerMinute: 60_000 });
    const first = call('a', { inputTokens: 1_000, maxOutputTokens: 9_000 });
    first.lease?.release(answered(1_000, 9_000));
    const second = call('a', { inputTokens: 8_000, maxOutputTokens: 0 });
    await clock.pass(7_999);
    expect(second.lease).toBeUndefined();
    await clock.pass(1);
    expect(second.lease).toBeDefined();
  });

  test('a call that did nothing at the provider costs none', () => {
    const { call } = setUp({ tokensPerMinute: 6_000 });
    call('a', { inputTokens: 1_000, maxOutputTokens: 0 }).lease?.release(broken);
    expect(call('a', { inputTokens: 1_000, maxOutputTokens: 0 }).lease).toBeDefined();
  });

  test('a call that is larger than all that there is goes when everything is there', async () => {
    const { call, clock } = setUp({ tokensPerMinute: 6_000 });
    call('a', { inputTokens: 500, maxOutputTokens: 0 });
    const large = call('a', { inputTokens: 100_000 });
    await clock.pass(5_000);
    expect(large.lease).toBeDefined();
    expect(call('a', { inputTokens: 1, maxOutputTokens: 0 }).error).toMatchObject({ retryAfter: '61' });
  });

  test('long answers teach to take more', async () => {
    const { call, clock } = setUp({ tokensPerMinute: 600_000 });
    for (let turn = 0; turn < 50; turn++) {
      call('a', { inputTokens: 10 }).lease?.release(answered(10, 20_000));
      await clock.pass(10_000);
    }
    for (let turn = 0; turn < 5; turn++) expect(call('a', { inputTokens: 10 }).lease).toBeDefined();
    expect(call('a', { inputTokens: 10 }).lease).toBeUndefined();
  });
});

describe('concurrent calls', () => {
  test('a modest agent has its turn after one call of a greedy one', async () => {
    const { call, clock } = setUp({ concurrent: 1 });
    const greedy = Array.from({ length: 20 }, () => call('greedy'));
    const modest = call('modest');
    greedy[0]?.lease?.release(answered());
    await clock.pass(0);
    greedy[1]?.lease?.release(answered());
    await clock.pass(0);
    expect([modest.lease !== undefined, greedy[2]?.lease]).toEqual([true, undefined]);
  });

  test('a lease that is released twice is one place', () => {
    const { call } = setUp({ concurrent: 2 });
    const lease = call('a').lease;
    call('a');
    lease?.release(answered());
    lease?.release(answered());
    expect([call('a').lease !== undefined, call('a').lease]).toEqual([true, undefined]);
  });

  test('whoever goes away leaves the queue at once', async () => {
    const { call, clock } = setUp({ concurrent: 1 });
    const first = call('a');
    const [gone, next] = [call('a'), call('a')];
    const reason = new GatewayError(499, 'Cancelled', 'gone');
    gone.abort(reason);
    await clock.pass(0);
    expect(gone.error).toBe(reason);
    first.lease?.release(answered());
    await clock.pass(0);
    expect(next.lease).toBeDefined();
    expect(clock.timers).toBe(0);
  });

  test.each<[string, object, number]>([
    ['as long as the Model says', {}, 30_000],
    ['as long as its place in a plan says', { patienceMs: 700 }, 700],
    ['as long as the client itself waits for the answer', { headers: { 'x-stainless-timeout': '4' } }, 4_000],
    ['as long as the call may take', { startedMsAgo: 599_000 }, 1_000],
  ])('a call waits %s', async (_name, more, ms) => {
    const { call, clock } = setUp({ concurrent: 1 });
    call('a');
    const waits = call('b', more);
    await clock.pass(ms - 1);
    expect(waits.error).toBeUndefined();
    await clock.pass(1);
    expect(waits.error).toMatchObject({ status: 429, code: 'RateLimited' });
    expect(clock.timers).toBe(0);
  });

  test('whoever cannot wait is refused at once, with a guess by how long calls take', () => {
    const { call } = setUp({ concurrent: 1 });
    for (let turn = 0; turn < 100; turn++) call('a').lease?.release(answered(1, 1, 7_000));
    call('a');
    call('a');
    expect(call('b', { patienceMs: 0 }).error).toMatchObject({ status: 429, retryAfter: '14' });
  });

  test('one agent does not take all the room that there is for waiting', async () => {
    const { call, clock } = setUp({ concurrent: 1 });
    const calls = Array.from({ length: 257 }, () => call('greedy'));
    const { error } = call('greedy');
    expect(error).toMatchObject({ status: 429, code: 'RateLimited' });
    expect(String(error)).toContain('too many calls wait');
    const modest = call('modest');
    calls[0]?.lease?.release(answered());
    await clock.pass(0);
    const another = call('greedy');
    expect([modest.error, another.error]).toEqual([undefined, undefined]);
  });

  test('beyond ten thousand nobody waits', () => {
    const { call } = setUp({ concurrent: 1 });
    for (let turn = 0; turn <= 10_000; turn++) expect(call(`a${turn % 70}`).error).toBeUndefined();
    expect(call('new').error).toMatchObject({ status: 429, code: 'RateLimited' });
  });
});

describe('a Model that fails', () => {
  test('is left alone; whoever waits is told at once, and whoever comes too', async () => {
    const { call, clock } = setUp({ concurrent: 5 });
    const first = Array.from({ length: 5 }, () => call('a'));
    const next = Array.from({ length: 6 }, () => call('a'));
    for (const { lease } of first) lease?.release(broken);
    await clock.pass(0);
    const told = { status: 503, code: 'ModelUnavailable', retryAfter: '5', retry: true };
    expect([next[5]?.error, call('b').error]).toMatchObject([told, told]);
    expect(String(call('b').error)).toBe(
      'GatewayError: Model m has been failing since 1970-01-01T00:16:40Z: 5 calls failed one after the other. It is tried again in 5 s.',
    );
    expect(clock.timers).toBe(0);
  });

  test('is tried by three; the others wait for what they find', async () => {
    const { call, clock, limiter, model } = setUp(undefined);
    for (let turn = 0; turn < 5; turn++) call('a').lease?.release(broken);
    expect(limiter.available(model())).toBe('open');
    await clock.pass(5_000);
    expect(limiter.available(model())).toBe('yes');
    const probes = [call('a'), call('a'), call('a')];
    expect(probes.every(({ lease }) => lease !== undefined)).toBe(true);
    expect(limiter.available(model())).toBe('busy');
    const waits = call('b');
    expect(call('c', { patienceMs: 0 }).error).toMatchObject({ status: 503, code: 'ModelUnavailable' });
    probes[0]?.lease?.release(broken);
    await clock.pass(0);
    expect(waits.error).toMatchObject({ status: 503, retryAfter: '10' });
    await clock.pass(10_000);
    const again = call('a');
    call('a');
    call('a');
    const other = call('b');
    again.lease?.release(answered());
    await clock.pass(0);
    expect(other.lease).toBeDefined();
    expect(limiter.available(model())).toBe('yes');
  });
});

describe('what changes', () => {
  test('limits that are raised help those who wait already', async () => {
    const { call, clock, change } = setUp({ requestsPerMinute: 1, maxWait: '5m' });
    call('a');
    const waits = call('a');
    await clock.pass(5_000);
    change({ requestsPerMinute: 600 });
    await clock.pass(1_100);
    expect(waits.lease).toBeDefined();
  });

  test('limits that are taken away leave nobody waiting', async () => {
    const { call, clock, change } = setUp({ concurrent: 1 });
    call('a');
    const waits = call('a');
    change(undefined);
    await clock.pass(1_000);
    expect(waits.lease).toBeDefined();
    expect(call('a').lease).toBeDefined();
  });

  test('an older version of a Model that comes late changes nothing', () => {
    const { call, change, model } = setUp({ concurrent: 1 });
    const old = model();
    change({ concurrent: 2 });
    call('a');
    expect(call('a', { model: { ...old } }).lease).toBeDefined();
  });

  test('a Model that was made anew is another one', () => {
    const { call, change } = setUp({ concurrent: 1 });
    call('a');
    change({ concurrent: 1 }, 'another-uid');
    expect(call('a').lease).toBeDefined();
  });

  test.each<[ModelSpec['limits'], number[]]>([
    [{ concurrent: 5 }, [2, 2, 1]],
    [{ concurrent: 2 }, [1, 1, 1]],
    [{ requestsPerMinute: 180 }, [10, 10, 10]],
  ])('gateways share %j', (limits, each) => {
    const admitted = [0, 1, 2].map((rank) => {
      const { call, share } = setUp(limits);
      share.now = { rank, of: 3 };
      return Array.from({ length: 20 }, () => call('a')).filter(({ lease }) => lease !== undefined).length;
    });
    expect(admitted).toEqual(each);
  });

  test('the share of a gateway that died goes to those who wait at the others', async () => {
    const { call, clock, share } = setUp({ concurrent: 2 });
    share.now = { rank: 0, of: 2 };
    call('a');
    const waits = call('a');
    share.now = { rank: 0, of: 1 };
    await clock.pass(1_000);
    expect(waits.lease).toBeDefined();
  });
});

test('metrics tell of queues, waits, breakers and refusals', async () => {
  const registry = new Registry();
  const { call, clock, remove } = setUp({ concurrent: 1 }, registry);
  const first = call('a');
  const second = call('a');
  call('a', { patienceMs: 0 });
  const before = await registry.metrics();
  expect(before).toContain('kadre_gateway_queue_length{namespace="n",model="m"} 1');
  expect(before).toContain('kadre_gateway_breaker_state{namespace="n",model="m"} 0');
  expect(before).toContain('kadre_gateway_limited_total{namespace="n",model="m",reason="concurrent"} 1');
  await clock.pass(3_000);
  first.lease?.release(answered());
  await clock.pass(0);
  const after = await registry.metrics();
  expect(after).toContain('kadre_gateway_queue_length{namespace="n",model="m"} 0');
  expect(after).toContain('kadre_gateway_queue_wait_seconds_sum{namespace="n",model="m"} 3');
  remove();
  expect(await registry.metrics()).toContain('kadre_gateway_queue_length{');
  second.lease?.release(answered());
  expect(await registry.metrics()).not.toContain('kadre_gateway_queue_length{');
});
