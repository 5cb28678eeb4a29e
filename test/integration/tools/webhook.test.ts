// What a webhook of Kadre's starts where one of Kadre's own Triggers receives it.
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import {
  NOW,
  SECRET,
  startBed as startTriggers,
  trigger,
  type Bed as Triggers,
} from '../../../server/src/testing/bed.ts';
import { makeBed, makeTool, startServer, type Bed, type TestServer } from '../../../tools/src/testing/bed.ts';

let bed: Bed;
let triggers: Triggers;
let server: TestServer;
beforeEach(async () => {
  bed = makeBed();
  bed.clock.at = NOW;
  bed.secrets.set('keys/hook', SECRET);
  triggers = await startTriggers([
    trigger({
      auth: {
        hmac: {
          secretRef: { name: 'hook', key: 'secret' },
          header: 'X-Kadre-Signature',
          timestampHeader: 'X-Kadre-Timestamp',
          algorithm: 'sha256',
          encoding: 'hex',
          prefix: 'sha256=',
          tolerance: '5m',
        },
      },
      idempotencyKey: "$(headers['idempotency-key'])",
      remember: '1h',
    }),
  ]);
  server = await startServer();
});
afterEach(() => Promise.all([bed.toolbox.close(), triggers.stop(), server.close()]));

const webhook = (url: string) =>
  makeTool({ builtin: { webhook: { url, signature: { secretRef: { name: 'keys', key: 'hook' } } } } });
const target = () => `${triggers.url}/v1/namespaces/team/triggers/issues`;
const args = { issue: 7, title: 'Grüße "quoted" \u2028', nested: { deep: [1, 2.5, null] } };

test('a Trigger takes what is sent, and starts one Run for one call however often it is sent', async () => {
  for (const idempotencyKey of ['one', 'one', 'two']) {
    expect(await bed.call(webhook(target()), args, { idempotencyKey })).toMatchObject({ isError: false });
  }
  expect([...triggers.runs.values()].map(({ spec }) => spec.input)).toEqual([args, args]);
});

test('a Trigger with another secret is told from one that takes it', async () => {
  bed.secrets.set('keys/hook', 'another one');
  await expect(bed.call(webhook(target()), args)).rejects.toMatchObject({ fault: 'unauthorized' });
});

test('without a signature there is none, and the description says where it goes', async () => {
  const tool = makeTool({ builtin: { webhook: { url: server.url, headers: [{ name: 'X-Team', value: 'blue' }] } } });
  expect((await bed.describe(tool)).operations).toEqual([
    { description: `Sends JSON to 127.0.0.1:${server.port}.`, inputSchema: { type: 'object' } },
  ]);
  await bed.call(tool, { a: 1 });
  expect(server.received[0]).toMatchObject({ method: 'POST', body: '{"a":1}', headers: { 'x-team': 'blue' } });
  expect(server.received[0]?.headers).not.toHaveProperty('x-kadre-signature');
});
