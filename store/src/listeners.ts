// Who in this thread wants to hear of which topic.
import type { Topic } from './store.ts';

export type Hint = [topic: Topic, key: string];

export class Listeners {
  readonly #listeners = new Map<Topic, Set<(key: string) => void>>();

  subscribe(topic: Topic, listener: (key: string) => void): () => void {
    const listeners = this.#listeners.get(topic) ?? new Set();
    this.#listeners.set(topic, listeners);
    // A wrapper makes two subscriptions of the same function two.
    const own = (key: string): void => listener(key);
    listeners.add(own);
    return () => void listeners.delete(own);
  }

  deliver(hints: Iterable<Hint>): void {
    for (const [topic, key] of hints) this.#listeners.get(topic)?.forEach((listener) => listener(key));
  }

  /** Tells everybody that anything may have changed. */
  alarm(): void {
    this.deliver([...this.#listeners.keys()].map((topic) => [topic, '']));
  }

  clear(): void {
    this.#listeners.clear();
  }
}
