// JSON to one address, signed as Kadre's own Triggers check it, and as GitHub signs: sha256= and the HMAC in hexadecimal.
import { createHmac } from 'node:crypto';
import type { Clock, Executor } from '../executor.ts';
import { BASE_HEADERS, fixedHeaders } from '../http/endpoint.ts';
import { readAnswer } from '../net/answers.ts';
import type { Outlet } from '../net/outlet.ts';
import { readSecret } from '../net/sign-in.ts';
import { partOf } from './builtin-spec.ts';

/** @see docs/tools.md, which shows the Trigger that fits */
const SIGNATURE_HEADER = 'x-kadre-signature';
const TIME_HEADER = 'x-kadre-timestamp';
const ANY_OBJECT = { type: 'object' };

export function webhookExecutor(outlet: Outlet, clock: Clock): Executor {
  return {
    describe: ({ tool }) => {
      const { url, input } = partOf(tool.spec, 'webhook');
      const description = tool.spec.description ?? `Sends JSON to ${new URL(url).host}.`;
      return Promise.resolve({ operations: [{ description, inputSchema: input?.schema ?? ANY_OBJECT }] });
    },
    call: async ({ tool, secret, signal, maxBytes }, { args, headers, idempotencyKey }) => {
      const { url, headers: fixed, signature } = partOf(tool.spec, 'webhook');
      const body = JSON.stringify(args);
      const timestamp = String(Math.floor(clock.now() / 1000));
      const key = signature && (await readSecret(signature.secretRef, secret));
      const signed = key && createHmac('sha256', key).update(`${timestamp}.${body}`).digest('hex');
      const answer = await outlet.send({
        method: 'POST',
        url: new URL(url),
        headers: {
          ...BASE_HEADERS,
          ...headers,
          ...fixedHeaders(fixed),
          'content-type': 'application/json',
          'idempotency-key': idempotencyKey,
          ...(signed === undefined ? {} : { [SIGNATURE_HEADER]: `sha256=${signed}`, [TIME_HEADER]: timestamp }),
        },
        body,
        writtenBy: 'administrator',
        maxBytes,
        signal,
      });
      return readAnswer(answer, clock);
    },
  };
}
