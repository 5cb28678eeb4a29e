// A streamed answer to a client that may read slowly, or go away.
import type { ServerResponse } from 'node:http';
import type { Clock } from '../options.ts';

export class ResponseWriter {
  readonly #response: ServerResponse;
  readonly #clock: Clock;
  readonly #slowMs: number;

  /** `slowMs`: how long the client may leave the answer unread before its connection is cut. */
  constructor(response: ServerResponse, clock: Clock, slowMs: number) {
    this.#response = response;
    this.#clock = clock;
    this.#slowMs = slowMs;
  }

  start(headers: Record<string, string>): void {
    this.#response.writeHead(200, {
      'cache-control': 'no-cache',
      // Keeps nginx and its like from collecting the stream before they pass it on.
      'x-accel-buffering': 'no',
      ...headers,
    });
  }

  /** `undefined` if there is room for more; else resolves once there is, or the connection is gone. */
  send(text: string): Promise<void> | undefined {
    const response = this.#response;
    if (text === '' || response.destroyed || response.write(text)) return undefined;
    return new Promise<void>((resolve) => {
      const done = (): void => {
        cancel();
        response.off('drain', done);
        response.off('close', done);
        resolve();
      };
      const cancel = this.#clock.after(this.#slowMs, () => response.destroy());
      response.once('drain', done);
      response.once('close', done);
    });
  }

  end(): void {
    this.#response.end();
  }
}

/** One server-sent event; `name` where the dialect names its events. */
export const serverSentEvent = (data: string, name?: string): string =>
  name === undefined ? `data: ${data}\n\n` : `event: ${name}\ndata: ${data}\n\n`;
