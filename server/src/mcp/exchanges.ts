// The requests that are being answered. There are so many at once and no more, so that calls which wait for long Runs leave
// room for webhooks; and whoever stops the server waits for none of them longer than it takes to let go.
import type { ServerResponse } from 'node:http';
import { Refusal, unavailable } from '../refusal.ts';

const MOST = 64;
const MOST_OF_ONE = 16;

export interface Exchange {
  /** Aborts when the client hangs up, or the server stops. */
  gone: AbortSignal;
  /** Whoever waits here when the server stops is still answered. */
  during: <T>(work: Promise<T>) => Promise<T>;
  /** Called when the exchange is over, or must be. */
  onEnd: (end: () => Promise<void>) => void;
}

export interface Exchanges {
  /** Throws a 429 or a 503. */
  begin(username: string, hungUp: AbortSignal, response: ServerResponse): Exchange;
  /** Lets go of all. */
  stop(): Promise<void>;
}

interface Open {
  username: string;
  response: ServerResponse;
  calls: number;
  end: () => Promise<void>;
}

export function createExchanges(): Exchanges {
  const stopping = new AbortController();
  const open = new Set<Open>();
  return {
    begin: (username, hungUp, response) => {
      const own = [...open].filter((one) => one.username === username).length;
      if (own >= MOST_OF_ONE)
        throw new Refusal(429, 'RateLimited', `At most ${MOST_OF_ONE} calls at once: wait for one.`, { retryAfter: 1 });
      if (open.size >= MOST || stopping.signal.aborted) throw unavailable('The server is busy. Send it again.');
      const exchange: Open = { username, response, calls: 0, end: () => Promise.resolve() };
      open.add(exchange);
      response.once('close', () => {
        open.delete(exchange);
        void exchange.end();
      });
      return {
        gone: AbortSignal.any([hungUp, stopping.signal]),
        during: (work) => {
          exchange.calls += 1;
          return work.finally(() => (exchange.calls -= 1));
        },
        onEnd: (end) => (exchange.end = end),
      };
    },
    stop: async () => {
      const rest = [...open];
      const idle = rest.filter(({ calls }) => calls === 0);
      for (const { response } of rest) closeAfter(response);
      stopping.abort(new Error('The server stops: call again.'));
      // Such as those that listen for changes, of which there are none.
      await Promise.all(idle.map(({ end }) => end()));
    },
  };
}

/** A server that stops waits for connections that are kept alive. */
function closeAfter(response: ServerResponse): void {
  const { socket } = response;
  response.once('finish', () => socket?.destroySoon());
}

/** To be asked for before anything is waited for, or a client that hangs up is missed. */
export function hangUpOf(response: ServerResponse): AbortSignal {
  const controller = new AbortController();
  const look = (): void => {
    if (!response.writableFinished) controller.abort(new Error('The client has hung up.'));
  };
  if (response.destroyed || response.closed) look();
  else response.once('close', look);
  return controller.signal;
}
