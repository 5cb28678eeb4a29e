// OpenAI, and whatever speaks its protocol. Requests go through as they are, so that fields that only one server knows
// (guided decoding of vLLM, say) reach it.
import type { OpenAI } from 'openai';
import type * as openai from 'openai';
import { GatewayError } from '../errors.ts';
import type { Limits } from '../options.ts';
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

type Sdk = typeof openai;
type Chunk = OpenAI.Chat.Completions.ChatCompletionChunk;
type Parameters = OpenAI.Chat.Completions.ChatCompletionCreateParams;

/** `defaultBaseUrl` is null where there is none to fall back on. */
export async function createOpenAi(
  upstream: Upstream,
  limits: Limits,
  defaultBaseUrl: string | null,
): Promise<Provider> {
  const sdk = await import('openai');
  const clientFor = sdkClients(
    defaultBaseUrl,
    (baseURL, apiKey) =>
      new sdk.OpenAI({
        baseURL,
        apiKey: apiKey ?? 'none',
        ...(apiKey === undefined ? { defaultHeaders: { Authorization: null } } : {}),
        organization: null,
        project: null,
        maxRetries: 0,
        timeout: limits.callMs,
        fetch: upstream.fetch,
        logLevel: 'off',
      }),
  );

  return {
    check: () => undefined,
    generate: async (call) => {
      try {
        const body = {
          ...parameters(call),
          stream: false,
        } as OpenAI.Chat.Completions.ChatCompletionCreateParamsNonStreaming;
        return answerOf(await clientFor(call).chat.completions.create(body, { signal: call.signal }));
      } catch (error) {
        throw failureOf(sdk, error, call.signal);
      }
    },
    stream: (call) => streamOf(sdk, clientFor(call), call),
  };
}

async function* streamOf(sdk: Sdk, client: OpenAI, call: ModelCall): AsyncGenerator<ModelEvent> {
  try {
    const body = { ...parameters(call), stream: true, stream_options: { include_usage: true } };
    const chunks = await client.chat.completions.create(
      body as OpenAI.Chat.Completions.ChatCompletionCreateParamsStreaming,
      { signal: call.signal },
    );
    for await (const chunk of chunks) yield* eventsOf(chunk);
  } catch (error) {
    throw failureOf(sdk, error, call.signal);
  }
}

function parameters(call: ModelCall): Parameters {
  const model = upstreamModel(call);
  // Undefined fields are not sent.
  return { ...call.request, stream: undefined, stream_options: undefined, model } as unknown as Parameters;
}

// Servers that merely claim the protocol leave out what its types promise, hence the optional chains below.
type Loose<T> = { [K in keyof T]?: T[K] | null };

function answerOf(completion: OpenAI.Chat.Completions.ChatCompletion): Answer {
  const { choices, usage } = completion as Loose<typeof completion>;
  const choice = choices?.[0] as Loose<OpenAI.Chat.Completions.ChatCompletion.Choice> | undefined;
  const counted = usage ? { usage: usageOf(usage) } : {};
  if (!choice?.message) throw new ProviderError('malformed', 'answered without a choice', counted);
  const message = choice.message as Loose<typeof choice.message>;
  return {
    text: message.content ?? null,
    refusal: message.refusal ?? null,
    toolCalls: (message.tool_calls ?? []).flatMap((call) =>
      call.type === 'function' ? [{ id: call.id, name: call.function.name, arguments: call.function.arguments }] : [],
    ),
    finish: finishOf(choice.finish_reason) ?? 'stop',
    ...counted,
  };
}

function* eventsOf(chunk: Chunk): Generator<ModelEvent> {
  const { choices, usage } = chunk as Loose<Chunk>;
  if (usage) yield { type: 'usage', usage: usageOf(usage) };
  const choice = choices?.[0] as Loose<OpenAI.Chat.Completions.ChatCompletionChunk.Choice> | undefined;
  if (!choice) return;
  const {
    content,
    refusal,
    tool_calls: toolCalls,
  } = (choice.delta ?? {}) as Loose<OpenAI.Chat.Completions.ChatCompletionChunk.Choice.Delta>;
  if (content) yield { type: 'text', text: content };
  if (refusal) yield { type: 'refusal', text: refusal };
  for (const { index, id, function: called } of toolCalls ?? []) {
    yield {
      type: 'tool',
      call: {
        index,
        ...(id ? { id } : {}),
        ...(called?.name ? { name: called.name } : {}),
        ...(called?.arguments ? { arguments: called.arguments } : {}),
      },
    };
  }
  const reason = finishOf(choice.finish_reason);
  if (reason) yield { type: 'finish', reason };
}

function finishOf(reason: string | null | undefined): FinishReason | undefined {
  if (reason === null || reason === undefined || reason === '') return undefined;
  if (reason === 'length' || reason === 'tool_calls' || reason === 'content_filter') return reason;
  return 'stop';
}

function usageOf(usage: OpenAI.CompletionUsage): Usage {
  const input = usage.prompt_tokens_details as
    { cached_tokens?: number | null; cache_write_tokens?: number | null } | null | undefined;
  return {
    inputTokens: usage.prompt_tokens,
    cachedInputTokens: input?.cached_tokens ?? 0,
    cacheWriteTokens: input?.cache_write_tokens ?? 0,
    outputTokens: usage.completion_tokens,
    reasoningTokens: usage.completion_tokens_details?.reasoning_tokens ?? 0,
  };
}

function failureOf(sdk: Sdk, error: unknown, signal: AbortSignal): unknown {
  if (signal.aborted) return signal.reason;
  if (error instanceof ProviderError || error instanceof GatewayError) return error;
  if (error instanceof sdk.APIConnectionError || !(error instanceof sdk.APIError)) return fromTransport(error);
  const said = (error.error as { message?: unknown } | undefined)?.message;
  return fromAnswer({
    message: typeof said === 'string' ? said : 'no reason given',
    ...(typeof error.status === 'number' ? { status: error.status } : {}),
    ...(error.headers ? { headers: error.headers as Headers } : {}),
    code: typeof error.code === 'string' ? error.code : null,
    type: typeof error.type === 'string' ? error.type : null,
  });
}
