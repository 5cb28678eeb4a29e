// Tells listeners in this thread and in the others of the process that something changed. Hints carry no data.
import { createHash } from 'node:crypto';
import { resolve } from 'node:path';
import { BroadcastChannel } from 'node:worker_threads';
import { Listeners, type Hint } from '../listeners.ts';
import type { Topic } from '../store.ts';

export class Hints {
  readonly #channel: BroadcastChannel;
  readonly #listeners = new Listeners();

  constructor(path: string) {
    this.#channel = new BroadcastChannel(`kadre-store-${createHash('sha256').update(resolve(path)).digest('hex')}`);
    this.#channel.onmessage = (message: { data: unknown }) => this.#listeners.deliver(message.data as Hint[]);
    // Listening alone is no reason to keep a thread alive.
    this.#channel.unref();
  }

  /** To other threads at once, to this thread in a microtask: never from inside the caller's commit. */
  publish(hints: Hint[]): void {
    if (hints.length === 0) return;
    this.#channel.postMessage(hints);
    queueMicrotask(() => this.#listeners.deliver(hints));
  }

  subscribe(topic: Topic, listener: (key: string) => void): () => void {
    return this.#listeners.subscribe(topic, listener);
  }

  close(): void {
    this.#listeners.clear();
    this.#channel.close();
  }
}
