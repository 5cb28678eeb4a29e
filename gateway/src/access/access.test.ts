import { describe, expect, jest, test } from '@jest/globals';
import type { ProviderModel } from '@kadre/crds';
import type { Clock, Identity } from '../options.ts';
import { isPodOf } from '../steps.ts';
import { agentOf } from './caller.ts';
import { createKeys } from './secrets.ts';
import { createIdentify } from './service-accounts.ts';

const identity: Identity = { namespace: 'team-a', serviceAccount: 'agent-writer', uid: 'u1' };
const jwt = (claims: object): string => `x.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.x`;

function clockAt(start: number): Clock & { advance(ms: number): void } {
  let now = start;
  return { now: () => now, after: () => () => undefined, advance: (ms) => void (now += ms) };
}

describe('what is known of a token', () => {
  test('is asked for once a minute, however many calls come at once', async () => {
    const clock = clockAt(0);
    const authenticate = jest.fn(() => Promise.resolve(identity));
    const identify = createIdentify(authenticate, clock);
    await Promise.all(Array.from({ length: 50 }, () => identify('Bearer t')));
    clock.advance(59_999);
    await identify('Bearer t');
    expect(authenticate).toHaveBeenCalledTimes(1);
    clock.advance(1);
    await identify('Bearer t');
    expect(authenticate).toHaveBeenCalledTimes(2);
  });

  test('is forgotten when the token itself is over', async () => {
    const clock = clockAt(0);
    const authenticate = jest.fn(() => Promise.resolve(identity));
    const identify = createIdentify(authenticate, clock);
    const token = `Bearer ${jwt({ exp: 10 })}`;
    await identify(token);
    clock.advance(10_000);
    await identify(token);
    expect(authenticate).toHaveBeenCalledTimes(2);
  });

  test('is asked for again soon if the answer was no', async () => {
    const clock = clockAt(0);
    const answers = [undefined, identity];
    const identify = createIdentify(() => Promise.resolve(answers.shift()), clock);
    await expect(identify('Bearer t')).rejects.toMatchObject({ status: 401 });
    await expect(identify('Bearer t')).rejects.toMatchObject({ status: 401 });
    clock.advance(5_000);
    await expect(identify('Bearer t')).resolves.toEqual(identity);
  });

  test('is not remembered if there was no answer', async () => {
    let down = true;
    const identify = createIdentify(
      () => (down ? Promise.reject(new Error('down')) : Promise.resolve(identity)),
      clockAt(0),
    );
    await expect(identify('Bearer t')).rejects.toMatchObject({ status: 503, retryAfter: '1' });
    down = false;
    await expect(identify('Bearer t')).resolves.toEqual(identity);
  });

  test('is bounded: the oldest is asked for again after ten thousand others', async () => {
    const authenticate = jest.fn(() => Promise.resolve(identity));
    const identify = createIdentify(authenticate, clockAt(0));
    for (let index = 0; index <= 10_000; index += 1) await identify(`Bearer t${index}`);
    await identify('Bearer t10000');
    expect(authenticate).toHaveBeenCalledTimes(10_001);
    await identify('Bearer t0');
    expect(authenticate).toHaveBeenCalledTimes(10_002);
  });
});

describe('the API key of a Model', () => {
  const model = {
    metadata: { name: 'm', namespace: 'team-a' },
    spec: { provider: 'openai', auth: { secretRef: { name: 'llm', key: 'k' } } },
  } as ProviderModel;

  test('is read once in half a minute, and at once when asked to', async () => {
    const clock = clockAt(0);
    const read = jest.fn(() => Promise.resolve({ k: `key ${read.mock.calls.length}`.replace(' ', '-') }));
    const keys = createKeys({ read }, clock);
    expect(await Promise.all([keys.of(model), keys.of(model)])).toEqual(['key-1', 'key-1']);
    clock.advance(29_999);
    expect(await keys.of(model)).toBe('key-1');
    expect(await keys.of(model, true)).toBe('key-2');
    clock.advance(30_000);
    expect(await keys.of(model)).toBe('key-3');
  });

  test('is found soon after its Secret was made', async () => {
    const clock = clockAt(0);
    const secrets = new Map<string, Record<string, string>>();
    const keys = createKeys({ read: (_namespace, name) => Promise.resolve(secrets.get(name)) }, clock);
    await expect(keys.of(model)).rejects.toMatchObject({ code: 'SecretNotFound' });
    secrets.set('llm', { k: 'made' });
    clock.advance(2_000);
    expect(await keys.of(model)).toBe('made');
  });

  test('is not taken for missing when the API server does not answer', async () => {
    const keys = createKeys({ read: () => Promise.reject(new Error('down')) }, clockAt(0));
    await expect(keys.of(model)).rejects.toMatchObject({ status: 503, code: 'InternalError' });
  });

  test("is needed by a provider at its usual address, not by a server of one's own", async () => {
    const keys = createKeys({ read: () => Promise.reject(new Error('unused')) }, clockAt(0));
    const keyless = (spec: object): ProviderModel => ({ metadata: model.metadata, spec }) as ProviderModel;
    await expect(keys.of(keyless({ provider: 'openai' }))).rejects.toMatchObject({ code: 'SecretNotFound' });
    expect(await keys.of(keyless({ provider: 'openaiCompatible', baseUrl: 'http://vllm/v1' }))).toBeUndefined();
  });
});

test.each([
  ['agent-writer', 'writer'],
  ['agent-agent-x', 'agent-x'],
  ['data-access', 'data-access'],
  ['agent-', 'agent-'],
])('the agent of ServiceAccount %s is %s', (account, agent) => {
  expect(agentOf(account)).toBe(agent);
});

const long = 'run-0123456789-0123456789-0123456789-0123456789-abcdefgh-1';
test.each([
  ['its own', 'job-1', 'job-1-x7x7x', true],
  ['one of a job whose name begins the same', 'job-1', 'job-1-2-x7x7x', false],
  ['one of another job', 'job-1', 'job-2-x7x7x', false],
  ['the bare prefix', 'job-1', 'job-1-', false],
  ['one whose name Kubernetes cut', long, `${long.slice(0, 58)}x7x7x`, true],
])('a pod of a Job is %s', (_name, job, pod, expected) => {
  expect(isPodOf(job, pod)).toBe(expected);
});
