// The neutral request in the words of Anthropic's Messages.
import { invalidRequest } from '../../errors.ts';
import type { CacheHint, Message, ModelRequest, Part, ToolDefinition } from '../../conversation/request.ts';
import { argumentsOf } from '../../conversation/arguments.ts';
import { budgetOf, effortOf } from '../effort.ts';
import { inlineImage } from '../parts.ts';
import { takesEffort } from './models.ts';
import { heldSchema } from './schema.ts';

/** Anthropic wants a limit with every request; this one holds where nobody sets one. */
const DEFAULT_MAX_TOKENS = 16_384;
const MIN_BUDGET = 1_024;
/** More than these are refused; the last ones reach furthest. */
const MAX_BREAKPOINTS = 4;

type Block = Record<string, unknown>;

/** Undefined fields are not sent. */
export function messagesBody(request: ModelRequest, model: string, streamed: boolean): object {
  const { sampling, native, tools } = request;
  const own = native?.dialect === 'messages' ? { ...native.hints, ...native.fields } : {};
  const cache = new Breakpoints();
  const body = {
    ...own,
    model,
    ...thinkingOf(request, model),
    temperature: sampling.temperature,
    top_p: sampling.topP,
    top_k: sampling.topK,
    stop_sequences: sampling.stop,
    ...(tools === undefined ? {} : { tools: tools.map((tool) => toolOf(tool, cache)), tool_choice: choiceOf(request) }),
    system: systemOf(request, cache),
    messages: turnsOf(request, cache),
    ...(streamed ? { stream: true } : {}),
  };
  cache.keepTheLast(MAX_BREAKPOINTS);
  return body;
}

/** Where the provider is told to keep what stands before. */
class Breakpoints {
  readonly #blocks: Block[] = [];

  mark(block: Block, hint: CacheHint | undefined): Block {
    if (!hint) return block;
    block['cache_control'] = { type: 'ephemeral', ...(hint.ttl === '1h' ? { ttl: '1h' } : {}) };
    this.#blocks.push(block);
    return block;
  }

  keepTheLast(count: number): void {
    for (const block of this.#blocks.slice(0, -count)) delete block['cache_control'];
  }
}

function systemOf({ messages }: ModelRequest, cache: Breakpoints): string | Block[] | undefined {
  const parts = messages.flatMap(({ role, parts: own }) => (role === 'system' ? own : []));
  const texts = parts.flatMap((part) => (part.type === 'text' && part.text !== '' ? [part] : []));
  if (texts.length === 0) return undefined;
  if (texts.every(({ cache: hint }) => hint === undefined)) return texts.map(({ text }) => text).join('\n\n');
  return texts.map(({ text, cache: hint }) => cache.mark({ type: 'text', text }, hint));
}

/** Turns take turns: what tools said is the user's, and stands before what the user says. */
function turnsOf({ messages }: ModelRequest, cache: Breakpoints): { role: string; content: string | Block[] }[] {
  const turns: { role: string; content: Block[] }[] = [];
  for (const message of messages) {
    if (message.role === 'system') continue;
    const role = message.role === 'assistant' ? 'assistant' : 'user';
    const content = blocksOf(message, cache);
    const last = turns.at(-1);
    if (last?.role === role) last.content.push(...content);
    else if (content.length > 0) turns.push({ role, content });
  }
  return turns.map(({ role, content }) => ({ role, content: plain(content) ?? content }));
}

/** A single text is sent as a string. */
function plain(content: readonly Block[]): string | undefined {
  const [only] = content;
  if (content.length !== 1 || only?.['type'] !== 'text' || only['cache_control'] !== undefined) return undefined;
  return only['text'] as string;
}

const blocksOf = ({ parts }: Message, cache: Breakpoints): Block[] => parts.flatMap((part) => blockOf(part, cache));

function blockOf(part: Part, cache: Breakpoints): Block[] {
  switch (part.type) {
    case 'text':
      return part.text === '' ? [] : [cache.mark({ type: 'text', text: part.text }, part.cache)];
    case 'refusal':
      return part.text === '' ? [] : [{ type: 'text', text: part.text }];
    case 'image':
      return [cache.mark(imageOf(part), part.cache)];
    case 'toolCall': {
      const { id, name, arguments: args } = part;
      return [cache.mark({ type: 'tool_use', id: idOf(id), name, input: argumentsOf(args) }, part.cache)];
    }
    case 'toolResult': {
      const content = part.parts.flatMap((inner) => blockOf(inner, cache));
      const result = { type: 'tool_result', tool_use_id: idOf(part.id), content: plain(content) ?? content };
      return [cache.mark(part.isError ? { ...result, is_error: true } : result, part.cache)];
    }
    case 'reasoning': {
      const { opaque, text = '' } = part;
      if (opaque?.family !== 'anthropic') return [];
      if (opaque.kind === 'redacted') return [{ type: 'redacted_thinking', data: opaque.data }];
      return [{ type: 'thinking', thinking: text, signature: opaque.data }];
    }
    case 'native':
      return [part.value];
  }
}

/** Ids of other providers may hold characters that Anthropic refuses. */
const idOf = (id: string): string => id.replaceAll(/[^a-zA-Z0-9_-]/g, '_');

const imageTypes = ['image/jpeg', 'image/png', 'image/gif', 'image/webp'];

function imageOf(part: Extract<Part, { type: 'image' }>): Block {
  const inline = inlineImage(part);
  if (!inline) return { type: 'image', source: { type: 'url', url: (part.source as { url: string }).url } };
  const { mediaType, data } = inline;
  if (!imageTypes.includes(mediaType)) {
    throw invalidRequest(`Anthropic models do not take images of type ${mediaType.slice(0, 64)}.`, 'messages');
  }
  return { type: 'image', source: { type: 'base64', media_type: mediaType, data } };
}

const toolOf = ({ name, description, parameters, strict, cache: hint }: ToolDefinition, cache: Breakpoints): Block =>
  cache.mark(
    {
      name,
      description,
      input_schema: parameters ?? { type: 'object', properties: {} },
      ...(strict ? { strict } : {}),
    },
    hint,
  );

function choiceOf({ toolChoice = 'auto', parallelToolCalls }: ModelRequest): object | undefined {
  const alone = parallelToolCalls === false ? { disable_parallel_tool_use: true } : {};
  if (typeof toolChoice === 'object') return { type: 'tool', name: toolChoice.name, ...alone };
  if (toolChoice === 'none') return { type: 'none' };
  return toolChoice === 'required' ? { type: 'any', ...alone } : { type: 'auto', ...alone };
}

/** How hard, how much, and in which form: thinking counts toward the limit on tokens. */
function thinkingOf({ reasoning, sampling, output }: ModelRequest, model: string): object {
  const limit = sampling.maxTokens;
  const format =
    output?.type === 'schema' ? { format: { type: 'json_schema', schema: heldSchema(output.schema) } } : {};
  const effort = reasoning && effortOf(reasoning);
  if (reasoning === undefined || effort === undefined || effort === 'none') {
    return { max_tokens: limit ?? DEFAULT_MAX_TOKENS, thinking: effort && { type: 'disabled' }, ...config(format) };
  }
  const display = reasoning.visible ? { display: 'summarized' } : {};
  if (reasoning.budgetTokens === undefined && takesEffort(model)) {
    return {
      max_tokens: limit ?? DEFAULT_MAX_TOKENS,
      thinking: { type: 'adaptive', ...display },
      ...config({ ...format, effort: effort === 'minimal' ? 'low' : effort }),
    };
  }
  const wanted = Math.max(MIN_BUDGET, budgetOf(reasoning) ?? MIN_BUDGET);
  if (limit === undefined) {
    const thinking = { type: 'enabled', budget_tokens: wanted, ...display };
    return { max_tokens: DEFAULT_MAX_TOKENS + wanted, thinking, ...config(format) };
  }
  // An answer that short leaves no room for thoughts.
  if (limit <= MIN_BUDGET) return { max_tokens: limit, ...config(format) };
  const thinking = { type: 'enabled', budget_tokens: Math.min(wanted, limit - 1), ...display };
  return { max_tokens: limit, thinking, ...config(format) };
}

const config = (settings: object): object => (Object.keys(settings).length === 0 ? {} : { output_config: settings });
