// The tools that Kadre brings along.
import { z } from 'zod';
import { jsonSchema, secretKeyRef } from './common.ts';
import { rules } from './markers.ts';
import { codeTool } from './sandbox.ts';
import { address, headers } from './tool-address.ts';
import { askPeople } from './tool-approval.ts';

const hosts = z
  .array(
    z
      .string()
      .min(1)
      .max(253)
      .regex(/^([*][.])?[a-z0-9]([-a-z0-9.]*[a-z0-9])?(:[0-9]{1,5})?$/)
      .describe('One of them.'),
  )
  .min(1)
  .max(64);

export const builtin = z
  .object({
    calculator: z.object({}).optional().describe('Computes an expression exactly.'),
    http: z
      .object({
        hosts: hosts.describe(
          'Where requests may go: host, host:port or *.domain. Redirects are held to it as well. A host under its full name may lie in a private network, what *.domain lets in may not.',
        ),
        methods: z
          .array(z.enum(['GET', 'POST', 'PUT', 'PATCH', 'DELETE']).describe('One of them.'))
          .min(1)
          .max(5)
          .default(['GET'])
          .describe('The methods that agents may use.'),
      })
      .optional()
      .describe('Fetches what an agent asks for from hosts that are named here.'),
    slack: z
      .object({
        auth: z
          .object({ secretRef: secretKeyRef.describe('The Secret that holds the bot token.') })
          .describe('How to sign in.'),
        channels: z
          .array(z.string().min(1).max(80).describe('Its name or id.'))
          .min(1)
          .max(64)
          .describe('Where agents may post.'),
        apiUrl: address.optional().describe("Where Slack's Web API answers, if not at its usual address."),
      })
      .optional()
      .describe('Posts messages to Slack.'),
    email: z
      .object({
        host: z.string().min(1).max(253).describe('The SMTP server.'),
        port: z.int().min(1).max(65535).default(587).describe('Its port. 465 speaks TLS from the start.'),
        auth: z
          .object({ secretRef: secretKeyRef.describe('The Secret that holds user:password.') })
          .optional()
          .describe('How to sign in.'),
        from: z.string().min(3).max(254).describe('The sender.'),
        recipients: z
          .array(z.string().min(3).max(254).describe('One of them.'))
          .min(1)
          .max(64)
          .describe('To whom agents may write: an address, or *@domain.'),
      })
      .optional()
      .describe('Sends mail.'),
    webhook: z
      .object({
        url: address.describe('Where the JSON is sent.'),
        headers: headers.optional().describe('Sent with every request.'),
        signature: z
          .object({ secretRef: secretKeyRef.describe('The Secret that holds the key.') })
          .optional()
          .describe('Signs the body with HMAC-SHA256, as Triggers check it.'),
        input: z
          .object({ schema: jsonSchema.describe('A JSON Schema of an object.') })
          .optional()
          .describe('The JSON that agents may send. Absent: any object.'),
      })
      .optional()
      .describe('Sends JSON to one address.'),
    ask: askPeople.optional(),
    code: codeTool
      .optional()
      .describe(
        'Runs programs that agents write, each in a sandbox of its own, without network, keys or files of others.',
      ),
  })
  .meta(
    rules({
      message: 'a builtin tool is one of calculator, http, slack, email, webhook, ask and code: set exactly one',
      rule: '[has(self.calculator), has(self.http), has(self.slack), has(self.email), has(self.webhook), has(self.ask), has(self.code)].exists_one(one, one)',
    }),
  )
  .describe('A tool that Kadre brings along.');
