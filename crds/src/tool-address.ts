// Where a tool is, what is sent along, and how the gateway signs in there.
import { z } from 'zod';
import { secretKeyRef } from './common.ts';
import { listMap, rules } from './markers.ts';

export const address = z
  .string()
  .max(2048)
  // A user name or a query could hide a key in plain sight.
  .regex(/^https?:\/\/[^\s/?#@]+(\/[^\s?#]*)?$/);

const headerName = z
  .string()
  .min(1)
  .max(128)
  .regex(/^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/)
  .meta(
    rules({
      message: 'this header is made by the gateway itself; for a key use auth',
      rule: `!(self.lowerAscii() in ['host', 'authorization', 'connection', 'content-length', 'content-type', 'transfer-encoding', 'upgrade', 'cookie', 'idempotency-key'])`,
    }),
  );

export const headers = z
  .array(
    z
      .object({
        name: headerName.describe('Its name.'),
        value: z
          .string()
          .max(4096)
          .regex(/^[\x20-\x7e]*$/)
          .describe('Its value. Never put a secret here.'),
      })
      .describe('One header.'),
  )
  .max(32)
  .meta(listMap('name'));

export const auth = z
  .object({
    secretRef: secretKeyRef.describe('The Secret that holds the token, or user:password for basic.'),
    scheme: z.enum(['bearer', 'basic', 'header']).default('bearer').describe('How it is presented.'),
    header: z
      .string()
      .min(1)
      .max(128)
      .regex(/^[A-Za-z0-9-]+$/)
      .optional()
      .describe('With scheme header: in which header, such as X-Api-Key.'),
  })
  .meta(
    rules({
      message: 'scheme header wants the name of the header, and the others want none',
      rule: `(self.scheme == 'header') == has(self.header)`,
    }),
  )
  .describe('How to sign in. Agents never see the secret.');
