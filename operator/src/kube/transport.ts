// HTTP to the API server: JSON in, JSON out, typed errors, bounded waits and bounded retries.
import { request as send } from 'undici';
import type { Dispatcher } from 'undici';
import { sleep, systemClock } from './clock.ts';
import type { Clock } from './clock.ts';
import type { Credentials } from './credentials.ts';
import { KubeError, kubeReasons, messageOf } from './errors.ts';
import type { KubeStatus } from './errors.ts';
import type { KubeMetrics } from './metrics.ts';

type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
export type Query = Record<string, string | number | boolean | undefined>;

export interface TransportRequest {
  method: Method;
  path: string;
  query?: Query;
  body?: unknown;
  contentType?: string;
  /** Sending it twice has the same effect as once, so that it may be tried again when the outcome is unknown. */
  idempotent?: boolean;
  /** For each attempt, until the whole answer is there; for streams, until the headers are there. */
  timeoutMs?: number;
  /** How many attempts may follow the first one. */
  retries?: number;
  signal?: AbortSignal | undefined;
  /** Asked right before each attempt leaves; false stops it with reason NotLeader. */
  gate?: (() => boolean) | undefined;
}

export interface Transport {
  json(request: TransportRequest): Promise<unknown>;
  /** The body of an answer that goes on. `close` ends it. */
  stream(request: TransportRequest): Promise<{ body: AsyncIterable<Buffer>; close: () => void }>;
  close(): Promise<void>;
}

export interface TransportOptions {
  credentials: Credentials;
  clock?: Clock;
  metrics?: KubeMetrics | undefined;
  userAgent?: string;
  /** Default for each attempt, in milliseconds. */
  timeoutMs?: number;
  random?: () => number;
}

type Answer = Dispatcher.ResponseData;

const defaultTimeout = 30_000;
const defaultRetries = 4;
/** The client waits this long (ms) by itself; whoever is asked to wait longer gets the error and decides. */
const longestWait = 10_000;
/** A page of a list is a few megabytes; whatever is larger is not an answer. */
const largestBody = 256 * 1024 * 1024;

export function createTransport(options: TransportOptions): Transport {
  const { credentials, clock = systemClock, metrics, random = Math.random } = options;
  const { userAgent = 'kadre', timeoutMs: usual = defaultTimeout } = options;

  const attempt = async <T>(request: TransportRequest, read: (answer: Answer, stop: AbortController) => Promise<T>) => {
    const stop = new AbortController();
    const abort = () => stop.abort(new KubeError('aborted', { code: 0, reason: kubeReasons.aborted }));
    if (request.signal?.aborted) abort();
    else request.signal?.addEventListener('abort', abort, { once: true });
    const timeoutMs = request.timeoutMs ?? usual;
    const cancel = clock.after(timeoutMs, () => stop.abort(timeoutError(request, timeoutMs)));
    let code = '<error>';
    let host = '';
    try {
      const access = await credentials.access();
      const url = new URL(access.server + request.path);
      host = url.host;
      for (const [name, value] of Object.entries(request.query ?? {})) {
        if (value !== undefined) url.searchParams.set(name, String(value));
      }
      stop.signal.throwIfAborted();
      // Asked last, because reading credentials takes time in which a lease can run out.
      if (request.gate?.() === false) throw notLeader(request);
      const answer = await send(url, {
        dispatcher: access.dispatcher,
        method: request.method,
        headers: headersFor(request, access.headers, userAgent),
        body: request.body === undefined ? null : JSON.stringify(request.body),
        signal: stop.signal,
      });
      code = String(answer.statusCode);
      if (answer.statusCode >= 400) throw await refusal(request, answer);
      return await read(answer, stop);
    } catch (error) {
      throw stop.signal.aborted ? withContext(request, stop.signal.reason) : networkError(request, error);
    } finally {
      cancel();
      request.signal?.removeEventListener('abort', abort);
      if (host !== '' && !(code === '<error>' && request.gate?.() === false)) {
        metrics?.requests.inc({ code, method: request.method, host });
      }
    }
  };

  const persist = async <T>(request: TransportRequest, read: (answer: Answer, stop: AbortController) => Promise<T>) => {
    const retries = request.retries ?? defaultRetries;
    let unauthorized = false;
    for (let tries = 0; ; tries++) {
      try {
        return await attempt(request, read);
      } catch (error) {
        if (!(error instanceof KubeError)) throw error;
        if (error.code === 401 && !unauthorized) {
          unauthorized = true;
          credentials.invalidate();
          continue;
        }
        const wait = error.retryAfter ?? backoff(tries, random);
        if (tries >= retries || wait > longestWait || !mayRetry(request, error)) throw error;
        await sleep(clock, wait, request.signal);
      }
    }
  };

  return {
    json: (request) => persist(request, (answer) => readJson(request, answer)),
    stream: (request) => openStream(request, persist),
    close: () => credentials.close(),
  };
}

type Persist = <T>(
  request: TransportRequest,
  read: (answer: Answer, stop: AbortController) => Promise<T>,
) => Promise<T>;

async function openStream(request: TransportRequest, persist: Persist) {
  const { body, stop } = await persist(request, (answer, stop) => Promise.resolve({ body: answer.body, stop }));
  const close = () => {
    request.signal?.removeEventListener('abort', close);
    stop.abort();
    body.destroy();
  };
  // Destroying the body may report the abort as an error, which nobody needs to hear.
  body.on('error', () => undefined);
  if (request.signal?.aborted) close();
  else request.signal?.addEventListener('abort', close, { once: true });
  return { body: body as AsyncIterable<Buffer>, close };
}

function headersFor(request: TransportRequest, auth: Record<string, string>, userAgent: string) {
  const headers: Record<string, string> = { ...auth, accept: 'application/json', 'user-agent': userAgent };
  if (request.body !== undefined) headers['content-type'] = request.contentType ?? 'application/json';
  return headers;
}

/** 429 says that the request was not carried out; after anything else only what is idempotent may be sent again. */
function mayRetry(request: TransportRequest, error: KubeError): boolean {
  if (error.code === 429) return true;
  if (request.idempotent !== true) return false;
  // A 500 without a reason is a plain Go error, mostly about the content, such as an apply with an unknown field.
  if (error.code === 500 && error.reason === unknownReason) return false;
  return error.code >= 500 || error.reason === kubeReasons.network || error.reason === kubeReasons.timeout;
}

/** 100 ms, 200 ms, 400 ms …, each plus up to as much again, so that many clients do not come back together. */
const backoff = (tries: number, random: () => number) => 100 * 2 ** tries * (1 + random());

async function readText(answer: Answer): Promise<string> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of answer.body as AsyncIterable<Buffer>) {
    size += part.length;
    if (size > largestBody) throw new KubeError('the answer is too large', { code: 0, reason: kubeReasons.malformed });
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}

async function readJson(request: TransportRequest, answer: Answer): Promise<unknown> {
  const text = await readText(answer);
  try {
    return JSON.parse(text);
  } catch (cause) {
    const message = `${describe(request)}: the answer is not JSON`;
    throw new KubeError(message, { code: answer.statusCode, reason: kubeReasons.malformed, cause });
  }
}

async function refusal(request: TransportRequest, answer: Answer): Promise<KubeError> {
  const code = answer.statusCode;
  const status = asStatus(await readText(answer));
  const header = Number(answer.headers['retry-after']);
  const seconds = Number.isFinite(header) ? header : status?.details?.retryAfterSeconds;
  // A 404 without a Status comes from the router, not from a storage: there is no such path.
  const unknownPath = code === 404 && status === undefined;
  const given = status ? status.reason || unknownReason : (defaultReasons[code] ?? unknownReason);
  const reason = unknownPath ? kubeReasons.kindNotServed : given;
  const message = `${describe(request)}: ${code} ${status?.message ?? reason}`;
  return new KubeError(message, {
    code,
    reason,
    status,
    retryAfter: seconds === undefined ? undefined : Math.max(0, seconds * 1000),
  });
}

const unknownReason = 'Unknown';

const defaultReasons: Record<number, string> = {
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'NotFound',
  409: 'Conflict',
  410: 'Expired',
  422: 'Invalid',
  429: 'TooManyRequests',
  500: 'InternalError',
  503: 'ServiceUnavailable',
  504: 'Timeout',
};

function asStatus(text: string): KubeStatus | undefined {
  try {
    const value = JSON.parse(text) as KubeStatus | null;
    return value?.kind === 'Status' ? value : undefined;
  } catch {
    return undefined;
  }
}

const describe = (request: TransportRequest) => `${request.method} ${request.path}`;

const timeoutError = (request: TransportRequest, ms: number) =>
  new KubeError(`${describe(request)}: no answer within ${ms} ms`, { code: 0, reason: kubeReasons.timeout });

const notLeader = (request: TransportRequest) =>
  new KubeError(`${describe(request)}: not sent, the lease is not held`, { code: 0, reason: kubeReasons.notLeader });

function withContext(request: TransportRequest, reason: unknown): KubeError {
  if (reason instanceof KubeError && reason.reason === kubeReasons.timeout) return reason;
  return new KubeError(`${describe(request)}: given up`, { code: 0, reason: kubeReasons.aborted, cause: reason });
}

function networkError(request: TransportRequest, error: unknown): KubeError {
  if (error instanceof KubeError) return error;
  const message = `${describe(request)}: ${messageOf(error)}`;
  return new KubeError(message, { code: 0, reason: kubeReasons.network, cause: error });
}
