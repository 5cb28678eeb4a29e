// Server-sent events to one client.
import type { FastifyReply } from 'fastify';

export interface EventStream {
  /** Text goes out as it is, everything else as JSON. */
  send(data: unknown, event?: string): void;
  /** Resolves when the client has taken enough to be sent more, or has gone. */
  drained(): Promise<void>;
  /** Bytes that wait for the client. */
  readonly backlog: number;
  readonly closed: boolean;
  onClose(listener: () => void): void;
  end(): void;
  /** Cuts the connection. */
  destroy(): void;
}

/** Proxies cut connections on which nothing moves; a comment now and then keeps them open. */
const KEEP_ALIVE_MS = 15_000;

/** Takes the response over; errors can no longer change its status from here on. */
export function openEventStream(reply: FastifyReply): EventStream {
  reply.hijack();
  const { raw } = reply;
  for (const [name, value] of Object.entries(reply.getHeaders())) if (value !== undefined) raw.setHeader(name, value);
  raw.writeHead(200, {
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-cache, no-transform',
    'x-accel-buffering': 'no',
  });
  raw.flushHeaders();
  const keepAlive = setInterval(() => raw.write(': waiting\n\n'), KEEP_ALIVE_MS);
  keepAlive.unref();
  raw.once('close', () => clearInterval(keepAlive));
  return {
    send: (data, event) => {
      if (raw.destroyed || raw.writableEnded) return;
      raw.write(
        `${event === undefined ? '' : `event: ${event}\n`}data: ${typeof data === 'string' ? data : JSON.stringify(data)}\n\n`,
      );
    },
    drained: async () => {
      if (!raw.writableNeedDrain || raw.destroyed) return;
      await new Promise<void>((resolve) => {
        const done = (): void => {
          raw.off('drain', done);
          raw.off('close', done);
          resolve();
        };
        raw.once('drain', done);
        raw.once('close', done);
      });
    },
    get backlog() {
      return raw.writableLength;
    },
    get closed() {
      return raw.destroyed;
    },
    onClose: (listener) => raw.once('close', listener),
    end: () => {
      clearInterval(keepAlive);
      raw.end();
    },
    destroy: () => raw.destroy(),
  };
}
