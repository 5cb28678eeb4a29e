// Server-sent events to a client that may read slowly, or go away.
import type { ServerResponse } from 'node:http';
import type { Clock } from '../options.ts';

export class EventWriter {
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
      ...headers,
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-cache',
      // Keeps nginx and its like from collecting the stream before they pass it on.
      'x-accel-buffering': 'no',
    });
  }

  /** Resolves once there is room for more, or the connection is gone. */
  async send(data: object | '[DONE]'): Promise<void> {
    const response = this.#response;
    if (response.destroyed) return;
    if (response.write(`data: ${data === '[DONE]' ? data : JSON.stringify(data)}\n\n`)) return;
    await new Promise<void>((resolve) => {
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
