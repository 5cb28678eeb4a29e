import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { KubeError } from './errors.ts';
import type { KubeClient } from './client.ts';
import { FakeApiServer, status } from './fake-api-server.ts';
import type { Fault, Seen } from './fake-api-server.ts';
import { FakeClock, eventually, settle } from './fake-clock.ts';
import { createKubeMetrics } from './metrics.ts';

const ref = { apiVersion: 'v1', kind: 'ConfigMap', namespace: 'default', name: 'a' };
const path = '/api/v1/namespaces/default/configmaps/a';
const object = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { namespace: 'default', name: 'a' } };

let server: FakeApiServer;
let client: KubeClient;
let clock: FakeClock;
let metrics: ReturnType<typeof createKubeMetrics>;

beforeEach(async () => {
  server = await new FakeApiServer().start();
  clock = new FakeClock();
  metrics = createKubeMetrics();
  client = server.client({ clock, metrics, timeoutMs: 5000, token: 'secret-token' });
});
afterEach(async () => {
  await client.close();
  await server.stop();
});

const always = () => true;
const isGet = (seen: Seen) => seen.method === 'GET';

/** Lets the clock run on until the call is over. */
async function finish<T>(call: Promise<T>, step = 100): Promise<T | KubeError> {
  let result: T | KubeError | undefined;
  let over = false;
  call.then(
    (value) => ((result = value), (over = true)),
    (error: unknown) => ((result = error as KubeError), (over = true)),
  );
  await eventually(
    () => over,
    () => clock.advance(step),
  );
  return result as T | KubeError;
}

describe('an idempotent request', () => {
  test.each<[string, Fault]>([
    ['429 with Retry-After', { status: 429, headers: { 'retry-after': '2' }, body: status(429, 'TooManyRequests') }],
    ['500', { status: 500, body: status(500, 'InternalError') }],
    ['503 with no body', { status: 503 }],
    ['a reset connection', 'reset'],
    ['no answer at all', 'hang'],
  ])('is tried again after %s', async (_name, fault) => {
    server.put(path, object);
    server.fail(isGet, fault);
    const found = await finish(client.get(ref), 1000);
    expect(found).toMatchObject({ metadata: { name: 'a' } });
    expect(server.requests).toHaveLength(2);
  });

  test('waits as long as the server asks before it is tried again', async () => {
    server.put(path, object);
    server.fail(isGet, { status: 429, headers: { 'retry-after': '2' }, body: status(429, 'TooManyRequests') });
    const call = client.get(ref);
    await eventually(() => server.requests.length === 1);
    // The answer has come, and the retry is planned.
    await eventually(() => clock.nextIn === 2000);
    await clock.advance(1999);
    expect(server.requests).toHaveLength(1);
    await clock.advance(1);
    await expect(call).resolves.toBeDefined();
  });

  test('hands the error on when the server asks for more patience than the client has', async () => {
    server.fail(always, { status: 503, headers: { 'retry-after': '120' }, body: status(503, 'ServiceUnavailable') });
    const error = await finish(client.get(ref));
    expect(error).toMatchObject({ code: 503, reason: 'ServiceUnavailable', retryAfter: 120_000 });
    expect(server.requests).toHaveLength(1);
  });

  test('is not tried again after a 500 without a reason, which is about its content', async () => {
    server.fail(always, { status: 500, body: status(500, '') }, 5);
    expect(await finish(client.apply(object))).toMatchObject({ code: 500, reason: 'Unknown' });
    expect(server.requests).toHaveLength(1);
  });

  test('gives up after a bounded number of attempts', async () => {
    server.fail(always, { status: 500, body: status(500, 'InternalError') }, 100);
    expect(await finish(client.get(ref), 1000)).toMatchObject({ code: 500 });
    expect(server.requests).toHaveLength(5);
  });
});

describe('a create', () => {
  test('is not repeated when nobody knows whether it was carried out', async () => {
    server.fail(always, 'lose');
    expect(await finish(client.create(object))).toMatchObject({ code: 0, reason: 'NetworkError' });
    expect(server.requests).toHaveLength(1);
    expect(server.objects.has(path)).toBe(true);
  });

  test('is repeated after 429, which says that it was not carried out', async () => {
    server.fail(always, { status: 429, headers: { 'retry-after': '1' }, body: status(429, 'TooManyRequests') });
    expect(await finish(client.create(object))).toMatchObject({ metadata: { name: 'a' } });
  });

  test('says who writes and insists on known fields', async () => {
    await client.create(object);
    expect(server.requests[0]?.query).toEqual({ fieldManager: 'kadre', fieldValidation: 'Strict' });
  });
});

describe('errors', () => {
  test('carry code and reason of the Status', async () => {
    server.put(path, object);
    expect(await finish(client.create(object))).toMatchObject({
      name: 'KubeError',
      code: 409,
      reason: 'AlreadyExists',
    });
  });

  test('never show the token', async () => {
    server.fail(always, { status: 403, body: status(403, 'Forbidden') });
    const error = await finish(client.get(ref));
    expect(JSON.stringify(error, Object.getOwnPropertyNames(error))).not.toContain('secret-token');
    expect(server.requests[0]?.headers.authorization).toBe('Bearer secret-token');
  });

  test('an answer that is not JSON is an error, not an object', async () => {
    server.fail(always, { status: 200, body: '<html>proxy</html>' });
    expect(await finish(client.get(ref))).toMatchObject({ reason: 'MalformedResponse' });
  });

  test('401 makes the client read its credentials again, once', async () => {
    server.put(path, object);
    server.fail(always, { status: 401, body: status(401, 'Unauthorized') });
    expect(await finish(client.get(ref))).toMatchObject({ metadata: { name: 'a' } });
    server.fail(always, { status: 401, body: status(401, 'Unauthorized') }, 5);
    expect(await finish(client.get(ref))).toMatchObject({ code: 401 });
    expect(server.requests).toHaveLength(4);
  });

  test('a caller that gives up is told so at once', async () => {
    server.fail(always, 'hang');
    const abort = new AbortController();
    const call = client.get(ref, { signal: abort.signal });
    await eventually(() => server.requests.length === 1);
    abort.abort();
    await expect(call).rejects.toMatchObject({ reason: 'Aborted' });
  });
});

describe('the gate', () => {
  test('keeps writes back, and lets reads through', async () => {
    server.put(path, object);
    const gated = client.gated(() => false);
    await expect(gated.get(ref)).resolves.toBeDefined();
    await expect(gated.create(object)).rejects.toMatchObject({ reason: 'NotLeader' });
    await expect(gated.apply(object)).rejects.toMatchObject({ reason: 'NotLeader' });
    await expect(gated.patch(ref, {})).rejects.toMatchObject({ reason: 'NotLeader' });
    await expect(gated.delete(ref)).rejects.toMatchObject({ reason: 'NotLeader' });
    expect(server.writes).toEqual([]);
  });

  test('is asked again before each further attempt', async () => {
    let leads = true;
    const gated = client.gated(() => leads);
    server.fail(always, { status: 500, body: status(500, 'InternalError') });
    const call = gated.apply(object);
    await eventually(() => server.requests.length === 1);
    leads = false;
    expect(await finish(call)).toMatchObject({ reason: 'NotLeader' });
    expect(server.requests).toHaveLength(1);
  });
});

test('requests are counted by code, method and host', async () => {
  server.put(path, object);
  await client.get(ref);
  server.fail(always, { status: 409, body: status(409, 'Conflict') });
  await finish(client.apply(object));
  await settle();
  const text = await metrics.registry.metrics();
  const host = new URL(server.url).host;
  expect(text).toContain(`rest_client_requests_total{code="200",method="GET",host="${host}"} 1`);
  expect(text).toContain(`rest_client_requests_total{code="409",method="PATCH",host="${host}"} 1`);
});
