// Messages to channels of Slack that an administrator has named.
import { z } from 'zod';
import { failure, textAnswer, type Clock, type Executor } from '../executor.ts';
import { busy, readAnswer } from '../net/answers.ts';
import type { Outlet } from '../net/outlet.ts';
import { readSecret } from '../net/sign-in.ts';
import { ToolError } from '../tool-error.ts';
import { readArguments } from './arguments.ts';
import { partOf } from './builtin-spec.ts';

const API = 'https://slack.com/api';

const input = z
  .object({
    channel: z.string().max(80).describe('Its name or id.'),
    text: z.string().min(1).max(40_000).describe("The message, in Slack's mrkdwn."),
    threadTs: z
      .string()
      .max(32)
      .regex(/^\d+\.\d+$/)
      .optional()
      .describe('The ts of a message, to answer in its thread.'),
  })
  .strict();

const answerSchema = z.object({
  ok: z.boolean(),
  error: z.string().optional(),
  channel: z.string().optional(),
  ts: z.string().optional(),
});

/** Of the bot and its token, which no model can mend. */
const SIGN_IN_ERRORS = new Set([
  'invalid_auth',
  'not_authed',
  'account_inactive',
  'token_revoked',
  'token_expired',
  'missing_scope',
  'no_permission',
]);

export function slackExecutor(outlet: Outlet, clock: Clock): Executor {
  return {
    describe: ({ tool }) => {
      const { channels } = partOf(tool.spec, 'slack');
      const description = tool.spec.description ?? `Posts a message to Slack: ${channels.join(', ')}.`;
      return Promise.resolve({ operations: [{ description, inputSchema: z.toJSONSchema(input) }] });
    },
    call: async ({ tool, secret, signal, maxBytes }, { args, headers }) => {
      const { auth, channels, apiUrl = API } = partOf(tool.spec, 'slack');
      const given = readArguments(input, args);
      if ('complaint' in given) return given.complaint;
      const { channel, text, threadTs } = given.read;
      const bare = (name: string) => name.replace(/^#/, '');
      const named = channels.find((one) => bare(one) === bare(channel));
      if (named === undefined) return failure(`There are only these channels: ${channels.join(', ')}.`);
      const answer = await outlet.send({
        method: 'POST',
        url: new URL(`${apiUrl.replace(/\/+$/, '')}/chat.postMessage`),
        headers: {
          ...headers,
          authorization: `Bearer ${await readSecret(auth.secretRef, secret)}`,
          'content-type': 'application/json; charset=utf-8',
        },
        body: JSON.stringify({
          channel: named,
          text,
          ...(threadTs === undefined ? {} : { thread_ts: threadTs }),
          unfurl_links: false,
        }),
        writtenBy: 'administrator',
        maxBytes,
        signal,
      });
      const said = answerSchema.safeParse(readAnswer(answer, clock).structured);
      if (!said.success) throw new ToolError('malformed', "This is not an answer of Slack's Web API.", { sent: true });
      const { ok, error = 'no reason', ts = '' } = said.data;
      if (ok)
        return { ...textAnswer(`Posted to ${named} (ts ${ts}).`), structured: { channel: said.data.channel, ts } };
      if (error === 'ratelimited' || error === 'rate_limited') throw busy(answer, clock);
      if (SIGN_IN_ERRORS.has(error))
        throw new ToolError('unauthorized', `Slack does not take the bot's token: ${error}.`);
      return failure(`Slack refuses the message: ${error.slice(0, 100)}.`);
    },
  };
}
