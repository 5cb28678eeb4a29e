// JSON to a provider, and JSON or events back. The wire formats are the providers' contracts; their SDKs on top of them
// cost more time than everything else that the gateway does with a call.
import { BoundedMap } from '@kadre/store';
import { GatewayError, misconfigured } from '../errors.ts';
import { EventStreamParser, type ServerSentEvent } from './event-stream.ts';
import { fromAnswer, fromTransport } from './failures.ts';
import { ProviderError, type EmbedCall, type ModelCall } from './provider.ts';
import type { Upstream, UpstreamResponse } from './upstream.ts';

export interface WireRequest {
  url: URL;
  /** The key, and whatever else the protocol wants. */
  headers: Record<string, string>;
  body: object;
}

type Sent = Pick<ModelCall, 'signal' | 'headers'>;

/** The answer, parsed. Throws a {@link ProviderError}, or the signal's reason. */
export async function askWhole(upstream: Upstream, call: Sent, request: WireRequest): Promise<unknown> {
  try {
    const { body } = await accepted(upstream, call, request, 'application/json');
    return JSON.parse(await body.text());
  } catch (error) {
    throw failureOf(error, call.signal);
  }
}

/** What a stream holds: events with their JSON parsed, or all at once if the server does not care for streams. */
export type Streamed = { name: string; value: unknown } | { whole: unknown };

const DONE = '[DONE]';

export async function* askStreamed(
  upstream: Upstream,
  call: Sent,
  request: WireRequest,
): AsyncGenerator<Streamed, void> {
  try {
    const { headers, body } = await accepted(upstream, call, request, 'text/event-stream');
    if (String(headers['content-type']).startsWith('application/json')) {
      yield { whole: JSON.parse(await body.text()) };
      return;
    }
    const parser = new EventStreamParser();
    for await (const bytes of body as AsyncIterable<Buffer>) {
      for (const event of parser.push(bytes)) if (event.data !== DONE) yield parsed(event);
    }
    for (const event of parser.end()) if (event.data !== DONE) yield parsed(event);
  } catch (error) {
    throw failureOf(error, call.signal);
  }
}

const parsed = ({ name, data }: ServerSentEvent): Streamed => ({ name, value: JSON.parse(data) });

async function accepted(
  upstream: Upstream,
  { signal, headers: own }: Sent,
  { url, headers, body }: WireRequest,
  accept: string,
): Promise<UpstreamResponse> {
  const response = await upstream.send({
    url,
    headers: { ...own, ...headers, 'content-type': 'application/json', accept, 'user-agent': 'kadre' },
    body: JSON.stringify(body),
    signal,
  });
  if (response.statusCode < 200 || response.statusCode > 299) throw await refusalIn(response);
  return response;
}

async function refusalIn({ statusCode, headers, body }: UpstreamResponse): Promise<ProviderError> {
  const text = await body.text();
  const retryAfter = headers['retry-after'];
  return fromAnswer({
    status: statusCode,
    ...errorIn(text),
    ...(typeof retryAfter === 'string' ? { retryAfter } : {}),
  });
}

interface SaidError {
  message: string;
  code?: string;
  type?: string;
  retryAfter?: string;
}

const UNEXPLAINED = 'no reason given';

function errorIn(text: string): SaidError {
  try {
    return errorOf(JSON.parse(text));
  } catch {
    return { message: UNEXPLAINED };
  }
}

/** All three families say `{error: {message, …}}`; Google may put it in a list, and says there how long to wait. */
export function errorOf(body: unknown): SaidError {
  const first: unknown = Array.isArray(body) ? body[0] : body;
  const error = (first as { error?: unknown } | null)?.error;
  if (typeof error === 'string') return { message: error };
  const { message, code, type, details } = (error ?? {}) as Partial<Record<string, unknown>>;
  const delays = Array.isArray(details) ? (details as { retryDelay?: unknown }[]) : [];
  const delay = delays.map(({ retryDelay }) => retryDelay).find((one) => typeof one === 'string');
  return {
    message: typeof message === 'string' && message !== '' ? message : UNEXPLAINED,
    ...(typeof code === 'string' ? { code } : {}),
    ...(typeof type === 'string' ? { type } : {}),
    ...(delay === undefined ? {} : { retryAfter: delay.replace(/s$/, '') }),
  };
}

function failureOf(error: unknown, signal: AbortSignal): unknown {
  if (signal.aborted) return signal.reason;
  return error instanceof ProviderError || error instanceof GatewayError ? error : fromTransport(error);
}

const URLS = 1024;
const urls = new BoundedMap<string, URL>(URLS);

/**
 * Where a call goes to.
 *
 * @param defaultUrl the provider's own address; null if each Model has to name one
 * @param path from the base on, such as /chat/completions
 */
export function addressOf(
  { model }: Pick<ModelCall | EmbedCall, 'model'>,
  defaultUrl: string | null,
  path: string,
): URL {
  const base = model.spec.baseUrl ?? defaultUrl;
  if (base === null) throw misconfigured('ModelFailed', `Model ${model.metadata.name} needs spec.baseUrl.`);
  const text = `${base.endsWith('/') ? base.slice(0, -1) : base}${path}`;
  let url = urls.get(text);
  if (!url) {
    url = new URL(text);
    urls.set(text, url);
  }
  return url;
}

/** The provider's name for the model. Throws a GatewayError if the Model does not say it. */
export function upstreamModel({ model }: Pick<ModelCall | EmbedCall, 'model'>): string {
  if (model.spec.model !== undefined) return model.spec.model;
  throw misconfigured('ModelFailed', `Model ${model.metadata.name} needs spec.model.`);
}
