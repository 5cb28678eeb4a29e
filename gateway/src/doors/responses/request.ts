// The body of POST /v1/responses.
import { efforts, type ModelRequest, type OutputFormat, type ReasoningSettings, type ToolChoice, type ToolDefinition } from '../../conversation/request.ts'; // prettier-ignore
import { invalidRequest } from '../../errors.ts';
import { defined } from '../defined.ts';
import { Fields } from '../fields.ts';
import { always, nativeFields, unless, type FieldRules } from '../native.ts';
import { inputOf } from './input.ts';

/** What the answer says again of the request. */
export interface ResponsesOptions {
  instructions: string | null;
  maxOutputTokens: number | null;
  temperature: number | null;
  topP: number | null;
  parallelToolCalls: boolean;
  tools: unknown[];
  toolChoice: unknown;
  text: object;
  reasoning: object | null;
  metadata: object;
}

const MAX_TOOLS = 1024;
const MAX_INCLUDES = 64;

/** Throws a 400 that names the first field that is wrong. */
export function parseResponses(body: unknown): {
  request: ModelRequest;
  streamed: boolean;
  options: ResponsesOptions;
} {
  const fields = new Fields(body);
  refuseStored(fields);
  const model = fields.required('model', 253);
  const instructions = fields.string('instructions');
  const messages = inputOf(fields);
  const streamed = fields.boolean('stream') ?? false;
  fields.any('stream_options');
  refuseIncludes(fields);
  const tools = fields.objects('tools', MAX_TOOLS)?.map(toolOf);
  const parallelToolCalls = fields.boolean('parallel_tool_calls');
  const toolChoice = choiceOf(fields);
  const text = fields.object('text');
  const thinking = fields.object('reasoning');
  const sampling = {
    temperature: fields.number('temperature', 0, 2),
    topP: fields.number('top_p', 0, 1),
    maxTokens: fields.integer('max_output_tokens', 1),
  };
  const output = text && formatOf(text);
  const native = nativeFields('responses', fields.rest(), rules);
  const style = text?.rest() ?? {};
  if (Object.values(style).some((value) => value !== 'medium')) native.fields['text'] = style;
  const request: ModelRequest = {
    model,
    messages: instructions
      ? [{ role: 'system', parts: [{ type: 'text', text: instructions }] }, ...messages]
      : messages,
    ...(tools === undefined || tools.length === 0 ? {} : { tools }),
    ...defined({ toolChoice, parallelToolCalls, output, reasoning: thinking && reasoningOf(thinking) }),
    sampling: defined(sampling),
    native,
  };
  const options: ResponsesOptions = {
    instructions: instructions ?? null,
    maxOutputTokens: sampling.maxTokens ?? null,
    temperature: sampling.temperature ?? null,
    topP: sampling.topP ?? null,
    parallelToolCalls: parallelToolCalls ?? true,
    tools: (fields.any('tools') as unknown[] | undefined) ?? [],
    toolChoice: fields.any('tool_choice') ?? 'auto',
    text: { ...style, format: text?.any('format') ?? { type: 'text' } },
    reasoning: thinking ? thinking.raw : null,
    metadata: fields.record('metadata') ?? {},
  };
  return { request, streamed, options };
}

/** The gateway keeps nothing of a conversation. */
function refuseStored(fields: Fields): void {
  for (const name of ['previous_response_id', 'conversation', 'prompt']) {
    if (fields.any(name) !== undefined) {
      throw fields.wrong(name, 'is refused, for the gateway keeps no conversations: send the whole of it in `input`');
    }
  }
  if (fields.boolean('store')) {
    throw fields.wrong(
      'store',
      'must be false, for the gateway keeps no conversations: send the whole of it in `input`',
    );
  }
  if (fields.boolean('background')) {
    throw fields.wrong('background', 'must be false: the gateway answers within the call');
  }
}

/** Thoughts are encrypted and always there, whether they are asked for or not. */
function refuseIncludes(fields: Fields): void {
  const other = fields.strings('include', MAX_INCLUDES)?.find((one) => one !== 'reasoning.encrypted_content');
  if (other !== undefined) {
    throw invalidRequest(`include: ${other.slice(0, 64)} is not something that the gateway offers.`, 'include');
  }
}

const rules: FieldRules = {
  hints: new Set([
    'metadata', 'user', 'safety_identifier', 'prompt_cache_key', 'prompt_cache_retention', 'prompt_cache_options',
    'max_tool_calls',
  ]), // prettier-ignore
  refused: {
    service_tier: unless('auto', 'default'),
    top_logprobs: unless(0),
    truncation: unless('disabled', 'auto'),
    context_management: always,
    moderation: always,
    image: always,
  },
};

function toolOf(tool: Fields): ToolDefinition {
  if (tool.required('type', 64) !== 'function') {
    throw tool.wrong('type', 'must be function: the gateway knows no other tools');
  }
  return {
    name: tool.required('name', 256),
    ...defined({
      description: tool.string('description'),
      parameters: tool.record('parameters'),
      strict: tool.boolean('strict'),
    }),
  };
}

function choiceOf(fields: Fields): ToolChoice | undefined {
  const choice = fields.any('tool_choice');
  if (choice === undefined) return undefined;
  if (typeof choice === 'string') return fields.oneOf('tool_choice', ['auto', 'none', 'required'] as const);
  const named = fields.object('tool_choice');
  if (named?.any('type') !== 'function') {
    throw fields.wrong('tool_choice', 'must be auto, none, required, or name a function');
  }
  return { name: named.required('name', 256) };
}

function formatOf(text: Fields): OutputFormat | undefined {
  const format = text.object('format');
  if (!format) return undefined;
  const type = format.oneOf('type', ['text', 'json_object', 'json_schema'] as const);
  if (type === undefined) throw format.wrong('type', 'is missing');
  if (type === 'text') return { type };
  if (type === 'json_object') return { type: 'json' };
  const schema = format.record('schema');
  if (!schema) throw format.wrong('schema', 'is missing');
  return {
    type: 'schema',
    name: format.required('name', 256),
    schema,
    ...defined({ description: format.string('description'), strict: format.boolean('strict') }),
  };
}

function reasoningOf(thinking: Fields): ReasoningSettings {
  const summary = thinking.string('summary', 64) ?? thinking.string('generate_summary', 64);
  return {
    ...defined({ effort: thinking.oneOf('effort', efforts) }),
    ...(summary === undefined ? {} : { visible: true }),
  };
}
