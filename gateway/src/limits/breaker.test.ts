import { describe, expect, test } from '@jest/globals';
import { callTimedOut, clientGone, GatewayError, invalidRequest, misconfigured, unavailable } from '../errors.ts';
import type { Outcome } from '../pipeline/hooks.ts';
import { ProviderError, type ProviderFault } from '../providers/provider.ts';
import { Breaker, verdictOf, type Verdict } from './breaker.ts';

const fault = (kind: ProviderFault): GatewayError => unavailable('no', undefined, new ProviderError(kind, 'no'));
const outcome = (more: Partial<Outcome>): Outcome => ({ status: 0, durationMs: 5, ...more });

test.each<[string, Partial<Outcome>, Verdict]>([
  ['an answer', { status: 200 }, 'answered'],
  ['a server that cannot be reached', { error: fault('unreachable'), durationMs: 0 }, 'failed'],
  ['a connection that breaks', { error: fault('interrupted'), status: 200, firstContentMs: 1 }, 'failed'],
  ['an answer that makes no sense', { error: fault('malformed') }, 'failed'],
  ['500', { error: fault('status'), status: 500 }, 'failed'],
  ['529', { error: fault('status'), status: 529 }, 'failed'],
  ['408', { error: fault('status'), status: 408 }, 'failed'],
  ['a call that takes too long to begin', { error: callTimedOut(600_000) }, 'failed'],
  ['a call that takes too long to end', { error: callTimedOut(600_000), status: 200, firstContentMs: 1 }, 'answered'],
  ['400', { error: invalidRequest('no'), status: 400 }, 'answered'],
  ['a bad key', { error: misconfigured('Unauthorized', 'no'), status: 401 }, 'answered'],
  ['429', { error: new GatewayError(429, 'RateLimited', 'no'), status: 429 }, 'answered'],
  ['a client that goes away', { error: clientGone() }, 'unknown'],
  ['a budget that refuses', { error: new GatewayError(403, 'BudgetExceeded', 'no'), durationMs: 0 }, 'unknown'],
  ['a ledger that is away', { error: unavailable('no'), durationMs: 0 }, 'unknown'],
  ['a missing Secret', { error: misconfigured('SecretNotFound', 'no'), durationMs: 0 }, 'unknown'],
])('%s tells about the provider', (_name, more, verdict) => {
  expect(verdictOf(outcome(more))).toBe(verdict);
});

describe('a breaker', () => {
  const good = outcome({ status: 200 });
  const bad = outcome({ status: 500, error: fault('status') });
  const middle = (): number => 0.5;
  const tripped = (now = 0, random = middle): Breaker => {
    const breaker = new Breaker(random);
    for (let call = 0; call < 5; call++) breaker.report('failed', bad, now);
    return breaker;
  };
  /** One call that tries, and what it finds. */
  const probe = (breaker: Breaker, verdict: Verdict, now: number): void => {
    const number = breaker.beginProbe();
    breaker.report(verdict, verdict === 'failed' ? bad : good, now, number);
  };

  test('stays closed while failures come one by one', () => {
    const breaker = new Breaker(middle);
    for (let call = 0; call < 100; call++) breaker.report(call % 5 < 2 ? 'failed' : 'answered', bad, call);
    expect(breaker.state(100)).toBe('closed');
  });

  test('opens after five failures one after the other, for about five seconds, and says since when and why', () => {
    const breaker = tripped(1_000);
    expect([breaker.state(5_999), breaker.state(6_000)]).toEqual(['open', 'halfOpen']);
    expect([breaker.since, breaker.until, breaker.why]).toEqual([1_000, 6_000, '5 calls failed one after the other']);
    expect([0, 1].map((luck) => tripped(0, () => luck).until)).toEqual([4_000, 6_000]);
  });

  test('opens when half of many calls fail', () => {
    const breaker = new Breaker(middle);
    for (let call = 0; call < 20; call++) breaker.report(call % 2 ? 'failed' : 'answered', bad, call);
    expect([breaker.state(20), breaker.why]).toEqual(['open', '10 of 20 calls failed']);
  });

  test('forgets what was long ago', () => {
    const breaker = new Breaker(middle);
    for (let call = 0; call < 60; call++) breaker.report(call % 2 ? 'failed' : 'answered', bad, call * 2_000);
    expect(breaker.closed).toBe(true);
  });

  test('what says nothing about the Model neither opens nor closes it', () => {
    const breaker = tripped();
    probe(breaker, 'unknown', 5_000);
    expect(breaker.state(5_000)).toBe('halfOpen');
    const other = new Breaker(middle);
    for (let call = 0; call < 100; call++) other.report('unknown', bad, 0);
    expect(other.closed).toBe(true);
  });

  test('half-open lets three calls try, and closes with the first that is answered', () => {
    const breaker = tripped();
    const numbers = [1, 2, 3].map(() => breaker.beginProbe());
    expect(breaker.probeFree).toBe(false);
    breaker.report('unknown', good, 5_000, numbers[0]);
    expect(breaker.probeFree).toBe(true);
    breaker.report('answered', good, 5_000, numbers[1]);
    expect(breaker.closed).toBe(true);
    // It was asked before the breaker closed.
    breaker.report('failed', bad, 5_000, numbers[2]);
    for (let call = 0; call < 4; call++) breaker.report('failed', bad, 5_000);
    expect(breaker.closed).toBe(true);
  });

  test('half-open opens again with the first that fails, for twice as long each time, up to two minutes', () => {
    const breaker = tripped();
    const rests = [];
    for (let now = breaker.until; rests.length < 7; now = breaker.until) {
      probe(breaker, 'failed', now);
      rests.push(breaker.until - now);
    }
    expect(rests).toEqual([10, 20, 40, 80, 120, 120, 120].map((seconds) => seconds * 1000));
    expect([breaker.since, breaker.probeFree]).toEqual([0, true]);
  });

  test('begins with a short rest again only when the Model was well for a while', () => {
    const breaker = tripped();
    const again = (now: number): number => {
      for (let call = 0; call < 5; call++) breaker.report('failed', bad, now);
      return breaker.until - now;
    };
    probe(breaker, 'answered', 10_000);
    expect(again(20_000)).toBe(10_000);
    probe(breaker, 'answered', 40_000);
    expect(again(400_000)).toBe(5_000);
  });

  test('calls from before it opened change nothing any more', () => {
    const breaker = tripped();
    breaker.report('answered', good, 1);
    breaker.report('failed', bad, 2);
    expect([breaker.state(2), breaker.until]).toEqual(['open', 5_000]);
  });

  test('waits for as long as the provider asks, within reason', () => {
    const patient = new Breaker(middle);
    for (let call = 0; call < 5; call++) patient.report('failed', { ...bad, retryAfterMs: 30_000 }, 0);
    expect(patient.until).toBe(30_000);
    patient.report('failed', { ...bad, retryAfterMs: 86_400_000 }, 30_000, patient.beginProbe());
    expect(patient.until).toBe(150_000);
  });
});
