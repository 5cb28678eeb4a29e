// The part of the OpenAI chat wire that the runtime looks at. Everything else passes through untouched.
import { z } from 'zod';

export type ChatMessage = Record<string, unknown> & { role: string };

const usage = z.looseObject({
  prompt_tokens: z.number().default(0),
  completion_tokens: z.number().default(0),
});

const toolCall = z.looseObject({
  id: z.string(),
  function: z.looseObject({ name: z.string(), arguments: z.string().nullish() }),
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
          tool_calls: z.array(toolCall).nullish(),
        }),
      }),
    )
    .min(1),
  usage: usage.nullish(),
});

/** The first piece of a call has its id and name; the arguments come in all of them. */
const toolCallPiece = z.looseObject({
  index: z.number().default(0),
  id: z.string().nullish(),
  function: z.looseObject({ name: z.string().nullish(), arguments: z.string().nullish() }).nullish(),
});

export const chatChunk = z.looseObject({
  id: z.string().optional(),
  created: z.number().optional(),
  choices: z.array(
    z.looseObject({
      index: z.number().default(0),
      delta: z
        .looseObject({
          content: z.string().nullish(),
          refusal: z.string().nullish(),
          tool_calls: z.array(toolCallPiece).nullish(),
        })
        .optional(),
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
export type ModelToolCall = z.infer<typeof toolCall>;
export type ChatUsage = NonNullable<ChatCompletion['usage']>;

/** Tokens of one answer. */
export interface TokenUsage {
  inputTokens: number;
  outputTokens: number;
}

export function tokenUsage(given: ChatCompletion['usage']): TokenUsage {
  return { inputTokens: given?.prompt_tokens ?? 0, outputTokens: given?.completion_tokens ?? 0 };
}

/** All numbers of both, those of details as well. */
export function addUsage(a: ChatCompletion['usage'], b: ChatCompletion['usage']): ChatCompletion['usage'] {
  return a && b ? (added(a, b) as ChatUsage) : (a ?? b);
}

function added(a: Record<string, unknown>, b: Record<string, unknown>): Record<string, unknown> {
  const sums = { ...a, ...b };
  for (const [name, value] of Object.entries(b)) {
    const other = a[name];
    if (typeof value === 'number' && typeof other === 'number') sums[name] = value + other;
    else if (isObject(value) && isObject(other)) sums[name] = added(other, value);
  }
  return sums;
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null;
