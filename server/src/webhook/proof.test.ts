// Who is let in. The answer to everybody else is the same, byte for byte.
import { afterEach, describe, expect, test } from '@jest/globals';
import { bearer, github, NOW, SECRET, sign, startBed, trigger, type Bed, type Webhook } from '../testing/bed.ts';

let bed: Bed;
afterEach(() => bed.stop());

const seconds = String(NOW / 1000);
const hmac = (more: Partial<NonNullable<Webhook['auth']['hmac']>>): Webhook => ({
  ...github,
  auth: { hmac: { ...(github.auth.hmac as NonNullable<Webhook['auth']['hmac']>), ...more } },
});
const slack = hmac({
  header: 'X-Slack-Signature',
  prefix: 'v0=',
  timestampHeader: 'X-Slack-Request-Timestamp',
  signedText: 'v0:$(timestamp):$(body)',
});
const timed = hmac({ timestampHeader: 'X-Time' });
const body = '{"n":1}';
const base = { 'content-type': 'application/json', 'x-github-delivery': 'd', 'idempotency-key': 'd' };

describe('is let in:', () => {
  test("GitHub's own example of a signature", async () => {
    bed = await startBed([trigger(github, { start: { workflow: { name: 'w' } } })]);
    const signature = 'sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17';
    // The example signs a text, which is not JSON: that is found out once the signature is known to be good.
    const reply = await bed.post('Hello, World!', { ...base, 'x-hub-signature-256': signature });
    expect(reply).toMatchObject({ status: 400, body: { error: { code: 'Malformed' } } });
  });

  test.each<[string, Webhook, Record<string, string>]>([
    ['a signature in hexadecimal', github, { 'x-hub-signature-256': `sha256=${sign(body).digest('hex')}` }],
    [
      'a signature in base64 without a prefix',
      hmac({ header: 'X-Shop-Hmac', encoding: 'base64', prefix: '' }),
      { 'x-shop-hmac': sign(body).digest('base64') },
    ],
    [
      'a signature by SHA-512',
      hmac({ algorithm: 'sha512' }),
      { 'x-hub-signature-256': `sha256=${sign(body, SECRET, 'sha512').digest('hex')}` },
    ],
    [
      'a signature of time and body',
      timed,
      { 'x-time': seconds, 'x-hub-signature-256': `sha256=${sign(`${seconds}.${body}`).digest('hex')}` },
    ],
    [
      'a signature as Slack makes it',
      slack,
      {
        'x-slack-request-timestamp': seconds,
        'x-slack-signature': `v0=${sign(`v0:${seconds}:${body}`).digest('hex')}`,
      },
    ],
    ['a token', bearer, { authorization: `Bearer ${SECRET.replaceAll(' ', '')}` }],
  ])('%s', async (_what, webhook, headers) => {
    bed = await startBed([trigger(webhook)]);
    if (webhook === bearer) bed.secrets.set('hook', { secret: SECRET.replaceAll(' ', '') });
    expect(await bed.post(body, { ...base, ...headers })).toMatchObject({ status: 202, body: { outcome: 'Started' } });
  });

  test('a sender with the new value of a Secret at once, and nobody with the old one', async () => {
    bed = await startBed([trigger(github)]);
    await bed.deliver(body);
    bed.secrets.set('hook', { secret: 'new' });
    bed.clock.at += 3000;
    const renewed = { 'x-hub-signature-256': `sha256=${sign(body, 'new').digest('hex')}` };
    expect(await bed.deliver(body, 'd-2', renewed)).toMatchObject({ status: 202 });
    expect(await bed.deliver(body, 'd-3')).toMatchObject({ status: 401 });
  });
});

const old = String(NOW / 1000 - 301);
const ahead = String(NOW / 1000 + 301);
const timedHeaders = (time: string) => ({
  'x-time': time,
  'x-hub-signature-256': `sha256=${sign(`${time}.${body}`).digest('hex')}`,
});
const good = { 'x-hub-signature-256': `sha256=${sign(body).digest('hex')}` };
const elsewhere = (namespace: string, name: string) => `/v1/namespaces/${namespace}/triggers/${name}`;

describe('is turned away with one and the same answer:', () => {
  const scheduled = trigger(undefined, {
    schedule: { cron: '0 6 * * *', timeZone: 'UTC', concurrencyPolicy: 'Allow' },
  });
  const rows: [string, Webhook | undefined, Record<string, string>, string?][] = [
    ['no signature', github, {}],
    ['the signature of another body', github, { 'x-hub-signature-256': `sha256=${sign('{}').digest('hex')}` }],
    ['a signature by another key', github, { 'x-hub-signature-256': `sha256=${sign(body, 'x').digest('hex')}` }],
    ['a signature that is cut', github, { 'x-hub-signature-256': `sha256=${sign(body).digest('hex').slice(0, 62)}` }],
    ['a signature without its prefix', github, { 'x-hub-signature-256': sign(body).digest('hex') }],
    ['a signature that is rubbish', github, { 'x-hub-signature-256': 'sha256=zz' }],
    ['an old request', timed, timedHeaders(old)],
    ['a request from the future', timed, timedHeaders(ahead)],
    ['a time that is not signed', timed, { ...timedHeaders(old), 'x-time': seconds }],
    ['a time that is none', timed, timedHeaders('yesterday')],
    ['no time', timed, good],
    ['a token where a signature is wanted', github, { authorization: `Bearer ${SECRET}` }],
    ['no token', bearer, {}],
    ['another token', bearer, { authorization: 'Bearer guess' }],
    ['an empty token', bearer, { authorization: 'Bearer ' }],
    ['another scheme', bearer, { authorization: `Basic ${SECRET}` }],
    ['a Trigger that is not there', github, good, elsewhere('team', 'other')],
    ['a namespace that is not there', github, good, elsewhere('other', 'issues')],
    ['a name that is none', github, good, elsewhere('team', '%2e%2e%2fissues')],
    ['a Trigger that is no webhook', undefined, good],
    [
      'a Secret that is not there',
      hmac({ secretRef: { name: 'gone', key: 'secret' } }),
      { 'x-hub-signature-256': `sha256=${sign(body, 'undefined').digest('hex')}` },
    ],
    [
      'a key that is empty',
      hmac({ secretRef: { name: 'hook', key: 'empty' } }),
      { 'x-hub-signature-256': `sha256=${sign(body, '').digest('hex')}` },
    ],
    [
      'a key that every object has',
      hmac({ secretRef: { name: 'hook', key: 'constructor' } }),
      { 'x-hub-signature-256': `sha256=${sign(body, 'undefined').digest('hex')}` },
    ],
  ];
  test.each(rows.map((row) => [row[0], row] as const))('%s', async (_what, [, webhook, headers, path]) => {
    bed = await startBed([webhook ? trigger(webhook) : scheduled]);
    const refused = await bed.post(body, { ...base, ...headers }, path);
    const unknown = await bed.post(body, { ...base, ...good }, elsewhere('nobody', 'nothing'));
    expect(refused.status).toBe(401);
    expect(refused.body).toEqual(unknown.body);
    const visible = ({ headers: sent }: typeof refused) => [...sent].filter(([name]) => name !== 'date');
    expect(visible(refused)).toEqual(visible(unknown));
    expect(bed.runs.size).toBe(0);
  });

  test('and whoever set it up reads why in the log, without the secret, however often it is tried', async () => {
    bed = await startBed([trigger(github)]);
    for (let i = 0; i < 50; i++) await bed.post(body, { ...base, 'x-hub-signature-256': 'sha256=00' });
    const lines = bed.logged.filter((line) => line.includes('the signature is not that of the body'));
    expect(lines.length).toBeGreaterThan(0);
    expect(lines.length).toBeLessThan(10);
    expect(bed.logged.join('')).not.toContain(SECRET);
    expect(bed.reads.length).toBeLessThan(5);
  });

  test('a flood to a Secret that is missing reads it once in a while', async () => {
    bed = await startBed([trigger(hmac({ secretRef: { name: 'gone', key: 'secret' } }))]);
    for (let i = 0; i < 20; i++) await bed.deliver(body);
    expect(bed.reads.length).toBe(1);
    bed.secrets.set('gone', { secret: SECRET });
    bed.clock.at += 3000;
    expect(await bed.deliver(body)).toMatchObject({ status: 202 });
  });
});

test('what cannot be checked now is not turned away for good', async () => {
  bed = await startBed([trigger(github)], { secrets: { read: () => Promise.reject(new Error('no API server')) } });
  const reply = await bed.deliver(body);
  expect(reply).toMatchObject({ status: 503, body: { error: { code: 'Unavailable' } } });
  expect(reply.headers.get('retry-after')).toBe('1');
  expect(JSON.stringify(reply.body)).not.toContain('API server');
});
