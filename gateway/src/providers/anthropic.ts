// Anthropic's Messages API. Its tools need thinking blocks handed back from turn to turn, for which the chat protocol
// has no place, so requests with tools are refused rather than half translated.
import type { Anthropic } from '@anthropic-ai/sdk';
import type * as anthropic from '@anthropic-ai/sdk';
import type { Stream } from '@anthropic-ai/sdk/streaming';
import {
  maxTokens,
  refuseUnknownFields,
  stopSequences,
  textOf,
  type ChatMessage,
  type ChatRequest,
} from '../chat/request.ts';
import { GatewayError, invalidRequest } from '../errors.ts';
import type { Limits } from '../options.ts';
import { dataUrl, imagesOf, refuseTools } from './parts.ts';
import { fromAnswer, fromTransport } from './failures.ts';
import {
  ProviderError,
  type Answer,
  type FinishReason,
  type ModelCall,
  type ModelEvent,
  type Provider,
  type Usage,
} from './provider.ts';
import { sdkClients, upstreamModel } from './sdk-clients.ts';
import type { Upstream } from './upstream.ts';

type Sdk = typeof anthropic;

/** Called directly, since `messages.create` prints a warning for each call of a model that is about to retire. */
const MESSAGES = '/v1/messages';
const DEFAULT_BASE_URL = 'https://api.anthropic.com';
/** Anthropic wants a limit with every request; this one holds where the caller sets none. */
const DEFAULT_MAX_TOKENS = 16_384;

const efforts = ['low', 'medium', 'high', 'xhigh', 'max'] as const;
const translated = [
  'model', 'messages', 'stream', 'stream_options', 'temperature', 'top_p', 'max_tokens', 'max_completion_tokens', 'stop',
  'response_format', 'n', 'reasoning_effort',
]; // prettier-ignore
/** Of no meaning to Anthropic, and harmless to leave out. */
const ignored = [
  'user',
  'metadata',
  'store',
  'safety_identifier',
  'prompt_cache_key',
  'parallel_tool_calls',
  'logprobs',
  'modalities',
  'service_tier',
];
const known = new Set([...translated, ...ignored]);

export async function createAnthropic(upstream: Upstream, limits: Limits): Promise<Provider> {
  const sdk = await import('@anthropic-ai/sdk');
  const clientFor = sdkClients(
    DEFAULT_BASE_URL,
    (baseURL, apiKey) =>
      new sdk.Anthropic({
        baseURL,
        apiKey: apiKey ?? 'none',
        authToken: null,
        ...(apiKey === undefined ? { defaultHeaders: { Authorization: null } } : {}),
        maxRetries: 0,
        timeout: limits.callMs,
        fetch: upstream.fetch,
        logLevel: 'off',
        openTelemetry: { traces: false, propagation: false },
      }),
  );

  return {
    check: (request) => {
      refuseTools(request, 'Anthropic models');
      refuseUnknownFields(request, known, 'Anthropic models');
      parametersOf(request, '');
    },
    generate: async (call) => {
      try {
        const body = parametersOf(call.request, upstreamModel(call));
        return answerOf(await clientFor(call).post<Anthropic.Message>(MESSAGES, { body, signal: call.signal }));
      } catch (error) {
        throw failureOf(sdk, error, call.signal);
      }
    },
    stream: (call) => streamOf(sdk, clientFor(call), call),
  };
}

async function* streamOf(sdk: Sdk, client: Anthropic, call: ModelCall): AsyncGenerator<ModelEvent> {
  try {
    const body = parametersOf(call.request, upstreamModel(call));
    const events = await client.post<Stream<Anthropic.RawMessageStreamEvent>>(MESSAGES, {
      body: { ...body, stream: true },
      signal: call.signal,
      stream: true,
    });
    let usage = usageOf({});
    for await (const event of events) {
      if (event.type === 'message_start') yield { type: 'usage', usage: (usage = usageOf(event.message.usage)) };
      if (event.type === 'content_block_delta' && event.delta.type === 'text_delta') {
        yield { type: 'text', text: event.delta.text };
      }
      if (event.type !== 'message_delta') continue;
      // Its counts are totals so far; what it leaves out stands as it was.
      yield { type: 'usage', usage: (usage = usageOf(event.usage, usage)) };
      if (event.delta.stop_reason) yield { type: 'finish', reason: finishOf(event.delta.stop_reason) };
    }
  } catch (error) {
    throw failureOf(sdk, error, call.signal);
  }
}

/** `temperature` and `top_p` are no longer in the SDK's types: older models take them, newer ones refuse them. */
type MessageParameters = Omit<Anthropic.MessageCreateParams, 'stream'> & { temperature?: number; top_p?: number };

function parametersOf(request: ChatRequest, model: string): MessageParameters {
  const system = request.messages
    .filter(isInstruction)
    .map(textOf)
    .filter((text) => text !== '');
  const stop = stopSequences(request);
  const outputConfig = outputConfigOf(request);
  return {
    model,
    max_tokens: maxTokens(request) ?? DEFAULT_MAX_TOKENS,
    messages: request.messages.filter((message) => !isInstruction(message)).flatMap(messageOf),
    ...(system.length === 0 ? {} : { system: system.join('\n\n') }),
    ...(stop.length === 0 ? {} : { stop_sequences: stop }),
    ...(typeof request.temperature === 'number' ? { temperature: request.temperature } : {}),
    ...(typeof request.top_p === 'number' ? { top_p: request.top_p } : {}),
    ...(outputConfig === undefined ? {} : { output_config: outputConfig }),
  };
}

const isInstruction = ({ role }: ChatMessage): boolean => role === 'system' || role === 'developer';

function messageOf(message: ChatMessage): Anthropic.MessageParam[] {
  const role = message.role === 'assistant' ? 'assistant' : 'user';
  const text = textOf(message);
  const images = imagesOf(message).map(imageOf);
  if (images.length === 0) return text === '' ? [] : [{ role, content: text }];
  return [{ role, content: [...images, ...(text === '' ? [] : [{ type: 'text' as const, text }])] }];
}

function imageOf(url: string): Anthropic.ImageBlockParam {
  const inline = dataUrl(url);
  if (!inline) return { type: 'image', source: { type: 'url', url } };
  const mediaType = (['image/jpeg', 'image/png', 'image/gif', 'image/webp'] as const).find(
    (type) => type === inline.mimeType,
  );
  if (!mediaType)
    throw invalidRequest(`Anthropic models do not take images of type ${inline.mimeType.slice(0, 64)}.`, 'messages');
  return { type: 'image', source: { type: 'base64', media_type: mediaType, data: inline.data } };
}

function outputConfigOf(request: ChatRequest): Anthropic.OutputConfig | undefined {
  const { response_format: format, reasoning_effort: effort } = request;
  const config: Anthropic.OutputConfig = {};
  if (format?.type === 'json_object') {
    throw invalidRequest('Anthropic models have no `json_object` mode; use `json_schema`.', 'response_format');
  }
  if (format?.type === 'json_schema') {
    const schema = (format as { json_schema: { schema?: Record<string, unknown> } }).json_schema.schema;
    config.format = { type: 'json_schema', schema: schema ?? { type: 'object' } };
  }
  if (effort !== undefined && effort !== null) {
    const offered = efforts.find((one) => one === effort);
    if (!offered) throw invalidRequest(`Anthropic models know the efforts ${efforts.join(', ')}.`, 'reasoning_effort');
    config.effort = offered;
  }
  return Object.keys(config).length === 0 ? undefined : config;
}

function answerOf(message: Anthropic.Message): Answer {
  const { content, usage, stop_reason: reason } = message as Partial<Anthropic.Message>;
  if (!Array.isArray(content)) throw new ProviderError('malformed', 'answered without content');
  const text = content.map((block) => (block.type === 'text' ? block.text : '')).join('');
  return {
    text,
    refusal: null,
    toolCalls: [],
    finish: finishOf(reason ?? 'end_turn'),
    ...(usage ? { usage: usageOf(usage) } : {}),
  };
}

function finishOf(reason: string): FinishReason {
  if (reason === 'max_tokens' || reason === 'model_context_window_exceeded') return 'length';
  if (reason === 'refusal') return 'content_filter';
  return 'stop';
}

interface Counts {
  input_tokens?: number | null;
  cache_read_input_tokens?: number | null;
  cache_creation_input_tokens?: number | null;
  output_tokens?: number | null;
  output_tokens_details?: { thinking_tokens?: number | null } | null;
}

/** Anthropic counts cached input apart from `input_tokens`; Kadre counts it in. */
function usageOf(counts: Counts, before?: Usage): Usage {
  const cached = counts.cache_read_input_tokens ?? before?.cachedInputTokens ?? 0;
  const written = counts.cache_creation_input_tokens ?? before?.cacheWriteTokens ?? 0;
  const plainBefore = before ? before.inputTokens - before.cachedInputTokens - before.cacheWriteTokens : 0;
  return {
    inputTokens: (counts.input_tokens ?? plainBefore) + cached + written,
    cachedInputTokens: cached,
    cacheWriteTokens: written,
    outputTokens: counts.output_tokens ?? before?.outputTokens ?? 0,
    reasoningTokens: counts.output_tokens_details?.thinking_tokens ?? before?.reasoningTokens ?? 0,
  };
}

function failureOf(sdk: Sdk, error: unknown, signal: AbortSignal): unknown {
  if (signal.aborted) return signal.reason;
  if (error instanceof ProviderError || error instanceof GatewayError) return error;
  if (error instanceof sdk.APIConnectionError || !(error instanceof sdk.APIError)) return fromTransport(error);
  return fromAnswer({
    message: error.apiMessage ?? 'no reason given',
    ...(typeof error.status === 'number' ? { status: error.status } : {}),
    ...(error.headers ? { headers: error.headers as Headers } : {}),
    type: error.type,
  });
}
