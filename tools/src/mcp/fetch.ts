// The client's way out: guarded, and bounded for each call, whatever the server streams.
import { AsyncLocalStorage } from 'node:async_hooks';
import { fetch as undiciFetch, type Agent } from 'undici';
import { tooLarge } from '../net/outlet.ts';
import { fromTransport } from '../net/failures.ts';

/** What a call may take, and where it hears of what the client keeps to itself. */
interface Exchange {
  maxBytes: number;
  signal: AbortSignal;
}

export interface Exchanges {
  /** The signal also ends once nobody waits any more, whatever the client still has under way then. */
  run<T>(exchange: Exchange, work: (signal: AbortSignal) => Promise<T>): Promise<T>;
}

interface Running extends Exchange {
  fail(error: Error): void;
}

/** The same text comes as content and structured, and JSON writes some letters as six. */
const WIRE_FACTOR = 4;
const WIRE_EXTRA = 64 * 1024;

export function boundedFetch(agent: Agent): { exchanges: Exchanges; fetch: typeof globalThis.fetch } {
  const running = new AsyncLocalStorage<Running>();
  const exchanges: Exchanges = {
    run: <T>(exchange: Exchange, work: (signal: AbortSignal) => Promise<T>) => {
      const over = new AbortController();
      const signal = AbortSignal.any([exchange.signal, over.signal]);
      return new Promise<T>((resolve, reject) => {
        const fail = (error: Error) => reject(error);
        running.run({ ...exchange, signal, fail }, () => {
          work(signal).then(resolve, reject);
        });
      }).finally(() => over.abort());
    },
  };
  const fetch = async (input: string | URL, init: RequestInit = {}): Promise<Response> => {
    const call = running.getStore();
    const headers = new Headers(init.headers);
    // No stream is held open for what a server might have to say some day; only one that broke off is taken up again.
    if (init.method === 'GET' && !headers.has('last-event-id')) return new Response(null, { status: 405 });
    const signals = [init.signal, call?.signal].filter((signal) => signal !== undefined && signal !== null);
    const signal = AbortSignal.any(signals);
    try {
      const response = (await undiciFetch(input, {
        ...(init as object),
        headers: [...headers],
        redirect: 'manual',
        dispatcher: agent,
        signal,
      })) as unknown as Response;
      if (!call || !response.body) return response;
      return withBody(response, bounded(response.body, call));
    } catch (error) {
      throw fromTransport(error, signal);
    }
  };
  return { exchanges, fetch: fetch as typeof globalThis.fetch };
}

/** A client may keep to itself that a stream broke; the call should not wait for its timeout then. */
function bounded(body: ReadableStream<Uint8Array>, call: Running): ReadableStream<Uint8Array> {
  const most = call.maxBytes * WIRE_FACTOR + WIRE_EXTRA;
  const reader = body.getReader();
  let size = 0;
  return new ReadableStream({
    pull: async (controller) => {
      try {
        const { done, value } = await reader.read();
        if (done) {
          controller.close();
          return;
        }
        size += value.length;
        if (size > most) throw tooLarge(call.maxBytes);
        controller.enqueue(value);
      } catch (error) {
        const told = fromTransport(error, call.signal);
        void reader.cancel().catch(() => undefined);
        controller.error(told);
        call.fail(told);
      }
    },
    cancel: (reason) => reader.cancel(reason),
  });
}

const withBody = (response: Response, body: ReadableStream<Uint8Array>): Response =>
  new Response(response.status === 204 ? null : body, {
    status: response.status,
    statusText: response.statusText,
    headers: [...response.headers],
  });
