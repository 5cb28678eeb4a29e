// The body of POST /v1/messages.
import { unpackSignature, unpackToolCallId } from '../../conversation/opaque.ts';
import type {
  CacheHint,
  ImagePart,
  Message,
  ModelRequest,
  OutputFormat,
  Part,
  ReasoningSettings,
  TextPart,
  ToolChoice,
  ToolDefinition,
  ToolResultPart,
} from '../../conversation/request.ts';
import { defined } from '../defined.ts';
import { Fields } from '../fields.ts';
import { always, nativeFields, unless, type FieldRules } from '../native.ts';

const MAX_MESSAGES = 4096;
const MAX_BLOCKS = 4096;
const MAX_TOOLS = 1024;
const MAX_STOPS = 64;

/** Throws a 400 that names the first field that is wrong. */
export function parseMessages(body: unknown): { request: ModelRequest; streamed: boolean; options: undefined } {
  const fields = new Fields(body);
  const model = fields.required('model', 253);
  const messages = fields.objects('messages', MAX_MESSAGES);
  if (!messages || messages.length === 0) throw fields.wrong('messages', 'must have at least one entry');
  const streamed = fields.boolean('stream') ?? false;
  const tools = fields.objects('tools', MAX_TOOLS)?.map(toolOf);
  const settings = fields.object('output_config');
  const request: ModelRequest = {
    model,
    messages: [...systemOf(fields), ...messages.flatMap(messagesOf)],
    ...(tools === undefined || tools.length === 0 ? {} : { tools }),
    ...choiceOf(fields.object('tool_choice')),
    ...defined({ output: formatOf(settings), reasoning: reasoningOf(fields.object('thinking'), settings) }),
    sampling: defined({
      maxTokens: fields.integer('max_tokens', 1),
      temperature: fields.number('temperature', 0, 1),
      topP: fields.number('top_p', 0, 1),
      topK: fields.integer('top_k', 0),
      stop: fields.strings('stop_sequences', MAX_STOPS),
    }),
    native: nativeFields('messages', fields.rest(), rules),
  };
  return { request, streamed, options: undefined };
}

const rules: FieldRules = {
  hints: new Set(['metadata', 'cache_control', 'diagnostics', 'user_profile_id', 'workspace_id']),
  refused: {
    container: always,
    mcp_servers: always,
    context_management: always,
    inference_geo: always,
    speed: unless('standard'),
    service_tier: unless('auto', 'standard_only'),
  },
};

function systemOf(fields: Fields): Message[] {
  const parts = textsOf(fields, 'system');
  return parts.length === 0 ? [] : [{ role: 'system', parts }];
}

function textsOf(fields: Fields, name: string): TextPart[] {
  const value = fields.any(name);
  if (typeof value === 'string') return value === '' ? [] : [{ type: 'text', text: value }];
  return (fields.objects(name, MAX_BLOCKS) ?? []).map((block) => {
    if (block.required('type', 64) !== 'text') throw block.wrong('type', 'must be text here');
    return textOf(block);
  });
}

/** What tools said stands in the user's messages, with what the user says; the neutral request keeps them apart. */
function messagesOf(fields: Fields): Message[] {
  const role = fields.oneOf('role', ['user', 'assistant', 'system'] as const);
  if (role === undefined) throw fields.wrong('role', 'is missing');
  if (role === 'system') return [{ role, parts: textsOf(fields, 'content') }];
  const messages: Message[] = [];
  for (const part of partsOf(fields)) {
    const own = part.type === 'toolResult' ? 'tool' : role;
    const last = messages.at(-1);
    if (last?.role === own) last.parts.push(part);
    else messages.push({ role: own, parts: [part] });
  }
  return messages;
}

function partsOf(fields: Fields): Part[] {
  const content = fields.any('content');
  if (content === undefined) throw fields.wrong('content', 'is missing');
  if (typeof content === 'string') return [{ type: 'text', text: content }];
  return (fields.objects('content', MAX_BLOCKS) ?? []).map(partOf);
}

function partOf(block: Fields): Part {
  const type = block.required('type', 64);
  switch (type) {
    case 'text':
      return textOf(block);
    case 'image':
      return imageOf(block) ?? { type: 'native', dialect: 'messages', value: block.raw };
    case 'tool_use': {
      const { id, opaque } = unpackToolCallId(block.required('id'));
      const input = block.record('input') ?? {};
      return {
        type: 'toolCall',
        id,
        name: block.required('name', 256),
        arguments: JSON.stringify(input),
        ...cacheOf(block),
        ...(opaque && { opaque }),
      };
    }
    case 'tool_result':
      return resultOf(block);
    case 'thinking': {
      const signature = block.string('signature');
      const opaque = signature ? { opaque: unpackSignature(signature, 'anthropic') } : {};
      return { type: 'reasoning', ...defined({ text: block.string('thinking') }), ...opaque };
    }
    case 'redacted_thinking':
      return { type: 'reasoning', opaque: { family: 'anthropic', data: block.required('data'), kind: 'redacted' } };
    default:
      return { type: 'native', dialect: 'messages', value: block.raw };
  }
}

function textOf(block: Fields): TextPart {
  const text = block.string('text');
  if (text === undefined) throw block.wrong('text', 'is missing');
  return { type: 'text', text, ...cacheOf(block) };
}

/** `undefined` for an image that was uploaded to Anthropic. */
function imageOf(block: Fields): ImagePart | undefined {
  const source = block.object('source');
  if (!source) throw block.wrong('source', 'is missing');
  const type = source.required('type', 64);
  if (type === 'url') return { type: 'image', source: { url: source.required('url') }, ...cacheOf(block) };
  if (type !== 'base64') return undefined;
  const image = { data: source.required('data'), mediaType: source.required('media_type', 256) };
  return { type: 'image', source: image, ...cacheOf(block) };
}

function resultOf(block: Fields): ToolResultPart {
  const { id } = unpackToolCallId(block.required('tool_use_id'));
  const content = block.any('content');
  const parts =
    typeof content === 'string'
      ? [{ type: 'text' as const, text: content }]
      : (block.objects('content', MAX_BLOCKS) ?? []).map(resultPartOf);
  return { type: 'toolResult', id, parts, ...defined({ isError: block.boolean('is_error') }), ...cacheOf(block) };
}

function resultPartOf(block: Fields): TextPart | ImagePart {
  const type = block.required('type', 64);
  if (type === 'text') return textOf(block);
  const image = type === 'image' ? imageOf(block) : undefined;
  if (image) return image;
  throw block.wrong('type', 'must be text, or an image with its data or its address: the gateway carries no others');
}

function cacheOf(block: Fields): { cache?: CacheHint } {
  const hint = block.object('cache_control');
  return hint ? { cache: { ttl: hint.oneOf('ttl', ['5m', '1h'] as const) ?? '5m' } } : {};
}

function toolOf(tool: Fields): ToolDefinition {
  const type = tool.string('type', 64) ?? 'custom';
  if (type !== 'custom') throw tool.wrong('type', 'must be custom: the gateway knows no tools that the provider runs');
  const definition = {
    name: tool.required('name', 256),
    ...defined({
      description: tool.string('description'),
      parameters: tool.record('input_schema'),
      strict: tool.boolean('strict'),
    }),
    ...cacheOf(tool),
  };
  tool.any('eager_input_streaming');
  const [unknown] = Object.keys(tool.rest());
  if (unknown !== undefined) throw tool.wrong(unknown, 'is not something that the gateway offers');
  return definition;
}

function choiceOf(choice: Fields | undefined): { toolChoice?: ToolChoice; parallelToolCalls?: boolean } {
  if (!choice) return {};
  const type = choice.oneOf('type', ['auto', 'any', 'tool', 'none'] as const);
  if (type === undefined) throw choice.wrong('type', 'is missing');
  const alone = choice.boolean('disable_parallel_tool_use');
  const words = { auto: 'auto', any: 'required', none: 'none' } as const;
  return {
    toolChoice: type === 'tool' ? { name: choice.required('name', 256) } : words[type],
    ...(alone === undefined ? {} : { parallelToolCalls: !alone }),
  };
}

function formatOf(settings: Fields | undefined): OutputFormat | undefined {
  const format = settings?.object('format');
  if (!format) return undefined;
  format.oneOf('type', ['json_schema'] as const);
  const schema = format.record('schema');
  if (!schema) throw format.wrong('schema', 'is missing');
  return { type: 'schema', name: 'answer', schema, strict: true };
}

/** Without a word about effort, a model that thinks as it likes thinks hard. */
function reasoningOf(thinking: Fields | undefined, settings: Fields | undefined): ReasoningSettings | undefined {
  const effort = settings?.oneOf('effort', ['low', 'medium', 'high', 'xhigh', 'max'] as const);
  if (!thinking) return effort === undefined ? undefined : { effort };
  const type = thinking.oneOf('type', ['enabled', 'adaptive', 'disabled'] as const);
  if (type === undefined) throw thinking.wrong('type', 'is missing');
  if (type === 'disabled') return { effort: 'none' };
  const display = thinking.oneOf('display', ['summarized', 'omitted'] as const);
  if (type === 'adaptive') return { effort: effort ?? 'high', ...(display === 'summarized' ? { visible: true } : {}) };
  const budgetTokens = thinking.integer('budget_tokens', 1);
  if (budgetTokens === undefined) throw thinking.wrong('budget_tokens', 'is missing');
  return { budgetTokens, ...defined({ effort }), ...(display === 'omitted' ? {} : { visible: true }) };
}
