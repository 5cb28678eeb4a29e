// What a Model bears, seen by those who call it.
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { kinds, type Model, type ModelSpec } from '@kadre/crds';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Registry } from 'prom-client';
import { parse } from 'yaml';
import { failure, NAMESPACE, startBed, until, user, type Bed } from './bed.ts';
import { startHeldProvider, type HeldProvider } from './held-provider.ts';

let bed: Bed;
let provider: HeldProvider;
let registry: Registry;
/** Milliseconds that the gateway's clock is ahead. */
let ahead: number;
/** What it shows if it stands still. */
let frozen: number | undefined;

beforeEach(async () => {
  ahead = 0;
  frozen = undefined;
  registry = new Registry();
  provider = await startHeldProvider();
  const clock = {
    now: () => frozen ?? Date.now() + ahead,
    after: (ms: number, callback: () => void) => {
      const timer = setTimeout(callback, ms);
      return () => clearTimeout(timer);
    },
  };
  bed = await startBed({ registry, clock });
  const identity = { namespace: NAMESPACE, serviceAccount: 'agent-modest', uid: 'sa-2' };
  bed.tokens.set('token-modest', identity);
});
afterEach(async () => {
  await bed.close();
  await provider.close();
});

const limitTo = (limits: ModelSpec['limits']): void =>
  bed.model('m', {
    provider: 'openaiCompatible',
    model: 'm',
    baseUrl: provider.url,
    ...(limits && { limits }),
  });
const ask = (prompt: string, { token = 'token-a', ...options }: { token?: string; signal?: AbortSignal } = {}) =>
  bed.client(token).chat.completions.create({ model: 'm', messages: user(prompt) }, options);
const gauge = async (name: string): Promise<number | undefined> => {
  const metric = await registry.getSingleMetric(`kadre_gateway_${name}`)?.get();
  return metric?.values[0]?.value;
};
const waiting = (count: number): Promise<void> => until(async () => (await gauge('queue_length')) === count);

describe('concurrent calls', () => {
  test('no more than the limit reach the provider, and a modest agent does not wait for all calls of a greedy one', async () => {
    limitTo({ concurrent: 1 });
    const calls = [ask('g0')];
    await until(() => provider.held().length === 1);
    for (let call = 1; call < 6; call++) {
      calls.push(ask(`g${call}`));
      await waiting(call);
    }
    calls.push(ask('modest', { token: 'token-modest' }));
    await waiting(6);
    for (let answered = 1; answered <= calls.length; answered++) {
      await until(() => provider.asked.length === answered);
      expect(provider.held()).toHaveLength(1);
      provider.answer();
    }
    await Promise.all(calls);
    expect(provider.asked).toEqual(['g0', 'g1', 'modest', 'g2', 'g3', 'g4', 'g5']);
    expect(bed.lines().every(({ status }) => status === 200)).toBe(true);
  });

  test('whoever goes away, waiting or answered, leaves the place to the next', async () => {
    limitTo({ concurrent: 1 });
    const [answered, waits] = [new AbortController(), new AbortController()];
    const gone: Promise<unknown>[] = [ask('first', { signal: answered.signal }).catch(() => 'gone')];
    await until(() => provider.held().length === 1);
    gone.push(ask('second', { signal: waits.signal }).catch(() => 'gone'));
    await waiting(1);
    const third = ask('third');
    await waiting(2);
    waits.abort();
    await waiting(1);
    answered.abort();
    await until(() => provider.held()[0] === 'third');
    provider.answer();
    await third;
    expect(await Promise.all(gone)).toEqual(['gone', 'gone']);
    expect(provider.asked).toEqual(['first', 'third']);
  });

  test('a limit that is raised lets those go who wait already', async () => {
    limitTo({ concurrent: 1 });
    const calls = [ask('one'), ask('two')];
    await waiting(1);
    limitTo({ concurrent: 2 });
    await until(() => provider.held().length === 2);
    provider.answer();
    provider.answer();
    await Promise.all(calls);
  });
});

describe('rates', () => {
  test('whoever would wait too long gets a 429 that says when to come, and the official client comes then', async () => {
    limitTo({ requestsPerMinute: 60, maxWait: '1ms' });
    provider.always(200);
    await Promise.all(Array.from({ length: 10 }, (_, call) => ask(`${call}`)));
    const error = await failure(ask('too much'));
    expect([error.status, error.code, error.headers?.get('retry-after')]).toEqual([429, 'RateLimited', '1']);
    expect(error.message).toContain('its limit of 60 requests a minute is reached');
    const patient = bed.client().withOptions({ maxRetries: 2 });
    await patient.chat.completions.create({ model: 'm', messages: user('patient') });
    expect(provider.asked).toHaveLength(11);
    expect(await gauge('limited_total')).toBeGreaterThanOrEqual(1);
  });

  test('tokens that calls use count, so that the next one waits', async () => {
    bed.model('m', {
      limits: { tokensPerMinute: 6_000, maxWait: '1ms' },
      simulated: { script: [{ reply: 'ok', usage: { inputTokens: 4_000, outputTokens: 1_000 } }] },
    });
    await ask('a');
    const error = await failure(ask('b'));
    expect([error.status, error.message]).toEqual([429, expect.stringContaining('6000 tokens a minute')]);
    const seconds = Number(error.headers?.get('retry-after'));
    expect(seconds).toBeGreaterThan(40);
    ahead = seconds * 1000;
    await ask('c');
  });

  test('a provider that asks to wait is not asked until then', async () => {
    limitTo(undefined);
    const first = failure(ask('a'));
    await until(() => provider.held().length === 1);
    provider.answer(429, { 'retry-after': '20' });
    expect((await first).status).toBe(429);
    const waits = ask('b', { signal: AbortSignal.timeout(60_000) });
    await waiting(1);
    expect(provider.asked).toEqual(['a']);
    ahead = 20_000;
    await until(() => provider.held().length === 1);
    provider.answer();
    await waits;
  });
});

describe('a provider that fails', () => {
  test('is left alone, tried again, left alone for longer, and asked as before once it is well', async () => {
    limitTo(undefined);
    provider.always(500);
    for (let call = 0; call < 5; call++) expect((await failure(ask(`${call}`))).message).toContain('answered 500');
    expect(await gauge('breaker_state')).toBe(2);
    const refused = await failure(ask('refused'));
    expect([refused.status, refused.code]).toEqual([503, 'ModelUnavailable']);
    expect(refused.message).toMatch(
      /Model m has been failing since .*: 5 calls failed one after the other. It is tried again in \d+ s/,
    );
    expect(Number(refused.headers?.get('retry-after'))).toBeLessThanOrEqual(6);
    expect(provider.asked).toHaveLength(5);

    ahead += 6_000;
    expect(await gauge('breaker_state')).toBe(1);
    expect((await failure(ask('still ill'))).message).toContain('answered 500');
    expect(Number((await failure(ask('refused'))).headers?.get('retry-after'))).toBeGreaterThan(6);
    expect(provider.asked).toHaveLength(6);

    ahead += 12_000;
    provider.always(200);
    await ask('well');
    expect(await gauge('breaker_state')).toBe(0);
    await Promise.all([ask('a'), ask('b'), ask('c'), ask('d'), ask('e')]);
  });

  test('is not taken for one that only refuses: a bad key is told to each caller', async () => {
    limitTo(undefined);
    provider.always(401);
    for (let call = 0; call < 8; call++) expect((await failure(ask(`${call}`))).status).toBe(424);
    expect(await gauge('breaker_state')).toBe(0);
  });

  test('may as well be simulated', async () => {
    bed.model('m', {
      simulated: { script: [{ error: { status: 503, times: 5 } }, { reply: 'well again' }] },
    });
    for (let call = 0; call < 6; call++) expect((await failure(ask('x'))).status).toBe(503);
    ahead += 6_000;
    expect((await ask('x')).choices[0]?.message.content).toBe('well again');
  });
});

test.each<[string, ModelSpec['limits'], number]>([
  ['is at its limit', { requestsPerMinute: 1 }, 1],
  ['has an open breaker', undefined, 5],
])('a route does not wait for a Model that %s: another one answers', async (_name, limits, calls) => {
  limitTo(limits);
  provider.always(500);
  for (let call = 0; call < calls; call++) await failure(ask(`${call}`));
  bed.model('other', { simulated: { script: [{ reply: 'here I am' }] } });
  bed.model('any', { route: { strategy: 'priority', candidates: [{ model: 'm' }, { model: 'other' }] } });
  const { choices } = await bed.client().chat.completions.create({ model: 'any', messages: user('x') });
  expect(choices[0]?.message.content).toBe('here I am');
  expect(provider.asked).toHaveLength(calls);
});

describe('the manual', () => {
  const read = async () => {
    const page = await readFile(join(import.meta.dirname, '..', '..', '..', 'docs', 'models-limits.md'), 'utf8');
    const [, manifest = ''] = /```yaml\n([^]*?)```/.exec(page) ?? [];
    const model = parse(manifest) as Model;
    kinds.Model.spec.parse(model.spec);
    frozen = Date.parse('2026-11-21T12:00:00Z');
    provider.always(200);
    const { limits } = model.spec;
    bed.model('smart', { provider: 'openaiCompatible', model: 'm', baseUrl: provider.url, ...(limits && { limits }) });
    const askIt = (signal?: AbortSignal) =>
      bed.client().chat.completions.create({ model: 'smart', messages: user('x') }, signal && { signal });
    return { page, askIt };
  };

  test('shows what whoever comes too often is told', async () => {
    const { page, askIt } = await read();
    for (let call = 0; call < 10; call++) await askIt();
    const leave = new AbortController();
    const waits = Array.from({ length: 20 }, () => askIt(leave.signal).catch(() => 'left'));
    await waiting(20);
    const { headers, status, code, message } = await failure(askIt());
    expect(page).toContain(`${status} ${code}, retry-after: ${headers?.get('retry-after')}\n${message.slice(4)}\n`);
    leave.abort();
    await Promise.all(waits);
  });

  test('shows what is said of a Model that fails', async () => {
    const { page, askIt } = await read();
    provider.always(503);
    for (let call = 0; call < 5; call++) await failure(askIt());
    const { headers, status, code, message } = await failure(askIt());
    const told = `${status} ${code}, retry-after: ${headers?.get('retry-after')}\n${message.slice(4)}\n`;
    // Luck makes it four to six seconds.
    expect(page).toContain(told.replace(/retry-after: [456]/, 'retry-after: 5').replace(/in [456] s/, 'in 5 s'));
  });
});
