// What becomes of a delivery from somebody who is trusted.
import { afterEach, describe, expect, test } from '@jest/globals';
import { connect } from 'node:net';
import { Registry } from 'prom-client';
import type { TriggerSpec } from '@kadre/crds';
import type { Started } from '../options.ts';
import { bearer, github, sign, startBed, trigger, type Bed, type Webhook } from '../testing/bed.ts';

let bed: Bed;
afterEach(() => bed.stop());

const opened = JSON.stringify({ action: 'opened', issue: { title: 'Ü' } });
const onRun = ({ runs }: Bed) => [...runs.values()].map(({ spec }) => spec.input);

describe('a delivery', () => {
  test('starts a run once, and is told the same run whenever it comes again', async () => {
    bed = await startBed([trigger(github)]);
    const first = await bed.deliver(opened);
    expect(first).toMatchObject({ status: 202, body: { outcome: 'Started', run: { namespace: 'team' } } });
    const again = await bed.deliver(opened);
    expect(again).toMatchObject({ status: 200, body: { outcome: 'AlreadyStarted', run: first.body.run } });
    expect(await bed.deliver(opened, 'd-2')).toMatchObject({ status: 202 });
    expect(bed.runs.size).toBe(2);
    expect(onRun(bed)).toEqual([JSON.parse(opened), JSON.parse(opened)]);
  });

  test('that comes many times at once starts one run', async () => {
    bed = await startBed([trigger(github)]);
    const replies = await Promise.all(Array.from({ length: 20 }, () => bed.deliver(opened)));
    expect(replies.filter(({ status }) => status === 202)).toHaveLength(1);
    expect(new Set(replies.map(({ body }) => body.run?.name)).size).toBe(1);
  });

  test('that the filter does not want is taken, and nothing comes of it', async () => {
    bed = await startBed([trigger({ ...github, filter: '$(body.action == "opened")' })]);
    expect(await bed.deliver('{"action":"closed"}')).toMatchObject({ status: 200, body: { outcome: 'Filtered' } });
    expect(await bed.deliver(opened)).toMatchObject({ status: 202 });
  });

  test('publishes an event once', async () => {
    const start = { event: { name: 'deployed', payload: '$(body.issue)' } };
    bed = await startBed([trigger(github, { start })]);
    expect(await bed.deliver(opened)).toMatchObject({ status: 202, body: { outcome: 'Published' } });
    expect(await bed.deliver(opened)).toMatchObject({ status: 200, body: { outcome: 'AlreadyPublished' } });
    expect([...bed.events.values()]).toMatchObject([{ namespace: 'team', name: 'deployed', payload: { title: 'Ü' } }]);
  });

  test('without a key of its own is known by its signed time and its body', async () => {
    const hmac = { ...(github.auth.hmac as NonNullable<Webhook['auth']['hmac']>), timestampHeader: 'X-Time' };
    bed = await startBed([trigger({ auth: { hmac }, remember: '1h' })]);
    const send = (text: string, time = String(bed.clock.at / 1000)) =>
      bed.deliver(text, 'x', {
        'x-time': time,
        'x-hub-signature-256': `sha256=${sign(`${time}.${text}`).digest('hex')}`,
      });
    expect((await send('{}')).status).toBe(202);
    expect((await send('{}')).status).toBe(200);
    expect((await send('[]')).status).toBe(202);
    bed.clock.at += 1000;
    expect((await send('{}')).status).toBe(202);
  });
});

describe('what expressions see of a request', () => {
  const show = (input: unknown): Partial<TriggerSpec> => ({ start: { workflow: { name: 'w' }, input } });
  const everything = show({ body: '$(body)', headers: '$(headers)', query: '$(query)' });

  test('is body, headers and query, but nothing that proves who sends', async () => {
    bed = await startBed([trigger(bearer, everything)]);
    bed.secrets.set('hook', { secret: 'canary' });
    const headers = { authorization: 'Bearer canary', cookie: 'canary', 'idempotency-key': '1', 'x-kind': 'a' };
    const path = '/v1/namespaces/team/triggers/issues?a=1&a=2&b=%C3%BC';
    const reply = await bed.post(
      'a=1&b=x+y&a=2',
      { ...headers, 'content-type': 'application/x-www-form-urlencoded' },
      path,
    );
    expect(reply.status).toBe(202);
    const [input] = onRun(bed);
    expect(input).toMatchObject({ body: { a: '1', b: 'x y' }, headers: { 'x-kind': 'a' }, query: { a: '1', b: 'ü' } });
    expect(JSON.stringify([...bed.runs.values()])).not.toContain('canary');
  });

  test('is not the signature either', async () => {
    bed = await startBed([trigger(github, everything)]);
    await bed.deliver(opened);
    expect(JSON.stringify(onRun(bed))).not.toContain('sha256=');
  });

  test.each<[string, string, unknown]>([
    ['a field that is called like a part of every object', '{"__proto__":{"a":1},"constructor":2}', undefined],
    ['a list', '[1,2]', [1, 2]],
    ['null', 'null', null],
    ['a number that JSON allows', '1e3', 1000],
  ])('may be %s', async (_what, body, expected) => {
    bed = await startBed([trigger(github)]);
    expect((await bed.deliver(body)).status).toBe(202);
    expect(JSON.stringify(onRun(bed)[0])).toBe(expected === undefined ? body : JSON.stringify(expected));
  });

  test('is null for a request without a body', async () => {
    bed = await startBed([trigger(bearer)]);
    bed.secrets.set('hook', { secret: 'token' });
    expect((await bed.post(undefined, { authorization: 'Bearer token', 'idempotency-key': '1' })).status).toBe(202);
    expect(onRun(bed)).toEqual([null]);
  });
});

describe('a delivery is refused, and told why:', () => {
  const deep = `${'['.repeat(200_000)}${']'.repeat(200_000)}`;
  test.each<[string, Partial<Webhook>, string | Buffer, Record<string, string>, number, RegExp]>([
    ['a body that is not JSON', {}, '{"a":', {}, 400, /not JSON/],
    ['a body that is not UTF-8', {}, Buffer.from([0x22, 0xff, 0x22]), {}, 400, /not UTF-8/],
    ['a body as deep as a well', {}, deep, {}, 400, /deeper than 100/],
    [
      'a body of another type',
      {},
      '<a/>',
      { 'content-type': 'application/xml' },
      415,
      /application\/xml.*application\/json/,
    ],
    [
      'a body in another charset',
      {},
      '{}',
      { 'content-type': 'application/json; charset=utf-16' },
      415,
      /charset utf-16/,
    ],
    ['a body that is packed', {}, '{}', { 'content-encoding': 'gzip' }, 415, /gzip/],
    ['a body that is too large', {}, `"${'x'.repeat(1_100_000)}"`, {}, 413, /at most 1048576 bytes/],
    [
      'a filter that it does not fit',
      { filter: '$(body.pull.draft)' },
      opened,
      {},
      422,
      /spec\.webhook\.filter: .*'pull'/,
    ],
    [
      'a key that it does not have',
      { idempotencyKey: "$(headers['x-none'])" },
      opened,
      {},
      422,
      /spec\.webhook\.idempotencyKey: .*'x-none'/,
    ],
    ['a Trigger with a mistake', { filter: '$(object.x)' }, opened, {}, 422, /must be mended: spec\.webhook\.filter/],
  ])('%s', async (_what, webhook, body, headers, status, message) => {
    bed = await startBed([trigger({ ...github, ...webhook })]);
    const reply = await bed.deliver(body, 'd', headers);
    expect(reply).toMatchObject({ status, body: { error: { message: expect.stringMatching(message) } } });
    expect(bed.runs.size).toBe(0);
  });

  test.each<[string, Started | Error, number, RegExp]>([
    ['a Run of that name that is somebody else’s', { state: 'taken' }, 422, /that this Trigger did not start/],
    ['what the API server refuses', { state: 'refused', message: 'spec.input: no' }, 422, /spec\.input: no/],
    ['an API server that does not answer', new Error('secret address'), 503, /^The run cannot be created now/],
  ])('%s', async (_what, started, status, message) => {
    const start = () => (started instanceof Error ? Promise.reject(started) : Promise.resolve(started));
    bed = await startBed([trigger(github)], { runs: { start } });
    const reply = await bed.deliver(opened);
    expect(reply).toMatchObject({ status, body: { error: { message: expect.stringMatching(message) } } });
    expect(JSON.stringify(reply.body)).not.toContain('secret address');
  });

  test('a Trigger that is suspended, until it is not', async () => {
    bed = await startBed([trigger(github, { suspend: true })]);
    const reply = await bed.deliver(opened);
    expect(reply).toMatchObject({ status: 503, body: { error: { code: 'Suspended' } } });
    expect(reply.headers.get('retry-after')).toBe('60');
  });

  test('too many requests, until there is room again; whoever is not trusted takes none', async () => {
    bed = await startBed([trigger({ ...github, rateLimit: { requestsPerMinute: 2 } })]);
    for (let i = 0; i < 5; i++) await bed.deliver(opened, 'x', { 'x-hub-signature-256': 'sha256=00' });
    expect((await bed.deliver(opened, 'd-1')).status).toBe(202);
    expect((await bed.deliver(opened, 'd-2')).status).toBe(202);
    const refused = await bed.deliver(opened, 'd-3');
    expect(refused).toMatchObject({ status: 429, body: { error: { code: 'RateLimited' } } });
    expect(refused.headers.get('retry-after')).toBe('30');
    bed.clock.at += 30_000;
    expect((await bed.deliver(opened, 'd-3')).status).toBe(202);
  });
});

describe('the server', () => {
  test('answers nobody before it knows the Triggers', async () => {
    bed = await startBed([trigger(github)], { ready: () => false });
    expect(await bed.deliver(opened)).toMatchObject({ status: 503, body: { error: { code: 'Unavailable' } } });
  });

  test('says what there is when asked for something else', async () => {
    bed = await startBed([]);
    const response = await fetch(`${bed.url}/v1/namespaces/team/triggers/issues`);
    expect(response.status).toBe(404);
    expect(await response.text()).toContain('POST /v1/namespaces/{namespace}/triggers/{name}');
  });

  test('turns requests away while it has its hands full', async () => {
    const gate = Promise.withResolvers<undefined>();
    const runs = { start: () => gate.promise.then((): Started => ({ state: 'created' })) };
    bed = await startBed([trigger(github)], { runs, limits: { concurrentRequests: 1 } });
    const both = [bed.deliver(opened, 'd-1'), bed.deliver(opened, 'd-2')];
    expect(await Promise.race(both)).toMatchObject({
      status: 503,
      body: { error: { message: expect.stringMatching(/busy/) } },
    });
    gate.resolve(undefined);
    expect((await Promise.all(both)).map(({ status }) => status).sort()).toEqual([202, 503]);
  });

  test('survives rubbish that is not even HTTP', async () => {
    bed = await startBed([trigger(github)]);
    const { port } = new URL(bed.url);
    await new Promise<void>((resolve) => {
      const socket = connect(Number(port), '127.0.0.1', () => socket.end('POST /v1 HTTP/9\r\n\r\n\0\0'));
      socket
        .on('close', () => resolve())
        .on('error', () => undefined)
        .resume();
    });
    expect((await bed.deliver(opened)).status).toBe(202);
  });

  test('counts requests by outcome', async () => {
    const registry = new Registry();
    bed = await startBed([trigger(github)], { registry });
    await bed.deliver(opened);
    await bed.deliver(opened);
    await bed.deliver(opened, 'd', { 'x-hub-signature-256': '' });
    const text = await registry.metrics();
    for (const code of ['Started', 'AlreadyStarted', 'Unauthorized'])
      expect(text).toContain(`kadre_server_requests_total{code="${code}"} 1`);
  });
});
