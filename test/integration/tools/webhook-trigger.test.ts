// What the tool webhook signs, the Trigger of docs/tools.md takes, by the check that the server makes.
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { kinds, type WebhookTrigger } from '@kadre/crds';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { prove } from '../../../server/src/webhook/proof.ts';
import { makeBed, makeTool, startServer, type Bed, type TestServer } from '../../../tools/src/testing/bed.ts';

const KEY = 'a key that both have';
const page = readFileSync(join(import.meta.dirname, '../../../docs/tools.md'), 'utf8');
const [, box = ''] = /^```yaml\n([^`]*kind: Trigger[^`]*)^```$/m.exec(page) ?? [];
// With its defaults, as the API server fills them in.
const { webhook } = kinds.Trigger.spec.parse((parse(box) as { spec: object }).spec) as { webhook: WebhookTrigger };

let bed: Bed;
let server: TestServer;
beforeEach(async () => {
  bed = makeBed();
  server = await startServer();
});
afterEach(() => Promise.all([bed.toolbox.close(), server.close()]));

test('what the tool webhook sends passes the check of the Trigger that the manual shows, and nothing else does', async () => {
  const signature = { secretRef: { name: 'hook', key: 'key' } };
  const tool = makeTool({ builtin: { webhook: { url: server.url, signature } } });
  bed.secrets.set('hook/key', KEY);
  await bed.call(tool, { version: 'v1.2.3' }, { idempotencyKey: 'once' });
  const [received] = server.received;
  if (!received) throw new Error('nothing was sent');
  const { headers, body } = received;
  const now = Number(headers['x-kadre-timestamp']) * 1000;
  const check = (secret: string, text: string, at: number) =>
    prove(webhook, secret, { headers, body: Buffer.from(text) }, at);
  expect(headers['idempotency-key']).toBe('once');
  expect(check(KEY, body, now)).toBeUndefined();
  expect(check('another key', body, now)).toMatch(/not that of the body/);
  expect(check(KEY, body.replace('v1.2.3', 'v6.6.6'), now)).toMatch(/not that of the body/);
  expect(check(KEY, body, now + 600_000)).toMatch(/./);
});
