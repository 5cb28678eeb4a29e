// HTTP to the gateway, which is an agent's only way to anything: with patience, and with typed failures that hold no token.
import { CALL_HEADER, DEPTH_HEADER, STEP_HEADER, TRACE_HEADER, failureReasons, type FailureReason } from '@kadre/crds';
import type { Dispatcher, request } from 'undici';
import type { TokenSource } from '../credentials.ts';
import { AgentFailure, asFailure } from '../failure.ts';
import { chatError } from './chat.ts';
import { abortableSleep, interactive, stepWork } from './patience.ts';

/** On whose behalf something is asked. */
export interface Errand {
  /** Aborts the call; its reason, if an AgentFailure, becomes the failure of the call. */
  signal: AbortSignal;
  stepToken?: string | undefined;
  traceparent?: string | undefined;
  /** Outside of steps: how many agents in a row have asked each other, the last one this. */
  depth?: number | undefined;
}

export interface Numbered extends Errand {
  /**
   * Its place among the calls of the task, from 1. A task that is begun anew, and a call whose connection broke, is
   * answered from the gateway's journal under the same number.
   */
  number: number;
}

export interface GatewayRequest {
  path: string;
  /** Absent: POST with a body, GET without. */
  method?: 'DELETE';
  body?: string;
  accept: string;
  /** What a refusal means that does not say it itself. */
  otherwise: 'ModelFailed' | 'ToolFailed';
  /** Not to be asked again once it may have been carried out. */
  once?: boolean;
  /** Is told of the answer as it comes. */
  onText?: (piece: string) => void;
}

export interface GatewayClient {
  /** The answer, once the gateway agrees to give one. Throws {@link AgentFailure}. */
  open(errand: Errand | Numbered, request: GatewayRequest): Promise<AsyncIterable<unknown>>;
  /** The whole answer. Throws {@link AgentFailure}. */
  text(errand: Errand | Numbered, request: GatewayRequest): Promise<string>;
  /** Loads what the first call needs, so that it does not wait for it. */
  warmUp(): Promise<void>;
  close(): Promise<void>;
}

export interface GatewayClientOptions {
  gatewayUrl: string;
  token: TokenSource;
  /** Called whenever the gateway has answered at all. */
  onReached?: () => void;
  /** Resolves after so many milliseconds, or rejects when the signal aborts. */
  sleep?: (ms: number, signal: AbortSignal) => Promise<void>;
}

export const MAX_ANSWER_BYTES = 16 * 1024 * 1024;
const MAX_ERROR_BYTES = 64 * 1024;
const CONNECT_TIMEOUT_MS = 5_000;
/** A reasoning model may think this long before it says anything. */
const FIRST_BYTE_TIMEOUT_MS = 600_000;
const BETWEEN_BYTES_TIMEOUT_MS = 300_000;
const MAX_RATE_LIMIT_WAITS = 2;
const LONGEST_RETRY_AFTER_S = 30;
/** Errors of connections over which nothing has been sent. */
const NEVER_SENT = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
]);

export function createGatewayClient(options: GatewayClientOptions): GatewayClient {
  const http = lazyHttp();
  return {
    open: (errand, request) => persist(options, errand, () => attempt(options, http, errand, request)),
    text: (errand, request) =>
      persist(options, errand, async () => {
        const answer = await attempt(options, http, errand, request);
        if (answer instanceof AgentFailure) return answer;
        return guarded(errand, () => readText(answer, MAX_ANSWER_BYTES, request.otherwise, request.onText)).catch(
          (error: unknown) =>
            // Outside of steps nobody has kept the answer, and asking again would pay for it twice.
            errand.stepToken === undefined ? throwUnsure(error) : mendable(error),
        );
      }),
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

/** Tries again as long as another attempt could mend what it returns. */
async function persist<T>(
  options: GatewayClientOptions,
  errand: Errand,
  tryOnce: () => Promise<T | AgentFailure>,
): Promise<T> {
  const sleep = options.sleep ?? abortableSleep;
  const patience = errand.stepToken === undefined ? interactive : stepWork;
  let unreachable = 0;
  let limited = 0;
  for (;;) {
    const result = await tryOnce();
    if (!(result instanceof AgentFailure)) return result;
    const wait = waitBeforeNext(result, patience[unreachable], limited);
    if (wait === undefined) throw result;
    if (result.reason === 'RateLimited') limited += 1;
    else unreachable += 1;
    await guarded(errand, () => sleep(wait, errand.signal));
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
  options: GatewayClientOptions,
  http: Http,
  errand: Errand | Numbered,
  asked: GatewayRequest,
): Promise<Dispatcher.ResponseData['body'] | AgentFailure> {
  const token = await options.token();
  const { request, dispatcher } = await http.get();
  const response = await guarded(errand, () =>
    request(`${options.gatewayUrl}${asked.path}`, {
      dispatcher,
      method: asked.method ?? (asked.body === undefined ? 'GET' : 'POST'),
      signal: errand.signal,
      headers: headersOf(errand, asked, token),
      body: asked.body ?? null,
    }),
  ).catch((error: unknown) => (asked.once && wasSent(error) ? throwUnsure(error) : mendable(error)));
  if (response instanceof AgentFailure) return response;
  options.onReached?.();
  if (response.statusCode === 200 || response.statusCode === 202) return response.body;
  const text = await guarded(errand, () => readText(response.body, MAX_ERROR_BYTES, asked.otherwise)).catch(() => '');
  return refusal(response, text, asked, [token, errand.stepToken]);
}

function headersOf(errand: Errand | Numbered, { accept, body }: GatewayRequest, token: string): Record<string, string> {
  const { stepToken, traceparent, depth } = errand;
  return {
    authorization: `Bearer ${token}`,
    ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    accept,
    ...(stepToken === undefined ? {} : { [STEP_HEADER]: stepToken }),
    ...(stepToken !== undefined && 'number' in errand ? { [CALL_HEADER]: String(errand.number) } : {}),
    ...(depth === undefined || stepToken !== undefined ? {} : { [DEPTH_HEADER]: String(depth) }),
    ...(traceparent === undefined ? {} : { [TRACE_HEADER]: traceparent }),
  };
}

/** A gateway that could not be reached may be back soon; the rest will stay as it is. */
function mendable(error: unknown): AgentFailure {
  const failure = asFailure(error);
  if (failure.reason === 'ModelUnavailable') return failure;
  throw failure;
}

function throwUnsure(error: unknown): never {
  const { reason, message, details } = mendable(error);
  throw new AgentFailure(reason, message, { ...details, unsure: true });
}

const wasSent = (error: unknown): boolean =>
  !NEVER_SENT.has(String((asFailure(error).details.cause as NodeJS.ErrnoException | undefined)?.code));

/** The gateway's error answer as a failure. Whatever a proxy between may echo, tokens never travel on in messages. */
function refusal(
  { statusCode, headers }: Dispatcher.ResponseData,
  text: string,
  { otherwise }: GatewayRequest,
  secrets: (string | undefined)[],
): AgentFailure {
  const parsed = chatError.safeParse(parseJson(text));
  const stated = parsed.success ? parsed.data.error.message : `The gateway answered ${statusCode}.`;
  const message = secrets.reduce<string>((clean, secret) => (secret ? clean.replaceAll(secret, '***') : clean), stated);
  const seconds = Number(headers['retry-after']);
  const reason = knownReason(parsed.data?.error.code) ?? reasonOfStatus(statusCode, otherwise);
  return new AgentFailure(reason, message, {
    status: statusCode,
    ...(headers['retry-after'] !== undefined && seconds >= 0 ? { retryAfter: seconds } : {}),
    ...(headers['x-should-retry'] === 'false' ? { shouldRetry: false } : {}),
  });
}

/** Runs one step of the exchange; whatever goes wrong becomes a typed failure. */
async function guarded<T>(errand: Errand, step: () => Promise<T>): Promise<T> {
  try {
    return await step();
  } catch (error) {
    throw callFailure(error, errand);
  }
}

export function callFailure(error: unknown, { signal }: Errand): AgentFailure {
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

export function knownReason(code: unknown): FailureReason | undefined {
  return failureReasons.find((reason) => reason === code);
}

function reasonOfStatus(status: number, otherwise: GatewayRequest['otherwise']): FailureReason {
  if (status === 401 || status === 403) return 'Unauthorized';
  if (status === 404 && otherwise === 'ModelFailed') return 'ModelNotFound';
  if (status === 429) return 'RateLimited';
  return status >= 500 ? 'ModelUnavailable' : otherwise;
}

async function readText(
  body: AsyncIterable<unknown>,
  limit: number,
  otherwise: FailureReason,
  onText?: (piece: string) => void,
): Promise<string> {
  const decoder = new TextDecoder();
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of body) {
    parts.push(part as Uint8Array);
    size += (part as Uint8Array).byteLength;
    onText?.(decoder.decode(part as Uint8Array, { stream: true }));
    if (size > limit) throw new AgentFailure(otherwise, `The answer of the gateway is larger than ${limit} bytes.`);
  }
  return Buffer.concat(parts).toString('utf8');
}

export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
