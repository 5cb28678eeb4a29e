// The part of the OpenAI chat wire that the runtime looks at. Everything else passes through untouched.
import { z } from 'zod';

export type ChatMessage = Record<string, unknown> & { role: string };

const usage = z.looseObject({
  prompt_tokens: z.number().default(0),
  completion_tokens: z.number().default(0),
});

export const chatCompletion = z.looseObject({
  id: z.string(),
  created: z.number().optional(),
  choices: z
    .array(
      z.looseObject({
        finish_reason: z.string().nullish(),
        message: z.looseObject({
          content: z.string().nullish(),
          refusal: z.string().nullish(),
          tool_calls: z.array(z.unknown()).nullish(),
        }),
      }),
    )
    .min(1),
  usage: usage.nullish(),
});

export const chatChunk = z.looseObject({
  id: z.string().optional(),
  created: z.number().optional(),
  choices: z.array(
    z.looseObject({
      index: z.number().default(0),
      delta: z.looseObject({ content: z.string().nullish(), refusal: z.string().nullish() }).optional(),
      finish_reason: z.string().nullish(),
    }),
  ),
  usage: usage.nullish(),
});

/** The error object of the OpenAI wire; the gateway puts a FailureReason into `code`. */
export const chatError = z.object({
  error: z.looseObject({ message: z.string(), code: z.union([z.string(), z.number()]).nullish() }),
});

export type ChatCompletion = z.infer<typeof chatCompletion>;
export type ChatChunk = z.infer<typeof chatChunk>;

/** Tokens of one answer. */
export interface TokenUsage {
  inputTokens: number;
  outputTokens: number;
}

export function tokenUsage(given: ChatCompletion['usage']): TokenUsage {
  return { inputTokens: given?.prompt_tokens ?? 0, outputTokens: given?.completion_tokens ?? 0 };
}
