// The body of POST /v1/chat/completions.
import { unpackToolCallId } from '../../conversation/opaque.ts';
import {
  efforts,
  type CacheHint,
  type ImagePart,
  type Message,
  type ModelRequest,
  type OutputFormat,
  type Part,
  type ReasoningSettings,
  type Sampling,
  type TextPart,
  type ToolChoice,
  type ToolDefinition,
} from '../../conversation/request.ts';
import { defined } from '../defined.ts';
import { Fields } from '../fields.ts';
import { always, nativeFields, unless, type FieldRules } from '../native.ts';

export interface ChatOptions {
  /** Whether a last chunk with the usage is wanted. */
  includeUsage: boolean;
}

const MAX_MESSAGES = 4096;
const MAX_PARTS = 1024;
const MAX_TOOLS = 1024;
const MAX_CALLS = 256;
const MAX_STOPS = 16;

/** Throws a 400 that names the first field that is wrong. */
export function parseChat(body: unknown): { request: ModelRequest; streamed: boolean; options: ChatOptions } {
  const fields = new Fields(body);
  const model = fields.required('model', 253);
  const messages = fields.objects('messages', MAX_MESSAGES);
  if (!messages || messages.length === 0) throw fields.wrong('messages', 'must have at least one entry');
  const streamed = fields.boolean('stream') ?? false;
  const includeUsage = fields.object('stream_options')?.boolean('include_usage') ?? false;
  const tools = fields.objects('tools', MAX_TOOLS)?.map(toolOf);
  const toolChoice = choiceOf(fields);
  const parallelToolCalls = fields.boolean('parallel_tool_calls');
  const output = outputOf(fields);
  const reasoning = reasoningOf(fields);
  const request: ModelRequest = {
    model,
    messages: messages.map(messageOf),
    ...(tools === undefined || tools.length === 0 ? {} : { tools }),
    ...(toolChoice === undefined ? {} : { toolChoice }),
    ...(parallelToolCalls === undefined ? {} : { parallelToolCalls }),
    ...(output === undefined ? {} : { output }),
    sampling: samplingOf(fields),
    ...(reasoning === undefined ? {} : { reasoning }),
    native: nativeFields('chat-completions', fields.rest(), rules),
  };
  return { request, streamed, options: { includeUsage } };
}

function samplingOf(fields: Fields): Sampling {
  const oldLimit = fields.integer('max_tokens', 1);
  return defined({
    temperature: fields.number('temperature', 0, 2),
    topP: fields.number('top_p', 0, 1),
    seed: fields.integer('seed'),
    frequencyPenalty: fields.number('frequency_penalty', -2, 2),
    presencePenalty: fields.number('presence_penalty', -2, 2),
    stop: fields.strings('stop', MAX_STOPS),
    maxTokens: fields.integer('max_completion_tokens', 1) ?? oldLimit,
  });
}

function messageOf(fields: Fields): Message {
  const role = fields.oneOf('role', ['system', 'developer', 'user', 'assistant', 'tool'] as const);
  if (role === undefined) throw fields.wrong('role', 'is missing');
  const content = contentOf(fields);
  if (role === 'tool') {
    const { id } = unpackToolCallId(fields.required('tool_call_id'));
    const said = content.filter((part): part is TextPart | ImagePart => part.type === 'text' || part.type === 'image');
    return { role, parts: [{ type: 'toolResult', id, parts: said }] };
  }
  const name = fields.string('name', 256);
  return {
    role: role === 'developer' ? 'system' : role,
    parts: role === 'assistant' ? assistantParts(fields, content) : content,
    ...(name === undefined ? {} : { name }),
  };
}

/** Thoughts that led to a call stand before it; those of the first call were there before anything was said. */
function assistantParts(fields: Fields, content: Part[]): Part[] {
  if (fields.any('function_call') !== undefined) throw fields.wrong('function_call', 'is out of use: use tool_calls');
  const refusal = fields.string('refusal');
  const said: Part[] = refusal === undefined ? content : [...content, { type: 'refusal', text: refusal }];
  const calls: Part[] = [];
  let first: Part[] = [];
  for (const [index, call] of (fields.objects('tool_calls', MAX_CALLS) ?? []).entries()) {
    const { id, opaque, thoughts } = unpackToolCallId(call.required('id'));
    const called = call.object('function');
    if (!called) throw call.wrong('function', 'is missing: the gateway knows calls of functions alone');
    const reasoning = thoughts.map((thought): Part => ({ type: 'reasoning', ...thought }));
    if (index === 0) first = reasoning;
    else calls.push(...reasoning);
    calls.push({
      type: 'toolCall',
      id,
      name: called.required('name', 256),
      arguments: called.string('arguments') ?? '',
      ...(opaque && { opaque }),
    });
  }
  return [...first, ...said, ...calls];
}

function contentOf(fields: Fields): Part[] {
  const content = fields.any('content');
  if (content === undefined) return [];
  if (typeof content === 'string') return [{ type: 'text', text: content }];
  return (fields.objects('content', MAX_PARTS) ?? []).map(partOf);
}

function partOf(fields: Fields): Part {
  const type = fields.required('type', 64);
  const cache = cacheOf(fields);
  if (type === 'text') {
    const text = fields.string('text');
    if (text === undefined) throw fields.wrong('text', 'is missing');
    return { type, text, ...cache };
  }
  if (type === 'refusal') return { type, text: fields.required('refusal') };
  if (type !== 'image_url') return { type: 'native', dialect: 'chat-completions', value: fields.raw };
  const image = fields.object('image_url');
  if (!image) throw fields.wrong('image_url', 'is missing');
  const detail = image.oneOf('detail', ['low', 'high', 'auto'] as const);
  return {
    type: 'image',
    source: { url: image.required('url') },
    ...(detail === undefined ? {} : { detail }),
    ...cache,
  };
}

/** As LiteLLM and OpenRouter write it down: OpenAI's own models cache by themselves. */
function cacheOf(fields: Fields): { cache?: CacheHint } {
  const hint = fields.object('cache_control');
  return hint ? { cache: { ttl: hint.oneOf('ttl', ['5m', '1h'] as const) ?? '5m' } } : {};
}

function toolOf(fields: Fields): ToolDefinition {
  const type = fields.required('type', 64);
  const tool = fields.object('function');
  if (type !== 'function' || !tool) throw fields.wrong('type', 'must be function: the gateway knows no other tools');
  const description = tool.string('description');
  const parameters = tool.record('parameters');
  const strict = tool.boolean('strict');
  return {
    name: tool.required('name', 256),
    ...(description === undefined ? {} : { description }),
    ...(parameters === undefined ? {} : { parameters }),
    ...(strict === undefined ? {} : { strict }),
    ...cacheOf(fields),
  };
}

function choiceOf(fields: Fields): ToolChoice | undefined {
  const choice = fields.any('tool_choice');
  if (choice === undefined) return undefined;
  if (typeof choice === 'string') return fields.oneOf('tool_choice', ['auto', 'none', 'required'] as const);
  const named = fields.object('tool_choice')?.object('function');
  if (!named) throw fields.wrong('tool_choice', 'must be auto, none, required, or name a function');
  return { name: named.required('name', 256) };
}

function outputOf(fields: Fields): OutputFormat | undefined {
  const format = fields.object('response_format');
  if (!format) return undefined;
  const type = format.oneOf('type', ['text', 'json_object', 'json_schema'] as const);
  if (type === undefined) throw format.wrong('type', 'is missing');
  if (type === 'text') return { type };
  if (type === 'json_object') return { type: 'json' };
  const wanted = format.object('json_schema');
  if (!wanted) throw format.wrong('json_schema', 'is missing');
  const name = wanted.required('name', 256);
  const schema = wanted.record('schema');
  if (!schema) return { type: 'json' };
  const description = wanted.string('description');
  const strict = wanted.boolean('strict');
  return {
    type: 'schema',
    name,
    schema,
    ...(description === undefined ? {} : { description }),
    ...(strict === undefined ? {} : { strict }),
  };
}

/** OpenAI knows `reasoning_effort`; `reasoning` is how OpenRouter asks for thoughts that can be read. */
function reasoningOf(fields: Fields): ReasoningSettings | undefined {
  const own = fields.oneOf('reasoning_effort', efforts);
  const more = fields.object('reasoning');
  const effort = own ?? more?.oneOf('effort', efforts);
  const budgetTokens = more?.integer('max_tokens', 0);
  const visible = more && more.boolean('exclude') !== true;
  if (effort === undefined && !more) return undefined;
  return {
    ...(effort === undefined ? {} : { effort }),
    ...(budgetTokens === undefined ? {} : { budgetTokens }),
    ...(visible ? { visible } : {}),
  };
}

const rules: FieldRules = {
  hints: new Set(['user', 'metadata', 'store', 'safety_identifier', 'prompt_cache_key', 'prompt_cache_retention']),
  refused: {
    n: unless(1),
    logprobs: unless(false),
    top_logprobs: unless(0),
    audio: always,
    modalities: (value) => JSON.stringify(value) !== '["text"]',
    functions: always,
    function_call: always,
    web_search_options: always,
    service_tier: unless('auto', 'default'),
  },
};
