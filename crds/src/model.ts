// Model: one language model behind the gateway.
import { z } from 'zod';
import { secretKeyRef } from './common.ts';
import { rules } from './markers.ts';
import { conditions, observedGeneration, type Resource } from './meta.ts';

export const providers = ['openai', 'anthropic', 'google', 'openaiCompatible', 'simulated'] as const;
export type Provider = (typeof providers)[number];

const decimal = z
  .string()
  .max(24)
  .regex(/^[0-9]+([.][0-9]+)?$/);

const scriptEntry = z
  .object({
    match: z
      .string()
      .max(1024)
      .optional()
      .describe('A regular expression (RE2) over the last user message. Absent: always.'),
    reply: z
      .string()
      .max(16384)
      .optional()
      .describe('What the model answers. $(prompt) stands for the last user message.'),
    error: z
      .object({
        status: z.int().min(400).max(599).describe('The HTTP status to fail with.'),
        message: z.string().max(1024).optional().describe('The message of the error.'),
        times: z
          .int()
          .min(1)
          .max(1000)
          .optional()
          .describe('Fail only this often, then go on to the next entry that matches.'),
      })
      .optional()
      .describe('Fail instead of answering.'),
  })
  .meta(
    rules({
      message: 'an entry either answers or fails: set exactly one of reply and error',
      rule: 'has(self.reply) != has(self.error)',
    }),
  )
  .describe('One thing that the model may do.');

export const modelSpec = z
  .object({
    provider: z.enum(providers).describe('Which protocol the model speaks.'),
    model: z
      .string()
      .min(1)
      .max(253)
      .optional()
      .describe("The provider's name for the model, such as claude-sonnet-4-5. Only a simulated model needs none."),
    baseUrl: z
      .string()
      .max(2048)
      // A user name or a query could hide a key in plain sight.
      .regex(/^https?:\/\/[^\s/?#@]+(\/[^\s?#]*)?$/)
      .optional()
      .describe(
        'Where the provider answers, if not at its usual address: http(s)://host[:port][/path]. openaiCompatible always needs it.',
      ),
    auth: z
      .object({ secretRef: secretKeyRef.describe('The Secret that holds the API key.') })
      .optional()
      .describe('How to sign in. openai, anthropic and google always need it.'),
    price: z
      .object({
        inputPerMillion: decimal.describe('USD for a million input tokens.'),
        outputPerMillion: decimal.describe('USD for a million output tokens.'),
        cachedInputPerMillion: decimal.optional().describe('USD for a million input tokens read from the cache.'),
        cacheWritePerMillion: decimal.optional().describe('USD for a million input tokens written to the cache.'),
      })
      .optional()
      .describe(
        'What the model costs, as decimals in quotes. Absent: the price list that comes with Kadre; a model in neither is reported as unpriced.',
      ),
    simulated: z
      .object({
        script: z
          .array(scriptEntry)
          .max(64)
          .optional()
          .describe('Tried from the top; the first entry that matches answers. Absent: an echo.'),
        tokensPerSecond: z
          .int()
          .min(1)
          .max(100000)
          .optional()
          .describe('How fast the answer is streamed. Absent: at once.'),
      })
      .optional()
      .describe('The behaviour of a simulated model.'),
  })
  .meta(
    rules(
      {
        message: `set model to the provider's name for the model; only provider simulated goes without`,
        rule: `self.provider == 'simulated' || has(self.model)`,
      },
      {
        message: 'provider openaiCompatible has no usual address: set baseUrl, such as http://vllm.models.svc:8000/v1',
        rule: `self.provider != 'openaiCompatible' || has(self.baseUrl)`,
      },
      {
        message:
          'this provider wants an API key: set auth.secretRef to the name and key of a Secret (a server that wants none is openaiCompatible)',
        rule: `!(self.provider in ['openai', 'anthropic', 'google']) || has(self.auth)`,
      },
      {
        message: 'simulated is only for provider simulated: remove the block, or set provider to simulated',
        rule: `self.provider == 'simulated' || !has(self.simulated)`,
        fieldPath: '.simulated',
      },
    ),
  );

export const modelStatus = z.object({ observedGeneration, conditions });

export type ModelSpec = z.infer<typeof modelSpec>;
export type ModelStatus = z.infer<typeof modelStatus>;
export type Model = Resource<ModelSpec, ModelStatus>;
