// Google's Gemini API. Its tool calls carry signatures that must come back unchanged, for which the chat protocol has no
// place, so requests with tools are refused rather than half translated.
import type {
  GenerateContentConfig,
  GenerateContentParameters,
  GenerateContentResponse,
  GoogleGenAI,
  Part,
} from '@google/genai';
import type * as genai from '@google/genai';
import {
  maxTokens,
  refuseUnknownFields,
  stopSequences,
  textOf,
  type ChatMessage,
  type ChatRequest,
} from '../chat/request.ts';
import { GatewayError, invalidRequest } from '../errors.ts';
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

type Sdk = typeof genai;

const DEFAULT_BASE_URL = 'https://generativelanguage.googleapis.com/';

const known = new Set([
  // translated
  'model', 'messages', 'stream', 'stream_options', 'temperature', 'top_p', 'max_tokens', 'max_completion_tokens', 'stop',
  'response_format', 'n', 'seed', 'frequency_penalty', 'presence_penalty',
  // of no meaning to Google, and harmless to leave out
  'user', 'metadata', 'store', 'safety_identifier', 'prompt_cache_key', 'parallel_tool_calls', 'logprobs', 'modalities', 'service_tier',
]); // prettier-ignore

export async function createGoogle(upstream: Upstream): Promise<Provider> {
  const sdk = await import('@google/genai');
  const clientFor = sdkClients(
    DEFAULT_BASE_URL,
    (baseUrl, apiKey) =>
      new sdk.GoogleGenAI({ vertexai: false, apiKey: apiKey ?? 'none', httpOptions: addressOf(baseUrl) }),
  );

  return {
    check: (request) => {
      refuseTools(request, 'Google models');
      refuseUnknownFields(request, known, 'Google models');
      contentsOf(request);
    },
    generate: async (call) => {
      const seen: Seen = {};
      try {
        return answerOf(await clientFor(call).models.generateContent(parametersOf(call, upstream, seen)));
      } catch (error) {
        throw failureOf(sdk, error, call.signal, seen);
      }
    },
    stream: (call) => streamOf(sdk, clientFor(call), call, upstream),
  };
}

async function* streamOf(
  sdk: Sdk,
  client: GoogleGenAI,
  call: ModelCall,
  upstream: Upstream,
): AsyncGenerator<ModelEvent> {
  const seen: Seen = {};
  try {
    const responses = await client.models.generateContentStream(parametersOf(call, upstream, seen));
    for await (const response of responses) {
      const text = visibleText(response);
      if (text !== '') yield { type: 'text', text };
      if (response.usageMetadata) yield { type: 'usage', usage: usageOf(response.usageMetadata) };
      const reason = finishOf(response);
      if (reason) yield { type: 'finish', reason };
    }
  } catch (error) {
    throw failureOf(sdk, error, call.signal, seen);
  }
}

/** The SDK adds the API's version to the address itself, so one that ends in a version has it taken apart. */
function addressOf(url: string): { baseUrl: string; apiVersion?: string } {
  const [, baseUrl, apiVersion] = /^(.+)\/(v\d[a-z0-9]*)\/?$/.exec(url) ?? [];
  return baseUrl === undefined || apiVersion === undefined ? { baseUrl: url } : { baseUrl, apiVersion };
}

/** The SDK's errors come without headers, so they are noted as they pass. */
interface Seen {
  retryAfter?: string | null;
}

function parametersOf(call: ModelCall, upstream: Upstream, seen: Seen): GenerateContentParameters {
  const { request, signal } = call;
  const model = upstreamModel(call);
  const noting = async (...args: Parameters<typeof fetch>): Promise<Response> => {
    const response = await upstream.fetch(...args);
    seen.retryAfter = response.headers.get('retry-after');
    return response;
  };
  return {
    model,
    contents: contentsOf(request),
    config: { ...configOf(request), abortSignal: signal, automaticContinuation: false, httpOptions: { fetch: noting } },
  };
}

function configOf(request: ChatRequest): GenerateContentConfig {
  const system = request.messages
    .filter(isInstruction)
    .map(textOf)
    .filter((text) => text !== '');
  const stop = stopSequences(request);
  const limit = maxTokens(request);
  const numbers = {
    temperature: request.temperature,
    topP: request.top_p,
    maxOutputTokens: limit,
    seed: request.seed,
    frequencyPenalty: request.frequency_penalty,
    presencePenalty: request.presence_penalty,
  };
  return {
    ...Object.fromEntries(Object.entries(numbers).filter(([, value]) => typeof value === 'number')),
    ...(system.length === 0 ? {} : { systemInstruction: system.join('\n\n') }),
    ...(stop.length === 0 ? {} : { stopSequences: stop }),
    ...formatOf(request),
  };
}

function formatOf({ response_format: format }: ChatRequest): GenerateContentConfig {
  if (format?.type === 'json_object') return { responseMimeType: 'application/json' };
  if (format?.type !== 'json_schema') return {};
  const { schema } = (format as { json_schema: { schema?: unknown } }).json_schema;
  return { responseMimeType: 'application/json', ...(schema === undefined ? {} : { responseJsonSchema: schema }) };
}

const isInstruction = ({ role }: ChatMessage): boolean => role === 'system' || role === 'developer';

function contentsOf(request: ChatRequest): { role: string; parts: Part[] }[] {
  return request.messages
    .filter((message) => !isInstruction(message))
    .map((message) => {
      const text = textOf(message);
      const images = imagesOf(message).map(imageOf);
      const parts: Part[] = [...images, ...(text === '' && images.length > 0 ? [] : [{ text }])];
      return { role: message.role === 'assistant' ? 'model' : 'user', parts };
    });
}

function imageOf(url: string): Part {
  const inline = dataUrl(url);
  if (!inline) throw invalidRequest('Google models take images as data URLs only.', 'messages');
  return { inlineData: { mimeType: inline.mimeType, data: inline.data } };
}

function answerOf(response: GenerateContentResponse): Answer {
  const finish = finishOf(response);
  if (!finish && !response.candidates?.[0]?.content)
    throw new ProviderError('malformed', 'answered without a candidate');
  return {
    text: visibleText(response),
    refusal: null,
    toolCalls: [],
    finish: finish ?? 'stop',
    ...(response.usageMetadata ? { usage: usageOf(response.usageMetadata) } : {}),
  };
}

function visibleText(response: GenerateContentResponse): string {
  const parts = response.candidates?.[0]?.content?.parts ?? [];
  return parts.map((part) => (part.thought === true ? '' : (part.text ?? ''))).join('');
}

const broken = new Set([
  'OTHER',
  'MALFORMED_RESPONSE',
  'MALFORMED_FUNCTION_CALL',
  'UNEXPECTED_TOOL_CALL',
  'TOO_MANY_TOOL_CALLS',
]);

function finishOf(response: GenerateContentResponse): FinishReason | undefined {
  if (response.promptFeedback?.blockReason) return 'content_filter';
  const reason: string | undefined = response.candidates?.[0]?.finishReason;
  if (reason === undefined || reason === 'FINISH_REASON_UNSPECIFIED') return undefined;
  if (reason === 'STOP') return 'stop';
  if (reason === 'MAX_TOKENS' || reason === 'CONTINUATION') return 'length';
  if (broken.has(reason)) throw new ProviderError('malformed', `gave up with ${reason}`);
  // What is left are filters: safety, recitation, blocklists, languages.
  return 'content_filter';
}

/** Google's input includes what was read from the cache; thoughts count as output. */
function usageOf(counts: NonNullable<GenerateContentResponse['usageMetadata']>): Usage {
  const reasoning = counts.thoughtsTokenCount ?? 0;
  return {
    inputTokens: (counts.promptTokenCount ?? 0) + (counts.toolUsePromptTokenCount ?? 0),
    cachedInputTokens: counts.cachedContentTokenCount ?? 0,
    cacheWriteTokens: 0,
    outputTokens: (counts.candidatesTokenCount ?? 0) + reasoning,
    reasoningTokens: reasoning,
  };
}

function failureOf(sdk: Sdk, error: unknown, signal: AbortSignal, seen: Seen): unknown {
  if (signal.aborted) return signal.reason;
  if (error instanceof ProviderError || error instanceof GatewayError) return error;
  if (!(error instanceof sdk.ApiError)) return fromTransport(error);
  return fromAnswer({ status: error.status, message: messageIn(error.message) }, seen.retryAfter);
}

/** The SDK's message is the JSON of the whole answer. */
function messageIn(body: string): string {
  try {
    const { error } = JSON.parse(body) as { error?: { message?: unknown } };
    return typeof error?.message === 'string' ? error.message : 'no reason given';
  } catch {
    return 'no reason given';
  }
}
