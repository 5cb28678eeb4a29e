// How many calls of each agent wait, at all Models together: whoever waits takes room in the gateway, and nobody may take it
// all.
import type { Place } from './fair-queue.ts';

const MOST_OF_ONE_AGENT = 256;

export class Waiting {
  readonly #counts = new Map<string, number>();

  isFull(place: Place): boolean {
    return (this.#counts.get(keyOf(place)) ?? 0) >= MOST_OF_ONE_AGENT;
  }

  enter(place: Place): void {
    const key = keyOf(place);
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + 1);
  }

  leave(place: Place): void {
    const key = keyOf(place);
    const left = (this.#counts.get(key) ?? 0) - 1;
    if (left > 0) this.#counts.set(key, left);
    else this.#counts.delete(key);
  }
}

const keyOf = ({ namespace, agent }: Place): string => `${namespace}/${agent}`;
