// The agent's only way to a model: the gateway, on the OpenAI wire.
import { CALL_HEADER, STEP_HEADER, TRACE_HEADER, failureReasons, type FailureReason } from '@kadre/crds';
import type { Dispatcher, request } from 'undici';
import type { TokenSource } from '../credentials.ts';
import { AgentFailure, asFailure } from '../failure.ts';
import { interactive, stepWork } from './patience.ts';
import { chatChunk, chatCompletion, chatError, type ChatChunk, type ChatCompletion } from './chat.ts';

export interface ModelCall {
  /** The request on the OpenAI wire, without `stream`. */
  body: Record<string, unknown>;
  /** Aborts the call; its reason, if an AgentFailure, becomes the failure of the call. */
  signal: AbortSignal;
  stepToken?: string | undefined;
  traceparent?: string | undefined;
  /**
   * Its place among the calls of the task, from 1. A task that is begun anew, and a call whose connection broke, is
   * answered from the gateway's journal under the same number.
   */
  number: number;
}

export interface ModelClient {
  /** Throws {@link AgentFailure}. */
  complete(call: ModelCall): Promise<ChatCompletion>;
  /** Ends normally only after the model has said that it is done. Throws {@link AgentFailure}. */
  stream(call: ModelCall): AsyncGenerator<ChatChunk, void, undefined>;
  /** Loads what the first call needs, so that it does not wait for it. */
  warmUp(): Promise<void>;
  close(): Promise<void>;
}

export interface ModelClientOptions {
  gatewayUrl: string;
  token: TokenSource;
  /** Called whenever the gateway has answered at all. */
  onReached?: () => void;
  /** Resolves after so many milliseconds, or rejects when the signal aborts. */
  sleep?: (ms: number, signal: AbortSignal) => Promise<void>;
}

const CONNECT_TIMEOUT_MS = 5_000;
/** A reasoning model may think this long before it says anything. */
const FIRST_BYTE_TIMEOUT_MS = 600_000;
const BETWEEN_BYTES_TIMEOUT_MS = 300_000;
const MAX_ANSWER_BYTES = 16 * 1024 * 1024;
const MAX_ERROR_BYTES = 64 * 1024;

const MAX_RATE_LIMIT_WAITS = 2;
const LONGEST_RETRY_AFTER_S = 30;

export function createModelClient(options: ModelClientOptions): ModelClient {
  const http = lazyHttp();
  const post = (call: ModelCall, stream: boolean): Promise<Dispatcher.ResponseData> =>
    postWithRetries(options, http, call, stream);
  return {
    async complete(call) {
      const response = await post(call, false);
      const text = await guarded(call, () => readText(response.body, MAX_ANSWER_BYTES));
      const parsed = chatCompletion.safeParse(parseJson(text));
      if (!parsed.success)
        throw new AgentFailure('ModelFailed', 'The gateway sent an answer that is no chat completion.');
      return parsed.data;
    },
    async *stream(call) {
      const response = await post(call, true);
      yield* chunksOf(response.body, call);
    },
    warmUp: async () => {
      await Promise.all([http.get(), import('eventsource-parser')]);
    },
    close: () => http.close(),
  };
}

interface Http {
  get(): Promise<{ request: typeof request; dispatcher: Dispatcher }>;
  close(): Promise<void>;
}

/** Loads undici at the first call: it is the heaviest import, and an agent is ready without it. */
function lazyHttp(): Http {
  let loading: ReturnType<Http['get']> | undefined;
  const load: Http['get'] = async () => {
    const { Agent, request } = await import('./http-client.ts');
    const dispatcher = new Agent({
      connect: { timeout: CONNECT_TIMEOUT_MS },
      headersTimeout: FIRST_BYTE_TIMEOUT_MS,
      bodyTimeout: BETWEEN_BYTES_TIMEOUT_MS,
    });
    return { request, dispatcher };
  };
  return {
    get: () => (loading ??= load()),
    close: async () => {
      await (await loading)?.dispatcher.destroy();
    },
  };
}

async function postWithRetries(
  options: ModelClientOptions,
  http: Http,
  call: ModelCall,
  stream: boolean,
): Promise<Dispatcher.ResponseData> {
  const sleep = options.sleep ?? abortableSleep;
  const patience = call.stepToken === undefined ? interactive : stepWork;
  let unreachable = 0;
  let limited = 0;
  for (;;) {
    const result = await attempt(options, http, call, stream);
    if (!(result instanceof AgentFailure)) return result;
    const wait = waitBeforeNext(result, patience[unreachable], limited);
    if (wait === undefined) throw result;
    if (result.reason === 'RateLimited') limited += 1;
    else unreachable += 1;
    await guarded(call, () => sleep(wait, call.signal));
  }
}

/**
 * Milliseconds until the next attempt, or undefined if there shall be none.
 *
 * @param backoff the wait if the gateway could not be reached or answered 503; nothing has been answered yet then
 */
function waitBeforeNext(failure: AgentFailure, backoff: number | undefined, limited: number): number | undefined {
  const { retryAfter, shouldRetry, status } = failure.details;
  if (shouldRetry === false || (retryAfter ?? 0) > LONGEST_RETRY_AFTER_S) return undefined;
  if (status === 429) return retryAfter !== undefined && limited < MAX_RATE_LIMIT_WAITS ? retryAfter * 1000 : undefined;
  if (status !== 503 && status !== undefined) return undefined;
  return backoff === undefined ? undefined : Math.max(backoff * (0.5 + Math.random() / 2), (retryAfter ?? 0) * 1000);
}

/** One request. A failure that another attempt could mend is returned; others are thrown. */
async function attempt(
  options: ModelClientOptions,
  http: Http,
  call: ModelCall,
  stream: boolean,
): Promise<Dispatcher.ResponseData | AgentFailure> {
  const token = await options.token();
  const { request, dispatcher } = await http.get();
  const response = await guarded(call, () =>
    request(`${options.gatewayUrl}/v1/chat/completions`, {
      dispatcher,
      method: 'POST',
      signal: call.signal,
      headers: {
        authorization: `Bearer ${token}`,
        'content-type': 'application/json',
        accept: stream ? 'text/event-stream' : 'application/json',
        ...(call.stepToken === undefined ? {} : { [STEP_HEADER]: call.stepToken, [CALL_HEADER]: String(call.number) }),
        ...(call.traceparent === undefined ? {} : { [TRACE_HEADER]: call.traceparent }),
      },
      body: JSON.stringify(stream ? { ...call.body, stream: true } : call.body),
    }),
  ).catch((error: unknown) => {
    const failure = asFailure(error);
    if (failure.reason === 'ModelUnavailable') return failure;
    throw failure;
  });
  if (response instanceof AgentFailure) return response;
  options.onReached?.();
  if (response.statusCode === 200) return response;
  const text = await guarded(call, () => readText(response.body, MAX_ERROR_BYTES)).catch(() => '');
  return refusal(response, text, [token, call.stepToken]);
}

/** The gateway's error answer as a failure. Whatever a proxy between may echo, tokens never travel on in messages. */
function refusal(
  { statusCode, headers }: Dispatcher.ResponseData,
  text: string,
  secrets: (string | undefined)[],
): AgentFailure {
  const parsed = chatError.safeParse(parseJson(text));
  const stated = parsed.success ? parsed.data.error.message : `The gateway answered ${statusCode}.`;
  const message = secrets.reduce<string>((clean, secret) => (secret ? clean.replaceAll(secret, '***') : clean), stated);
  const seconds = Number(headers['retry-after']);
  return new AgentFailure(knownReason(parsed.data?.error.code) ?? reasonOfStatus(statusCode), message, {
    status: statusCode,
    ...(headers['retry-after'] !== undefined && seconds >= 0 ? { retryAfter: seconds } : {}),
    ...(headers['x-should-retry'] === 'false' ? { shouldRetry: false } : {}),
  });
}

async function* chunksOf(body: AsyncIterable<unknown>, call: ModelCall): AsyncGenerator<ChatChunk, void, undefined> {
  const { createParser } = await import('eventsource-parser');
  const pending: string[] = [];
  const parser = createParser({ onEvent: ({ data }) => pending.push(data), maxBufferSize: MAX_ANSWER_BYTES });
  const decoder = new TextDecoder();
  let finished = false;
  try {
    for await (const bytes of body) {
      parser.feed(decoder.decode(bytes as Uint8Array, { stream: true }));
      for (const data of pending.splice(0)) {
        if (data === '[DONE]') return;
        const chunk = parseChunk(data);
        finished ||= chunk.choices.some(({ finish_reason }) => typeof finish_reason === 'string');
        yield chunk;
      }
    }
  } catch (error) {
    const { reason, message, details } = callFailure(error, call);
    throw new AgentFailure(reason, message, {
      ...details,
      brokeOff: !(error instanceof AgentFailure) && !call.signal.aborted,
    });
  }
  if (!finished)
    throw new AgentFailure('ModelUnavailable', 'The stream from the gateway ended before the answer was complete.', {
      brokeOff: true,
    });
}

function parseChunk(data: string): ChatChunk {
  const json = parseJson(data);
  const chunk = chatChunk.safeParse(json);
  if (chunk.success) return chunk.data;
  const stated = chatError.safeParse(json);
  if (!stated.success)
    throw new AgentFailure('ModelFailed', 'The gateway sent a piece of an answer that is no chat completion chunk.');
  throw new AgentFailure(knownReason(stated.data.error.code) ?? 'ModelFailed', stated.data.error.message);
}

/** Runs one step of the exchange; whatever goes wrong becomes a typed failure. */
async function guarded<T>(call: ModelCall, step: () => Promise<T>): Promise<T> {
  try {
    return await step();
  } catch (error) {
    throw callFailure(error, call);
  }
}

function callFailure(error: unknown, { signal }: ModelCall): AgentFailure {
  if (signal.aborted)
    return signal.reason instanceof AgentFailure
      ? signal.reason
      : new AgentFailure('Cancelled', 'The request was cancelled.');
  if (error instanceof AgentFailure) return error;
  const { code = 'unknown error' } = error as NodeJS.ErrnoException;
  return new AgentFailure('ModelUnavailable', `The gateway cannot be reached, or the connection broke (${code}).`, {
    cause: error,
  });
}

function knownReason(code: unknown): FailureReason | undefined {
  return failureReasons.find((reason) => reason === code);
}

function reasonOfStatus(status: number): FailureReason {
  if (status === 401 || status === 403) return 'Unauthorized';
  if (status === 404) return 'ModelNotFound';
  if (status === 429) return 'RateLimited';
  return status >= 500 ? 'ModelUnavailable' : 'ModelFailed';
}

async function readText(body: AsyncIterable<unknown>, limit: number): Promise<string> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of body) {
    parts.push(part as Uint8Array);
    size += (part as Uint8Array).byteLength;
    if (size > limit) throw new AgentFailure('ModelFailed', `The answer of the gateway is larger than ${limit} bytes.`);
  }
  return Buffer.concat(parts).toString('utf8');
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

async function abortableSleep(ms: number, signal: AbortSignal): Promise<void> {
  const { setTimeout } = await import('node:timers/promises');
  await setTimeout(ms, undefined, { signal });
}
