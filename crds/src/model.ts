// Model: one language model behind the gateway, or a route over several.
import { z } from 'zod';
import { secretKeyRef, someTime } from './common.ts';
import { rules } from './markers.ts';
import { modelRoute, type ModelRoute } from './model-route.ts';
import { conditions, observedGeneration, type Resource } from './meta.ts';

export const providers = ['openai', 'anthropic', 'google', 'openaiCompatible', 'simulated'] as const;
export type Provider = (typeof providers)[number];

const decimal = z
  .string()
  .max(24)
  .regex(/^[0-9]+([.][0-9]+)?$/);

const tokenCount = z.int().min(0).max(1_000_000_000);

const scriptEntry = z
  .object({
    match: z
      .string()
      .max(1024)
      .optional()
      .describe('A regular expression (RE2) over the last user message. Absent: always.'),
    matchToolResult: z
      .string()
      .max(1024)
      .optional()
      .describe(
        'A regular expression (RE2) over the results of tools that the conversation ends with. Absent: an entry with toolCalls is for conversations that do not end so, all others for both.',
      ),
    reply: z
      .string()
      .max(16384)
      .optional()
      .describe(
        'What the model answers. $(prompt) stands for the last user message, $(toolResult) for the results of tools that the conversation ends with.',
      ),
    toolCalls: z
      .array(
        z
          .object({
            name: z.string().min(1).max(128).describe('Name of the tool.'),
            arguments: z
              .string()
              .max(16384)
              .optional()
              .describe('The arguments as JSON text; it is sent as it is, so it may be wrong. "{}" if absent.'),
          })
          .describe('A call of a tool.'),
      )
      .min(1)
      .max(16)
      .optional()
      .describe('Tools that the model calls, all in one answer, after its reply if there is one.'),
    reasoning: z.string().max(16384).optional().describe('What the model thinks before it answers.'),
    usage: z
      .object({
        inputTokens: tokenCount.optional().describe('All input, cached or not.'),
        cachedInputTokens: tokenCount.optional().describe('Of the input, what was read from the cache.'),
        cacheWriteTokens: tokenCount.optional().describe('Of the input, what was written to the cache.'),
        outputTokens: tokenCount.optional().describe('All output, thoughts included.'),
        reasoningTokens: tokenCount.optional().describe('Of the output, what the model thought.'),
      })
      .optional()
      .describe('What the model says that it used. Absent: about a token for each four characters.'),
    delay: someTime.optional().describe('How long it takes until the first piece of the answer.'),
    cutAfter: z
      .int()
      .min(0)
      .max(1_000_000)
      .optional()
      .describe('After so many characters of the reply the connection breaks.'),
    malformed: z.boolean().optional().describe('The answer makes no sense, as from a server that is broken.'),
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
    rules(
      {
        message: 'an entry either answers or fails: set reply, toolCalls or both, or else error or malformed',
        rule: '[has(self.reply) || has(self.toolCalls), has(self.error), has(self.malformed) && self.malformed].exists_one(one, one)',
      },
      {
        message: 'cutAfter breaks a reply off: set reply as well',
        rule: '!has(self.cutAfter) || has(self.reply)',
      },
    ),
  )
  .describe('One thing that the model may do.');

const rates = {
  inputPerMillion: decimal.describe('USD for a million input tokens.'),
  outputPerMillion: decimal.describe('USD for a million output tokens.'),
  cachedInputPerMillion: decimal.optional().describe('USD for a million input tokens read from the cache.'),
  cacheWritePerMillion: decimal.optional().describe('USD for a million input tokens written to the cache.'),
  cacheWriteHourPerMillion: decimal
    .optional()
    .describe('USD for a million input tokens written to the cache for an hour. cacheWritePerMillion if absent.'),
};

const parameters = z
  .object({
    temperature: decimal.optional().describe('From "0" to "2", in quotes.'),
    topP: decimal.optional().describe('From "0" to "1", in quotes.'),
    maxTokens: z.int().min(1).max(10_000_000).optional().describe('Tokens that an answer may have, thoughts included.'),
    seed: z.int().min(0).max(2_147_483_647).optional().describe('Makes answers repeatable where the provider can.'),
    reasoning: z
      .object({
        effort: z
          .enum(['none', 'minimal', 'low', 'medium', 'high', 'xhigh', 'max'])
          .optional()
          .describe('How hard the model thinks. Each provider knows some of these.'),
        budgetTokens: z.int().min(1).max(10_000_000).optional().describe('How many tokens it may think with.'),
      })
      .optional()
      .describe('How the model thinks before it answers.'),
  })
  .describe('Settings for calls that do not say otherwise.');

const modelLimits = z
  .object({
    requestsPerMinute: z.int().min(1).max(10_000_000).optional().describe('Calls that may begin in a minute.'),
    tokensPerMinute: z
      .int()
      .min(1)
      .max(1_000_000_000)
      .optional()
      .describe('Tokens, of input and output, that calls may use in a minute.'),
    concurrent: z.int().min(1).max(100_000).optional().describe('Calls that may be under way at the same time.'),
    maxWait: someTime
      .optional()
      .describe('How long a call waits for its turn before it is refused with 429. 30s if absent.'),
  })
  .meta(
    rules({
      message: 'limits limit something: set requestsPerMinute, tokensPerMinute or concurrent',
      rule: 'has(self.requestsPerMinute) || has(self.tokensPerMinute) || has(self.concurrent)',
    }),
  )
  .describe('What the provider bears. Calls beyond it wait for their turn, fairly among namespaces and their agents.');

export const modelSpec = z
  .object({
    provider: z
      .enum(providers)
      .optional()
      .describe('Which protocol the model speaks. Every Model has this or a route.'),
    route: modelRoute.optional(),
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
    api: z
      .enum(['chatCompletions', 'responses'])
      .optional()
      .describe(
        "Which of OpenAI's protocols the server is asked in. Absent: that in which the caller asks; chatCompletions for openaiCompatible.",
      ),
    structuredOutput: z
      .enum(['native', 'instruction'])
      .optional()
      .describe(
        'How the model is held to a JSON Schema: by its server, or by words, for servers that cannot. Answers are checked in any case. Absent: native where the provider is known to offer it.',
      ),
    parameters: parameters.optional(),
    price: z
      .object({
        ...rates,
        tiers: z
          .array(
            z
              .object({
                aboveInputTokens: z.int().min(1).max(100_000_000).describe('Calls with more input tokens than this.'),
                ...rates,
              })
              .describe('Rates from a length of the input on.'),
          )
          .max(4)
          .optional()
          .describe(
            'Rates of calls with a long input; they hold for all tokens of such a call. The lowest bound first.',
          ),
      })
      .optional()
      .describe(
        'What the model costs, as decimals in quotes. Absent: the price list that comes with Kadre; a model in neither is reported as unpriced.',
      ),
    limits: modelLimits.optional(),
    simulated: z
      .object({
        script: z
          .array(scriptEntry)
          .max(64)
          .optional()
          .describe('Tried from the top; the first entry that matches answers. Absent: an echo.'),
        embeddingDimensions: z
          .int()
          .min(1)
          .max(4096)
          .optional()
          .describe('Length of its vectors, where the caller does not say. 256 if absent.'),
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
        message: 'a Model is one model or a route over several: set provider or route, not both',
        rule: 'has(self.provider) != has(self.route)',
      },
      {
        message:
          'a route only chooses among Models: what belongs to one of them (model, baseUrl, auth, api, structuredOutput, parameters, price, limits, simulated) stands there',
        rule: '!has(self.route) || !(has(self.model) || has(self.baseUrl) || has(self.auth) || has(self.api) || has(self.structuredOutput) || has(self.parameters) || has(self.price) || has(self.limits) || has(self.simulated))',
      },
      {
        message: `set model to the provider's name for the model; only provider simulated goes without`,
        rule: `!has(self.provider) || self.provider == 'simulated' || has(self.model)`,
      },
      {
        message: 'provider openaiCompatible has no usual address: set baseUrl, such as http://vllm.models.svc:8000/v1',
        rule: `!has(self.provider) || self.provider != 'openaiCompatible' || has(self.baseUrl)`,
      },
      {
        message:
          'this provider wants an API key: set auth.secretRef to the name and key of a Secret (a server that wants none is openaiCompatible)',
        rule: `!has(self.provider) || !(self.provider in ['openai', 'anthropic', 'google']) || has(self.auth)`,
      },
      {
        message: 'api is only for providers openai and openaiCompatible: remove it',
        rule: `!has(self.provider) || self.provider in ['openai', 'openaiCompatible'] || !has(self.api)`,
        fieldPath: '.api',
      },
      {
        message: 'simulated is only for provider simulated: remove the block, or set provider to simulated',
        rule: `!has(self.provider) || self.provider == 'simulated' || !has(self.simulated)`,
        fieldPath: '.simulated',
      },
    ),
  );

export const modelStatus = z.object({ observedGeneration, conditions });

export type ModelSpec = z.infer<typeof modelSpec>;
export type ModelStatus = z.infer<typeof modelStatus>;
export type Model = Resource<ModelSpec, ModelStatus>;
/** One model of a provider. */
export type ProviderModel = Resource<ModelSpec & { provider: Provider; route?: never }, ModelStatus>;
/** A choice among others. */
export type RouteModel = Resource<ModelSpec & { route: ModelRoute; provider?: never }, ModelStatus>;

export const isRoute = (model: Model): model is RouteModel => model.spec.route !== undefined;
export const isProviderModel = (model: Model): model is ProviderModel =>
  model.spec.provider !== undefined && !isRoute(model);
