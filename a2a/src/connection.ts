// Calls of JSON-RPC over HTTP to an agent. Sizes and times are bounded: agents may be anybody's.
import { A2A_PATH, type Failure } from '@kadre/crds';
import { createParser } from 'eventsource-parser';
import { request, type Dispatcher } from 'undici';
import { reasonOf } from './task-view.ts';
import { rpcResponse, wire, type RpcErrorBody, type StreamResponse } from './wire.ts';

/** The agent, or the network, did not do as asked. */
export class CallError extends Error {
  override name = 'CallError';
  /** What the step fails with; undefined: out of reach or without room for now, so worth another try soon. */
  readonly failure: Failure | undefined;
  /** The code of a JSON-RPC error. */
  readonly code: number | undefined;

  constructor(message: string, options: { failure?: Failure['reason']; code?: number; cause?: unknown } = {}) {
    super(message, { cause: options.cause });
    this.failure = options.failure && { reason: options.failure, message };
    this.code = options.code;
  }
}

export interface ConnectionOptions {
  dispatcher: Dispatcher;
  /** Below the address of an agent. That of Kadre's own if absent. */
  path?: string;
  /** Of each request. */
  headers?: Record<string, string>;
  /** Milliseconds until the first byte of an answer, and for the whole of a short one. */
  agentResponse: number;
  /** Milliseconds of silence after which a stream counts as cut. */
  streamSilence: number;
}

type Response = Dispatcher.ResponseData;

const MAX_EVENT_CHARACTERS = 8 * 1024 * 1024;
const MAX_STREAM_BYTES = 64 * 1024 * 1024;
/** Milliseconds that a stream gets to end by itself after its last event, so that the connection can be used again. */
const DRAIN = 1000;

export class A2AConnection {
  readonly #options: ConnectionOptions;
  #id = 0;

  constructor(options: ConnectionOptions) {
    this.#options = options;
  }

  /** One call with one answer: its result. Throws {@link CallError}. */
  async call(base: string, method: string, params: unknown, signal: AbortSignal): Promise<unknown> {
    const response = await this.#post(base, method, params, signal, this.#options.agentResponse);
    return resultOf(await readText(response, base), response.statusCode, base);
  }

  /**
   * A call with a stream of answers. Resolves when the stream ends, or when `take` says that it has seen enough. Throws
   * {@link CallError}.
   */
  async stream(
    base: string,
    method: string,
    params: unknown,
    signal: AbortSignal,
    take: (response: StreamResponse) => 'enough' | undefined,
    headers: Record<string, string> = {},
  ): Promise<void> {
    const response = await this.#post(base, method, params, signal, this.#options.streamSilence, headers);
    const type = String(response.headers['content-type'] ?? '');
    if (response.statusCode === 200 && type.startsWith('text/event-stream')) await readStream(response, base, take);
    else take(streamResponse(resultOf(await readText(response, base), response.statusCode, base), base));
  }

  async #post(
    base: string,
    method: string,
    params: unknown,
    signal: AbortSignal,
    bodyTimeout: number,
    more: Record<string, string> = {},
  ): Promise<Response> {
    const { dispatcher, agentResponse, path = A2A_PATH, headers: always } = this.#options;
    const body = JSON.stringify({ jsonrpc: '2.0', id: ++this.#id, method, params });
    const headers = {
      ...always,
      ...more,
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      'a2a-version': '1.0',
    };
    const url = path === '' ? base : `${base.replace(/\/+$/, '')}${path}`;
    try {
      return await request(url, {
        method: 'POST',
        dispatcher,
        headers,
        body,
        signal,
        headersTimeout: agentResponse,
        bodyTimeout,
      });
    } catch (cause) {
      throw new CallError(`${base} cannot be reached: ${said(cause)}`, { cause });
    }
  }
}

async function readText(response: Response, base: string): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of response.body as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size > MAX_EVENT_CHARACTERS)
        throw new CallError(`${base} answered with too much`, { failure: 'InvalidOutput' });
      chunks.push(chunk);
    }
  } catch (cause) {
    throw cause instanceof CallError ? cause : new CallError(`${base} broke off its answer: ${said(cause)}`, { cause });
  }
  return Buffer.concat(chunks).toString();
}

async function readStream(
  response: Response,
  base: string,
  take: (response: StreamResponse) => 'enough' | undefined,
): Promise<void> {
  const received: string[] = [];
  const parser = createParser({ onEvent: ({ data }) => received.push(data), maxBufferSize: MAX_EVENT_CHARACTERS });
  const decoder = new TextDecoder();
  const chunks = (response.body as AsyncIterable<Buffer>)[Symbol.asyncIterator]();
  let size = 0;
  try {
    for (let next = await chunks.next(); !next.done; next = await chunks.next()) {
      size += next.value.length;
      if (size > MAX_STREAM_BYTES) throw new CallError(`${base} streamed too much`, { failure: 'InvalidOutput' });
      parser.feed(decoder.decode(next.value, { stream: true }));
      for (const data of received.splice(0)) {
        if (take(streamResponse(resultOf(data, 200, base), base)) !== 'enough') continue;
        drain(response, chunks);
        return;
      }
    }
  } catch (cause) {
    response.body.destroy();
    throw cause instanceof CallError
      ? cause
      : new CallError(`the stream from ${base} was cut: ${said(cause)}`, { cause });
  }
}

function drain(response: Response, chunks: AsyncIterator<Buffer>): void {
  const timer = setTimeout(() => response.body.destroy(), DRAIN);
  const onwards = async (): Promise<void> => {
    while (!(await chunks.next()).done);
  };
  // Whatever goes wrong now concerns nobody: the outcome is known.
  onwards().then(
    () => clearTimeout(timer),
    () => clearTimeout(timer),
  );
}

/** The result in an answer. Throws {@link CallError} for an error, or for what isn't JSON-RPC. */
function resultOf(text: string, status: number, base: string): unknown {
  const answer = rpcResponse.safeParse(parsed(text));
  if (answer.success && answer.data.error) throw rpcCallError(answer.data.error, base);
  if (status === 401 || status === 403)
    throw new CallError(`${base} refused access (HTTP ${status})`, { failure: 'Unauthorized' });
  if (status === 429) throw new CallError(`${base} asks to slow down`, { failure: 'RateLimited' });
  if (status >= 500) throw new CallError(`${base} answered HTTP ${status}`);
  if (status !== 200 || !answer.success)
    throw new CallError(`${base} doesn't speak A2A 1.0 (HTTP ${status})`, { failure: 'AgentFailed' });
  return answer.data.result;
}

function rpcCallError({ code, message, data }: RpcErrorBody, base: string): CallError {
  const details = Array.isArray(data) ? (data as unknown[]) : [];
  const reason = details
    .map((one) => reasonOf((one as { reason?: unknown } | null)?.reason))
    .find((one) => one !== undefined);
  const text = `${base} answered: ${message.slice(0, 2048)}`;
  // An agent without room says AgentUnavailable: that passes.
  return new CallError(text, reason === 'AgentUnavailable' ? { code } : { code, failure: reason ?? 'AgentFailed' });
}

function streamResponse(result: unknown, base: string): StreamResponse {
  const response = wire.streamResponse.safeParse(result);
  if (response.success) return response.data;
  throw new CallError(`${base} sent an event that isn't A2A 1.0`, { failure: 'AgentFailed' });
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

function said(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
