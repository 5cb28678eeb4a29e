// The body of POST /v1/responses, as what the chat wire would say.
import { z } from 'zod';
import type { ChatMessage } from '../../agent/chat.ts';
import { badRequest } from '../http-errors.ts';
import { messagesOf } from './input.ts';

const functionTool = z.looseObject({
  type: z.literal('function', 'must be function: other tools are given to the Agent, not to a request'),
  name: z.string().min(1),
});
const format = z.looseObject({ type: z.enum(['text', 'json_object', 'json_schema']) });
const ignored = z.unknown().optional();

const body = z.strictObject({
  model: z.string(),
  input: z.union([z.string(), z.array(z.looseObject({ type: z.string().optional() })).min(1)]),
  instructions: z.string().nullish(),
  stream: z.boolean().nullish(),
  tools: z.array(functionTool).nullish(),
  tool_choice: z.union([z.enum(['auto', 'none', 'required']), functionTool]).nullish(),
  parallel_tool_calls: z.boolean().nullish(),
  text: z.looseObject({ format: format.nullish(), verbosity: z.string().nullish() }).nullish(),
  reasoning: z.looseObject({ effort: z.string().nullish() }).nullish(),
  temperature: z.number().nullish(),
  top_p: z.number().nullish(),
  max_output_tokens: z.int().min(1).nullish(),
  metadata: z.record(z.string(), z.string()).nullish(),
  store: z.boolean().nullish(),
  previous_response_id: z.string().nullish(),
  conversation: z.union([z.string().min(1).max(256), z.looseObject({ id: z.string().min(1).max(256) })]).nullish(),
  background: z.literal(false, 'must be false: the agent answers within the call').nullish(),
  include: z.array(z.literal('reasoning.encrypted_content', 'is not something that this agent offers')).nullish(),
  // Hints, which change no answer.
  ...{ user: ignored, safety_identifier: ignored, prompt_cache_key: ignored, prompt_cache_retention: ignored },
  ...{ service_tier: ignored, truncation: ignored, max_tool_calls: ignored, stream_options: ignored },
});

export type ResponsesBody = z.infer<typeof body>;

export interface ResponsesRequest {
  body: ResponsesBody;
  messages: ChatMessage[];
  /** Fields of the chat wire. */
  params: Record<string, unknown>;
}

/** Throws an AgentFailure that names what is wrong. */
export function parseResponses(given: unknown): ResponsesRequest {
  const parsed = body.safeParse(given);
  if (!parsed.success)
    throw badRequest(`This is no request for a response: ${z.prettifyError(parsed.error).replaceAll('\n', ' ')}`);
  const { instructions, input } = parsed.data;
  const before: ChatMessage[] = instructions ? [{ role: 'system', content: instructions }] : [];
  return { body: parsed.data, messages: [...before, ...messagesOf(input)], params: paramsOf(parsed.data) };
}

function paramsOf(asked: ResponsesBody): Record<string, unknown> {
  const params = {
    temperature: asked.temperature,
    top_p: asked.top_p,
    max_completion_tokens: asked.max_output_tokens,
    parallel_tool_calls: asked.tools?.length ? asked.parallel_tool_calls : undefined,
    reasoning_effort: asked.reasoning?.effort,
    verbosity: asked.text?.verbosity,
    response_format: formatOf(asked.text?.format),
    tools: asked.tools?.length ? asked.tools.map(toolOf) : undefined,
    tool_choice:
      typeof asked.tool_choice === 'object' && asked.tool_choice ? toolOf(asked.tool_choice) : asked.tool_choice,
  };
  return Object.fromEntries(Object.entries(params).filter(([, value]) => value != null));
}

const toolOf = ({ type, ...rest }: z.infer<typeof functionTool>): object => ({ type, function: rest });

function formatOf(given: z.infer<typeof format> | null | undefined): object | undefined {
  if (given == null || given.type === 'text') return undefined;
  const { type, ...schema } = given;
  return type === 'json_object' ? { type } : { type, json_schema: schema };
}
