// What a client of OpenAI's chat completions expects to read.
import type { Answer, FinishReason, ToolCallDelta, Usage } from '../providers/provider.ts';

/** What all pieces of one answer share. */
export interface Envelope {
  id: string;
  /** Seconds since 1970. */
  created: number;
  /** Name of the Model, as the caller asked for it. */
  model: string;
}

export function completion(envelope: Envelope, answer: Answer, usage: Usage): object {
  const toolCalls = answer.toolCalls.map(({ id, name, arguments: args }) => ({
    id,
    type: 'function',
    function: { name, arguments: args },
  }));
  const message = {
    role: 'assistant',
    content: answer.text,
    refusal: answer.refusal,
    ...(toolCalls.length === 0 ? {} : { tool_calls: toolCalls }),
  };
  return {
    id: envelope.id,
    object: 'chat.completion',
    created: envelope.created,
    model: envelope.model,
    choices: [{ index: 0, message, logprobs: null, finish_reason: answer.finish }],
    usage: usageShape(usage),
  };
}

interface Delta {
  role?: 'assistant';
  content?: string;
  refusal?: string;
  tool_calls?: object[];
}

/** With `include_usage`, each chunk but the last says that it has none. */
export function deltaChunk(
  envelope: Envelope,
  delta: Delta,
  finish: FinishReason | null,
  includeUsage: boolean,
): object {
  return {
    ...envelope,
    object: 'chat.completion.chunk',
    choices: [{ index: 0, delta, logprobs: null, finish_reason: finish }],
    ...(includeUsage ? { usage: null } : {}),
  };
}

export const usageChunk = (envelope: Envelope, usage: Usage): object => ({
  ...envelope,
  object: 'chat.completion.chunk',
  choices: [],
  usage: usageShape(usage),
});

export const toolCallShape = ({ index, id, name, arguments: args }: ToolCallDelta): object => ({
  index,
  ...(id === undefined ? {} : { id, type: 'function' }),
  function: { ...(name === undefined ? {} : { name }), ...(args === undefined ? {} : { arguments: args }) },
});

const usageShape = (usage: Usage): object => ({
  prompt_tokens: usage.inputTokens,
  completion_tokens: usage.outputTokens,
  total_tokens: usage.inputTokens + usage.outputTokens,
  prompt_tokens_details: { cached_tokens: usage.cachedInputTokens },
  completion_tokens_details: { reasoning_tokens: usage.reasoningTokens },
});
