// Tells listeners in this thread and in the others of the process that something changed. Hints carry no data.
import { createHash } from 'node:crypto';
import { resolve } from 'node:path';
import { BroadcastChannel } from 'node:worker_threads';
import type { Topic } from '../store.ts';

export type Hint = [topic: Topic, key: string];

export class Hints {
  readonly #channel: BroadcastChannel;
  readonly #listeners = new Map<Topic, Set<(key: string) => void>>();

  constructor(path: string) {
    this.#channel = new BroadcastChannel(`kadre-store-${createHash('sha256').update(resolve(path)).digest('hex')}`);
    this.#channel.onmessage = (message: { data: unknown }) => this.#deliver(message.data as Hint[]);
    // Listening alone is no reason to keep a thread alive.
    this.#channel.unref();
  }

  /** To other threads at once, to this thread in a microtask: never from inside the caller's commit. */
  publish(hints: Hint[]): void {
    if (hints.length === 0) return;
    this.#channel.postMessage(hints);
    queueMicrotask(() => this.#deliver(hints));
  }

  subscribe(topic: Topic, listener: (key: string) => void): () => void {
    const listeners = this.#listeners.get(topic) ?? new Set();
    this.#listeners.set(topic, listeners);
    // A wrapper makes two subscriptions of the same function two.
    const own = (key: string): void => listener(key);
    listeners.add(own);
    return () => void listeners.delete(own);
  }

  close(): void {
    this.#listeners.clear();
    this.#channel.close();
  }

  #deliver(hints: Hint[]): void {
    for (const [topic, key] of hints) this.#listeners.get(topic)?.forEach((listener) => listener(key));
  }
}
